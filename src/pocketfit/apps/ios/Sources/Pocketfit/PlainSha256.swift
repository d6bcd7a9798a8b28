import Foundation

/// SHA-256 after FIPS 180-4, for systems without CryptoKit.
struct PlainSha256 {
  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
    0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
    0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
    0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
    0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
    0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
    0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
    0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
    0xc671_78f2,
  ]

  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  private var block: [UInt8] = []
  private var length: UInt64 = 0

  mutating func update(data: Data) {
    length += UInt64(data.count)
    for byte in data { put(byte) }
  }

  func finalize() -> [UInt8] {
    var last = self
    last.put(0x80)
    while last.block.count != 56 { last.put(0) }
    for shift in stride(from: 56, through: 0, by: -8) {
      last.put(UInt8(truncatingIfNeeded: (length * 8) >> UInt64(shift)))
    }
    return last.state.flatMap { word in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
  }

  private mutating func put(_ byte: UInt8) {
    block.append(byte)
    if block.count == 64 {
      digestBlock()
      block.removeAll(keepingCapacity: true)
    }
  }

  private mutating func digestBlock() {
    let words = schedule()
    var turning = state
    for i in 0..<64 {
      let (a, b, c) = (turning[0], turning[1], turning[2])
      let (e, f, g) = (turning[4], turning[5], turning[6])
      let choice = (e & f) ^ (~e & g)
      let majority = (a & b) ^ (a & c) ^ (b & c)
      let one =
        turning[7] &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice
        &+ PlainSha256.constants[i] &+ words[i]
      let two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
      for place in stride(from: 7, to: 0, by: -1) { turning[place] = turning[place - 1] }
      turning[4] = turning[4] &+ one
      turning[0] = one &+ two
    }
    for i in 0..<8 { state[i] = state[i] &+ turning[i] }
  }

  private func schedule() -> [UInt32] {
    var words = (0..<16).map { i in
      block[(4 * i)..<(4 * i + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    for i in 16..<64 {
      let (early, late) = (words[i - 15], words[i - 2])
      let one = turned(early, 7) ^ turned(early, 18) ^ (early >> 3)
      let two = turned(late, 17) ^ turned(late, 19) ^ (late >> 10)
      words.append(words[i - 16] &+ one &+ words[i - 7] &+ two)
    }
    return words
  }

  private func turned(_ word: UInt32, _ by: UInt32) -> UInt32 {
    word >> by | word << (32 - by)
  }
}
