/// A number of the field of 2^255 - 19: 256 bits, the lowest first, which stand for their remainder.
struct Field25519 {
  static let zero = Field25519(0)
  static let one = Field25519(1)
  static let prime: [UInt32] = [
    0xffff_ffed, .max, .max, .max, .max, .max, .max, 0x7fff_ffff,
  ]

  private(set) var words: [UInt32]

  init(_ small: UInt32) {
    words = [small, 0, 0, 0, 0, 0, 0, 0]
  }

  init(_ words: [UInt32]) {
    self.words = words
  }

  /// From 32 bytes, the lowest first.
  static func words(_ bytes: ArraySlice<UInt8>) -> [UInt32] {
    (0..<8).map { i in
      let begin = bytes.startIndex + 4 * i
      return bytes[begin..<begin + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
  }

  static func isBelow(_ one: [UInt32], _ other: [UInt32]) -> Bool {
    one.reversed().lexicographicallyPrecedes(other.reversed())
  }

  /// One minus the other, and the borrow: 0 or -1.
  static func subtract(_ one: [UInt32], _ other: [UInt32]) -> ([UInt32], Int64) {
    var borrow: Int64 = 0
    let words = zip(one, other).map { a, b in
      borrow += Int64(a) - Int64(b)
      let word = UInt32(truncatingIfNeeded: borrow)
      borrow >>= 32
      return word
    }
    return (words, borrow)
  }

  static func bit(_ words: [UInt32], _ at: Int) -> Bool {
    words[at / 32] >> UInt32(at % 32) & 1 == 1
  }

  static func + (one: Field25519, other: Field25519) -> Field25519 {
    var carry: Int64 = 0
    let words = zip(one.words, other.words).map { a, b in
      carry += Int64(a) + Int64(b)
      let word = UInt32(truncatingIfNeeded: carry)
      carry >>= 32
      return word
    }
    return folded(words, carry)
  }

  static func - (one: Field25519, other: Field25519) -> Field25519 {
    let (words, borrow) = subtract(one.words, other.words)
    return folded(words, borrow)
  }

  static func * (one: Field25519, other: Field25519) -> Field25519 {
    var wide = [UInt32](repeating: 0, count: 16)
    for i in 0..<8 {
      var carry: UInt64 = 0
      for j in 0..<8 {
        carry += UInt64(one.words[i]) * UInt64(other.words[j]) + UInt64(wide[i + j])
        wide[i + j] = UInt32(truncatingIfNeeded: carry)
        carry >>= 32
      }
      wide[i + 8] = UInt32(truncatingIfNeeded: carry)
    }
    var carry: Int64 = 0
    let words = (0..<8).map { i in
      carry += Int64(wide[i + 8]) * 38 + Int64(wide[i])
      let word = UInt32(truncatingIfNeeded: carry)
      carry >>= 32
      return word
    }
    return folded(words, carry)
  }

  /// What lies beyond 2^256 counts 38 times.
  private static func folded(_ words: [UInt32], _ beyond: Int64) -> Field25519 {
    var (words, over) = (words, beyond)
    while over != 0 {
      over *= 38
      for i in 0..<8 {
        over += Int64(words[i])
        words[i] = UInt32(truncatingIfNeeded: over)
        over >>= 32
      }
    }
    return Field25519(words)
  }

  var reduced: [UInt32] {
    var rest = words
    while !Field25519.isBelow(rest, Field25519.prime) {
      rest = Field25519.subtract(rest, Field25519.prime).0
    }
    return rest
  }

  func isSame(_ other: Field25519) -> Bool { reduced == other.reduced }

  func power(_ exponent: [UInt32]) -> Field25519 {
    var result = Field25519.one
    for at in stride(from: 255, through: 0, by: -1) {
      result = result * result
      if Field25519.bit(exponent, at) { result = result * self }
    }
    return result
  }

  /// The prime less something small, divided by a power of two: the exponents that are needed.
  static func exponent(less: UInt32, shift: UInt32) -> [UInt32] {
    let words = subtract(prime, Field25519(less).words).0
    return (0..<8).map { i in
      let two = UInt64(words[i]) | (i < 7 ? UInt64(words[i + 1]) << 32 : 0)
      return UInt32(truncatingIfNeeded: two >> UInt64(shift))
    }
  }

  var inverse: Field25519 { power(Field25519.exponent(less: 2, shift: 0)) }
}
