/// Turns, resizes and crops images of one size, in memory that is taken once.
final class Resizer {
  let placement: Placement
  /// Red, green and blue: height x width x 3.
  let canvas: Memory<UInt8>

  private let rows: Axis
  private let columns: Axis
  /// Whether nothing is rounded between columns and rows.
  private let late: Bool
  private let line: Memory<UInt8>
  private let across: Memory<Int32>
  private let sums: Memory<Int32>

  init(_ placement: Placement, _ contract: Contract) {
    let same =
      placement.resizedHeight == placement.imageHeight
      && placement.resizedWidth == placement.imageWidth
    let kernel = same ? .nearest : contract.kernel
    func axis(_ image: Int, _ resized: Int, _ offset: Int, _ size: Int) -> Axis {
      let taps = Taps(
        inputs: image, outputs: resized, kernel: kernel, antialias: contract.antialias)
      return Axis(taps, offset: offset, resized: resized, size: size)
    }
    self.placement = placement
    late = !Taps.roundsBetween(kernel, antialias: contract.antialias)
    rows = axis(placement.imageHeight, placement.resizedHeight, placement.top, placement.height)
    columns = axis(placement.imageWidth, placement.resizedWidth, placement.left, placement.width)
    line = Memory(repeating: 0, count: columns.readCount * 3)
    sums = Memory(repeating: 0, count: columns.count * 3)
    across = Memory(repeating: 0, count: rows.readCount * sums.count)
    canvas = Memory(repeating: 0, count: placement.height * placement.width * 3)
    if case .letterbox(let box) = contract.resize {
      for place in 0..<canvas.count { canvas.start[place] = box.fill[place % 3] }
    }
  }

  func run(_ image: UprightRows) {
    resizeColumns(image)
    resizeRows()
  }

  private func resizeColumns(_ image: UprightRows) {
    let width = sums.count
    let half: Int32 = (1 << columns.bits) >> 1
    var out = across.start
    for row in rows.readBegin..<rows.readEnd {
      image.read(row, columns.readBegin, columns.readEnd, into: line.start)
      weighLine(out)
      if !late {
        for i in 0..<width { out[i] = Int32(pixel((out[i] &+ half) >> columns.bits)) }
      }
      out += width
    }
  }

  private func weighLine(_ out: UnsafeMutablePointer<Int32>) {
    let (first, start, weights) = (columns.first.start, columns.start.start, columns.weights.start)
    let pixels = line.start
    var out = out
    for column in columns.begin..<columns.end {
      var at = pixels + (first[column] &- columns.readBegin) &* 3
      var red: Int32 = 0
      var green: Int32 = 0
      var blue: Int32 = 0
      for k in start[column]..<start[column &+ 1] {
        let weight = weights[k]
        red = red &+ Int32(at[0]) &* weight
        green = green &+ Int32(at[1]) &* weight
        blue = blue &+ Int32(at[2]) &* weight
        at += 3
      }
      out[0] = red
      out[1] = green
      out[2] = blue
      out += 3
    }
  }

  private func resizeRows() {
    let bits = rows.bits + (late ? columns.bits : 0)
    let half: Int32 = (1 << bits) >> 1
    let total = sums.start
    for row in rows.begin..<rows.end {
      addLines(row)
      let place = ((rows.at + row - rows.begin) * placement.width + columns.at) * 3
      let out = canvas.start + place
      for i in 0..<sums.count { out[i] = pixel((total[i] &+ half) >> bits) }
    }
  }

  private func addLines(_ row: Int) {
    let width = sums.count
    let total = sums.start
    total.update(repeating: 0, count: width)
    var values = across.start + (rows.first.start[row] - rows.readBegin) * width
    for k in rows.start.start[row]..<rows.start.start[row + 1] {
      let weight = rows.weights.start[k]
      for i in 0..<width { total[i] = total[i] &+ values[i] &* weight }
      values += width
    }
  }
}
