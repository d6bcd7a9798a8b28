/// Which input pixels make an output pixel along one axis, and with what integer weights.
struct Taps {
  /// Of an output: its first input pixel; those behind it follow.
  private(set) var first: [Int] = []
  /// Of an output and the one behind it: where its weights begin.
  private(set) var start = [0]
  private(set) var weights: [Int32] = []
  /// A weight of 1 is 2^bits.
  private(set) var bits: Int32 = 0

  init(inputs: Int, outputs: Int, kernel: Contract.Kernel, antialias: Bool) {
    switch kernel {
    case .nearest: nearest(inputs, outputs)
    case .area: area(inputs, outputs)
    case .bilinear, .bicubic, .box:
      if Taps.roundsBetween(kernel, antialias: antialias) {
        widened(inputs, outputs, kernel)
      } else {
        plain(inputs, outputs, kernel)
      }
    }
  }

  /// Whether the columns are rounded to pixels before the rows are computed.
  static func roundsBetween(_ kernel: Contract.Kernel, antialias: Bool) -> Bool {
    antialias || (kernel != .bilinear && kernel != .bicubic)
  }

  func count(_ output: Int) -> Int { start[output + 1] - start[output] }

  private mutating func add(_ output: [Int], from pixel: Int) {
    first.append(pixel)
    weights.append(contentsOf: output.map { Int32($0) })
    start.append(weights.count)
  }

  private mutating func nearest(_ inputs: Int, _ outputs: Int) {
    for i in 0..<outputs { add([1], from: (2 * i + 1) * inputs / (2 * outputs)) }
  }

  /// Weights in doubles, in the order that docs/preprocessing.md has; Swift fuses no products with
  /// sums.
  private mutating func widened(_ inputs: Int, _ outputs: Int, _ kernel: Contract.Kernel) {
    bits = 22
    let reach = kernel == .box ? 0.5 : kernel == .bilinear ? 1.0 : 2.0
    let scale = Double(inputs) / Double(outputs)
    let stretch = max(scale, 1.0)
    let support = reach * stretch
    for i in 0..<outputs {
      let center = (Double(i) + 0.5) * scale
      let low = max(0, Int(center - support + 0.5))
      let high = max(low, min(inputs, Int(center + support + 0.5)))
      let shares = (low..<high).map {
        Taps.shape(kernel, (Double($0) - center + 0.5) * (1.0 / stretch))
      }
      let total = shares.reduce(0.0, +)
      let scaled = shares.map { share in
        let part = share / (total == 0.0 ? 1.0 : total)
        return Int(part * 4194304.0 + (part >= 0 ? 0.5 : -0.5))
      }
      add(scaled, from: min(low, inputs - 1))
    }
  }

  private static func shape(_ kernel: Contract.Kernel, _ at: Double) -> Double {
    if kernel == .box { return -0.5 < at && at <= 0.5 ? 1.0 : 0.0 }
    let x = abs(at)
    if kernel == .bilinear { return x < 1.0 ? 1.0 - x : 0.0 }
    if x < 1.0 { return (1.5 * x - 2.5) * x * x + 1.0 }
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 : 0.0
  }

  private mutating func area(_ inputs: Int, _ outputs: Int) {
    bits = 22
    for i in 0..<outputs {
      let (low, high) = (i * inputs, (i + 1) * inputs)
      let begin = low / outputs
      let end = (high + outputs - 1) / outputs
      let scaled = (begin..<end).map { j in
        let covered = min(high, (j + 1) * outputs) - max(low, j * outputs)
        return (covered * 8_388_608 + inputs) / (2 * inputs)
      }
      add(scaled, from: begin)
    }
  }

  private mutating func plain(_ inputs: Int, _ outputs: Int, _ kernel: Contract.Kernel) {
    bits = 11
    let unit = 2 * outputs
    for i in 0..<outputs {
      let position = (2 * i + 1) * inputs - outputs
      let left = position >= 0 ? position / unit : -1
      let t = ((position - left * unit) * 4096 + unit) / (2 * unit)
      addClamped(inputs, left, kernel == .bicubic ? Taps.cubic(t) : [0, 2048 - t, t, 0])
    }
  }

  /// Pixels beyond the edge are those of the edge, so their weights go there.
  private mutating func addClamped(_ inputs: Int, _ left: Int, _ four: [Int]) {
    let meant = (left - 1...left + 2).map { max(0, min($0, inputs - 1)) }
    let gathered = (meant[0]...meant[3]).map { pixel in
      zip(meant, four).reduce(0) { $1.0 == pixel ? $0 + $1.1 : $0 }
    }
    add(gathered, from: meant[0])
  }

  private static func cubic(_ t: Int) -> [Int] {
    let (before, behind, second) = (outer(2048 + t), inner(2048 - t), outer(4096 - t))
    return [before, 2048 - before - behind - second, behind, second]
  }

  private static func inner(_ d: Int) -> Int {
    (5 * d * d * d - 18_432 * d * d + 34_359_738_368 + 8_388_608) >> 24
  }

  private static func outer(_ d: Int) -> Int {
    let terms = -3 * d * d * d + 30_720 * d * d - 100_663_296 * d
    return (terms + 103_079_215_104 + 8_388_608) >> 24
  }
}
