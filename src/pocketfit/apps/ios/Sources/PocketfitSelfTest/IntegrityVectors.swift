import Foundation
import Pocketfit

/// Signatures and encrypted texts, right ones and spoilt ones.
enum IntegrityVectors {
  static func ed25519(_ test: Json) throws -> Bool {
    let found = Cryptography.isSigned(
      try bytes(test.at("message")), try bytes(test.at("signature")),
      by: try bytes(test.at("public_key")))
    return try found == test.at("valid").bool()
  }

  static func aesGcm(_ test: Json) throws -> Bool {
    let found = Cryptography.open(
      try bytes(test.at("sealed")), key: try bytes(test.at("key")),
      boundTo: try bytes(test.at("bound_to")))
    return try found == test.find("text").map { try bytes($0) }
  }

  private static func bytes(_ text: Json) throws -> Data {
    try Data(hexadecimal: text.string())
  }
}
