/// From an image to the model's input, in memory that is kept from frame to frame. One for each
/// thread.
///
/// Memory is taken for the first image of a size, and for no other of that size.
public final class Preprocessor {
  public let contract: Contract

  private let floatTable: Memory<Float>
  private let byteTable: Memory<UInt8>
  private var resizer: Resizer?
  private var floats = Memory<Float>(repeating: 0, count: 0)
  private var integers = Memory<UInt8>(repeating: 0, count: 0)

  public init(_ contract: Contract) {
    self.contract = contract
    let isFloat = contract.dtype == .float32
    floatTable = Memory(isFloat ? PixelTable.floats(contract) : [], or: 0)
    byteTable = Memory(isFloat ? [] : PixelTable.bytes(contract), or: 0)
  }

  /// Fills the model's input.
  ///
  /// - Parameter orientation: that comes with the image, 1 to 8 as EXIF counts.
  /// - Returns: the input in the contract's dtype and layout, with a batch of 1. It stays in its
  ///   place for as long as images of one size come, and is overwritten by the next.
  @discardableResult
  public func run(_ image: InputImage, orientation: Int = 1) throws -> UnsafeRawBufferPointer {
    let rows = try UprightRows(image, contract, orientation: orientation)
    let resizer = try fit(rows)
    resizer.run(rows)
    for channel in 0..<contract.channels {
      if contract.dtype == .float32 {
        arrange(resizer.canvas, channel, floatTable.start + channel * 256, floats.start)
      } else {
        arrange(resizer.canvas, channel, byteTable.start + channel * 256, integers.start)
      }
    }
    return contract.dtype == .float32 ? floats.bytes : integers.bytes
  }

  /// Red, green and blue as they were before the arithmetic: height x width x 3.
  public var pixels: UnsafeRawBufferPointer {
    resizer?.canvas.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
  }

  /// Where the last image came to lie; nil before the first.
  public var placement: Placement? { resizer?.placement }

  private func fit(_ image: UprightRows) throws -> Resizer {
    if let resizer, resizer.placement.imageHeight == image.height,
      resizer.placement.imageWidth == image.width
    {
      return resizer
    }
    let placement = try Placement(
      imageHeight: image.height, imageWidth: image.width, contract: contract)
    let made = Resizer(placement, contract)
    let numbers = placement.height * placement.width * contract.channels
    floats = Memory(repeating: 0, count: contract.dtype == .float32 ? numbers : 0)
    integers = Memory(repeating: 0, count: contract.dtype == .float32 ? 0 : numbers)
    resizer = made
    return made
  }

  @inline(__always)
  private func arrange<Number>(
    _ canvas: Memory<UInt8>, _ channel: Int, _ table: UnsafeMutablePointer<Number>,
    _ tensor: UnsafeMutablePointer<Number>
  ) {
    let area = canvas.count / 3
    let planes = contract.layout == .nchw
    let step = planes ? 1 : contract.channels
    var out = tensor + (planes ? channel * area : channel)
    let isGray = contract.color == .gray
    var at = canvas.start + (contract.color == .bgr ? 2 - channel : channel)
    for _ in 0..<area {
      out.pointee = table[Int(isGray ? luma(at) : at.pointee)]
      at += 3
      out += step
    }
  }
}

@inline(__always)
private func luma(_ rgb: UnsafeMutablePointer<UInt8>) -> UInt8 {
  let (red, green, blue) = (Int32(rgb[0]), Int32(rgb[1]), Int32(rgb[2]))
  return UInt8(
    truncatingIfNeeded: (19595 &* red &+ 38470 &* green &+ 7471 &* blue &+ 32768) >> 16)
}
