/// Gives any row of an image as it stands upright, as red, green and blue.
struct UprightRows {
  let height: Int
  let width: Int

  private let image: InputImage
  private let swapped: Bool
  private let rowsReversed: Bool
  private let columnsReversed: Bool
  private let conversion: YuvConversion?
  /// From red to green and from green to blue.
  private let channelStride: Int

  /// Checks that the planes are as long as the image says.
  init(_ image: InputImage, _ contract: Contract, orientation: Int) throws {
    let turn = contract.orientation ?? orientation
    guard (1...8).contains(turn) else {
      throw PocketfitError("the orientation is \(turn); EXIF knows 1 to 8")
    }
    self.image = image
    swapped = turn >= 5
    rowsReversed = turn == 3 || turn == 4 || turn == 7 || turn == 8
    columnsReversed = turn == 2 || turn == 3 || turn == 6 || turn == 7
    height = swapped ? image.width : image.height
    width = swapped ? image.height : image.width
    conversion = contract.isYuv ? YuvConversion(contract.matrix, contract.range) : nil
    channelStride = contract.isYuv || contract.input == .gray ? 0 : 1
    try checkPlanes()
  }

  private func checkPlanes() throws {
    guard image.height > 0, image.width > 0 else { throw PocketfitError("the image is empty") }
    try check(image.y, image.height, image.width, 2 * channelStride)
    guard conversion != nil else { return }
    try check(image.u, (image.height + 1) / 2, (image.width + 1) / 2, 0)
    try check(image.v, (image.height + 1) / 2, (image.width + 1) / 2, 0)
  }

  private func check(_ plane: Plane, _ high: Int, _ wide: Int, _ lastChannel: Int) throws {
    let needed = (high - 1) * plane.rowStride + (wide - 1) * plane.pixelStride + lastChannel + 1
    guard plane.rowStride >= 0, plane.pixelStride >= 0, plane.data.count >= needed else {
      throw PocketfitError(
        "a plane has \(plane.data.count) bytes; its size and strides need \(needed). "
          + "Check the size, the strides and the format")
    }
  }

  /// Writes the columns from `begin` to below `end`, three bytes each.
  func read(_ row: Int, _ begin: Int, _ end: Int, into rgb: UnsafeMutablePointer<UInt8>) {
    let across = rowsReversed ? height - 1 - row : row
    let along = columnsReversed ? width - 1 - begin : begin
    let step = columnsReversed ? -1 : 1
    if let conversion {
      readYuv(conversion, across, along, step, end - begin, rgb)
    } else {
      readPixels(across, along, step, end - begin, rgb)
    }
  }

  private func readPixels(
    _ across: Int, _ along: Int, _ step: Int, _ count: Int, _ rgb: UnsafeMutablePointer<UInt8>
  ) {
    guard let data = image.y.data.baseAddress else { return }
    let (y, x) = swapped ? (along, across) : (across, along)
    var at = data + (y * image.y.rowStride + x * image.y.pixelStride)
    let next = step * (swapped ? image.y.rowStride : image.y.pixelStride)
    var out = rgb
    for _ in 0..<count {
      out[0] = at.load(as: UInt8.self)
      out[1] = at.load(fromByteOffset: channelStride, as: UInt8.self)
      out[2] = at.load(fromByteOffset: 2 * channelStride, as: UInt8.self)
      at += next
      out += 3
    }
  }

  private func readYuv(
    _ conversion: YuvConversion, _ across: Int, _ start: Int, _ step: Int, _ count: Int,
    _ rgb: UnsafeMutablePointer<UInt8>
  ) {
    guard let luma = image.y.data.baseAddress, let u = image.u.data.baseAddress,
      let v = image.v.data.baseAddress
    else { return }
    var along = start
    var out = rgb
    for _ in 0..<count {
      let (y, x) = swapped ? (along, across) : (across, along)
      let (row, column) = (y >> 1, x >> 1)
      conversion.convert(
        luma.load(
          fromByteOffset: y &* image.y.rowStride &+ x &* image.y.pixelStride, as: UInt8.self),
        u.load(
          fromByteOffset: row &* image.u.rowStride &+ column &* image.u.pixelStride, as: UInt8.self),
        v.load(
          fromByteOffset: row &* image.v.rowStride &+ column &* image.v.pixelStride, as: UInt8.self),
        into: out)
      along &+= step
      out += 3
    }
  }
}

/// From a camera's colours to red, green and blue, with the integers of docs/preprocessing.md.
struct YuvConversion {
  private let black: Int32
  private let luma: Int32
  private let redV: Int32
  private let greenU: Int32
  private let greenV: Int32
  private let blueU: Int32

  init(_ matrix: Contract.Matrix, _ range: Contract.Range) {
    black = range == .limited ? 16 : 0
    switch (matrix, range) {
    case (.bt601, .limited):
      (luma, redV, greenU, greenV, blueU) = (76309, 104597, 25675, 53279, 132201)
    case (.bt601, .full):
      (luma, redV, greenU, greenV, blueU) = (65536, 91881, 22553, 46802, 116130)
    case (.bt709, .limited):
      (luma, redV, greenU, greenV, blueU) = (76309, 117489, 13975, 34925, 138438)
    case (.bt709, .full):
      (luma, redV, greenU, greenV, blueU) = (65536, 103206, 12276, 30679, 121609)
    }
  }

  @inline(__always)
  func convert(_ y: UInt8, _ u: UInt8, _ v: UInt8, into rgb: UnsafeMutablePointer<UInt8>) {
    let (u, v) = (Int32(u) &- 128, Int32(v) &- 128)
    let light = (Int32(y) &- black) &* luma &+ 32768
    rgb[0] = pixel((light &+ redV &* v) >> 16)
    rgb[1] = pixel((light &- greenU &* u &- greenV &* v) >> 16)
    rgb[2] = pixel((light &+ blueU &* u) >> 16)
  }
}

/// Limited to what a pixel can be.
@inline(__always)
func pixel(_ value: Int32) -> UInt8 {
  UInt8(truncatingIfNeeded: min(max(value, 0), 255))
}
