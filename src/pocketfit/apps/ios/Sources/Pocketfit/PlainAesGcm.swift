/// Decryption by AES-256 in Galois counter mode, after FIPS 197 and NIST SP 800-38D, for systems
/// without CryptoKit.
///
/// It reads tables at places that depend on the key, so who runs code on the same processor core may
/// learn the key from the time that takes.
struct PlainAesGcm {
  private static let nonceBytes = 12
  private static let tagBytes = 16
  private static let box = makeBox()

  /// A polynomial over two elements: the highest bit of `high` is the constant term.
  private struct Block {
    var high: UInt64 = 0
    var low: UInt64 = 0

    static func ^ (one: Block, other: Block) -> Block {
      Block(high: one.high ^ other.high, low: one.low ^ other.low)
    }

    var timesX: Block {
      let over: UInt64 = low & 1 == 1 ? 0xe1 << 56 : 0
      return Block(high: high >> 1 ^ over, low: low >> 1 | high << 63)
    }
  }

  private let roundKeys: [[UInt8]]
  private var hashKey = Block()

  /// - Parameter key: 32 bytes.
  init(_ key: [UInt8]) {
    roundKeys = PlainAesGcm.expanded(key)
    hashKey = PlainAesGcm.block(encrypted([UInt8](repeating: 0, count: 16))[...])
  }

  /// What was encrypted; nil where key, nonce, tag or what the text is bound to is another one.
  func open(_ sealed: [UInt8], boundTo: [UInt8]) -> [UInt8]? {
    guard sealed.count >= PlainAesGcm.nonceBytes + PlainAesGcm.tagBytes else { return nil }
    let text = sealed[PlainAesGcm.nonceBytes..<sealed.count - PlainAesGcm.tagBytes]
    var counter = Array(sealed[..<PlainAesGcm.nonceBytes]) + [0, 0, 0, 1]
    let mask = PlainAesGcm.block(encrypted(counter)[...])
    let tag = PlainAesGcm.block(sealed[(sealed.count - PlainAesGcm.tagBytes)...])
    let difference = hashed(boundTo[...], text) ^ mask ^ tag
    guard difference.high | difference.low == 0 else { return nil }
    var plain: [UInt8] = []
    for at in stride(from: text.startIndex, to: text.endIndex, by: 16) {
      PlainAesGcm.count(&counter)
      let part = text[at..<min(at + 16, text.endIndex)]
      plain.append(contentsOf: zip(part, encrypted(counter)).map { $0 ^ $1 })
    }
    return plain
  }

  private static func count(_ counter: inout [UInt8]) {
    for i in stride(from: 15, through: 12, by: -1) {
      counter[i] &+= 1
      if counter[i] != 0 { return }
    }
  }

  private static func doubled(_ byte: UInt8) -> UInt8 {
    byte << 1 ^ (byte & 0x80 != 0 ? 0x1b : 0)
  }

  /// The bytes' substitutes: p runs through all bytes but 0 as powers of 3, q through their inverses.
  private static func makeBox() -> [UInt8] {
    var box = [UInt8](repeating: 0x63, count: 256)
    var (p, q): (UInt8, UInt8) = (1, 1)
    repeat {
      p ^= doubled(p)
      q ^= q << 1
      q ^= q << 2
      q ^= q << 4
      if q & 0x80 != 0 { q ^= 0x09 }
      let twice = UInt32(q) * 0x101
      let turned = twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4
      box[Int(p)] = q ^ UInt8(truncatingIfNeeded: turned) ^ 0x63
    } while p != 1
    return box
  }

  private static func expanded(_ key: [UInt8]) -> [[UInt8]] {
    var words = stride(from: 0, to: 32, by: 4).map { Array(key[$0..<$0 + 4]) }
    var power: UInt8 = 1
    for i in 8..<60 {
      var word = words[i - 1]
      if i % 8 == 0 {
        word = [word[1], word[2], word[3], word[0]].map { box[Int($0)] }
        word[0] ^= power
        power = doubled(power)
      } else if i % 8 == 4 {
        word = word.map { box[Int($0)] }
      }
      words.append(zip(words[i - 8], word).map { $0 ^ $1 })
    }
    return stride(from: 0, to: 60, by: 4).map { Array(words[$0..<$0 + 4].joined()) }
  }

  private func encrypted(_ bytes: [UInt8]) -> [UInt8] {
    var state = zip(bytes, roundKeys[0]).map { $0 ^ $1 }
    for round in 1...14 {
      // Byte 4 * column + row comes from the column that lies `row` further.
      var next = (0..<16).map { PlainAesGcm.box[Int(state[($0 + 4 * ($0 % 4)) % 16])] }
      if round < 14 { PlainAesGcm.mixColumns(&next) }
      for i in 0..<16 { state[i] = next[i] ^ roundKeys[round][i] }
    }
    return state
  }

  private static func mixColumns(_ state: inout [UInt8]) {
    for column in stride(from: 0, to: 16, by: 4) {
      let (a, b, c, d) = (state[column], state[column + 1], state[column + 2], state[column + 3])
      let all = a ^ b ^ c ^ d
      state[column] = a ^ all ^ doubled(a ^ b)
      state[column + 1] = b ^ all ^ doubled(b ^ c)
      state[column + 2] = c ^ all ^ doubled(c ^ d)
      state[column + 3] = d ^ all ^ doubled(d ^ a)
    }
  }

  /// From up to 16 bytes; what is missing is 0.
  private static func block(_ bytes: ArraySlice<UInt8>) -> Block {
    var block = Block()
    for (i, byte) in bytes.enumerated() {
      let shifted = UInt64(byte) << UInt64(56 - 8 * (i % 8))
      if i < 8 { block.high |= shifted } else { block.low |= shifted }
    }
    return block
  }

  private func timesKey(_ block: Block) -> Block {
    var (result, multiple) = (Block(), hashKey)
    for at in 0..<128 {
      let word = at < 64 ? block.high : block.low
      if word >> UInt64(63 - at % 64) & 1 == 1 { result = result ^ multiple }
      multiple = multiple.timesX
    }
    return result
  }

  private func hashed(_ boundTo: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Block {
    var hash = Block()
    for bytes in [boundTo, text] {
      for at in stride(from: bytes.startIndex, to: bytes.endIndex, by: 16) {
        let part = PlainAesGcm.block(bytes[at..<min(at + 16, bytes.endIndex)])
        hash = timesKey(hash ^ part)
      }
    }
    let lengths = Block(high: UInt64(boundTo.count) * 8, low: UInt64(text.count) * 8)
    return timesKey(hash ^ lengths)
  }
}
