/// Verification of Ed25519 signatures after RFC 8032, section 5.1, for systems without CryptoKit.
///
/// Everything here is public, so nothing has to take the same time for all numbers. There is no
/// signing.
enum PlainEd25519 {
  /// 2^252 + 27742317777372353535851937790883648493.
  private static let order: [UInt32] = [
    0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000,
  ]

  /// Whether the owner of the key has signed the message.
  static func isSigned(_ message: [UInt8], _ signature: [UInt8], by publicKey: [UInt8]) -> Bool {
    guard signature.count == 64, publicKey.count == 32 else { return false }
    let s = Field25519.words(signature[32...])
    guard Field25519.isBelow(s, order), let key = Point25519(publicKey[...]),
      let base = Point25519.base
    else { return false }
    let hash = Sha512.digest(Array(signature[..<32]) + publicKey + message)
    let found = Point25519.combined(s, base, moduloOrder(hash), key.negated)
    return found.encoded == Array(signature[..<32])
  }

  /// A number of 64 bytes, the lowest first, modulo the order.
  private static func moduloOrder(_ bytes: [UInt8]) -> [UInt32] {
    var rest = [UInt32](repeating: 0, count: 8)
    for at in stride(from: 511, through: 0, by: -1) {
      for i in stride(from: 7, to: 0, by: -1) { rest[i] = rest[i] << 1 | rest[i - 1] >> 31 }
      rest[0] = rest[0] << 1 | UInt32(bytes[at / 8] >> UInt8(at % 8) & 1)
      if !Field25519.isBelow(rest, order) { rest = Field25519.subtract(rest, order).0 }
    }
    return rest
  }
}

/// A point of -x^2 + y^2 = 1 + d x^2 y^2: x = X / Z, y = Y / Z and x y = T / Z.
struct Point25519 {
  private static let curve =
    (Field25519.zero - Field25519(121_665)) * Field25519(121_666).inverse
  private static let rootOfMinusOne = Field25519(2).power(Field25519.exponent(less: 1, shift: 2))

  static let base = Point25519([0x58] + [UInt8](repeating: 0x66, count: 31))

  private let x: Field25519
  private let y: Field25519
  private let z: Field25519
  private let t: Field25519

  private init(_ x: Field25519, _ y: Field25519, _ z: Field25519, _ t: Field25519) {
    (self.x, self.y, self.z, self.t) = (x, y, z, t)
  }

  /// From its 32 bytes; nil where there is no such point.
  init?(_ bytes: ArraySlice<UInt8>) {
    var words = Field25519.words(bytes)
    let odd = Field25519.bit(words, 255)
    words[7] &= 0x7fff_ffff
    guard Field25519.isBelow(words, Field25519.prime) else { return nil }
    let y = Field25519(words)
    guard let root = Point25519.root(of: y) else { return nil }
    let reduced = root.reduced
    if odd && reduced == Field25519.zero.words { return nil }
    let isOdd = Field25519.bit(reduced, 0)
    let x = isOdd == odd ? Field25519(reduced) : Field25519.zero - Field25519(reduced)
    self.init(x, y, .one, x * y)
  }

  /// A root of (y^2 - 1) / (d y^2 + 1).
  private static func root(of y: Field25519) -> Field25519? {
    let square = y * y
    let (u, v) = (square - .one, curve * square + .one)
    let v3 = v * v * v
    let candidate = u * v3 * (u * v3 * v3 * v).power(Field25519.exponent(less: 5, shift: 3))
    let found = v * candidate * candidate
    if found.isSame(u) { return candidate }
    return found.isSame(.zero - u) ? candidate * rootOfMinusOne : nil
  }

  static func + (one: Point25519, other: Point25519) -> Point25519 {
    let a = (one.y - one.x) * (other.y - other.x)
    let b = (one.y + one.x) * (other.y + other.x)
    let c = one.t * other.t * (curve + curve)
    let d = one.z * (other.z + other.z)
    let (e, f, g, h) = (b - a, d - c, d + c, b + a)
    return Point25519(e * f, g * h, f * g, e * h)
  }

  var negated: Point25519 {
    Point25519(Field25519.zero - x, y, z, Field25519.zero - t)
  }

  var encoded: [UInt8] {
    let scale = z.inverse
    let (x, y) = ((self.x * scale).reduced, (self.y * scale).reduced)
    var words = y
    words[7] |= (x[0] & 1) << 31
    return words.flatMap { word in
      [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
  }

  /// One point times a number and another times another.
  static func combined(
    _ first: [UInt32], _ one: Point25519, _ second: [UInt32], _ other: Point25519
  ) -> Point25519 {
    let both = one + other
    var result = Point25519(.zero, .one, .one, .zero)
    for at in stride(from: 255, through: 0, by: -1) {
      result = result + result
      switch (Field25519.bit(first, at), Field25519.bit(second, at)) {
      case (true, true): result = result + both
      case (true, false): result = result + one
      case (false, true): result = result + other
      case (false, false): break
      }
    }
    return result
  }
}
