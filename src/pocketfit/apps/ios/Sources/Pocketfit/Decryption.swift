import Foundation

/// Which files of a bundle lie there encrypted with AES-256 in Galois counter mode.
struct Decryption {
  private let id: String
  private let files: Set<String>
  private let key: Data?

  init(_ json: Json, key: Data?) throws {
    let algorithm = try json.at("algorithm").string()
    guard algorithm == "AES-256-GCM" else {
      throw PocketfitError("the bundle is encrypted with \(algorithm), which is not known")
    }
    id = try json.at("id").string()
    files = Set(try json.at("files").items().map { try $0.string() })
    self.key = key
  }

  func covers(_ name: String) -> Bool { files.contains(name) }

  /// A file is its nonce, the ciphertext and the tag; the bundle's id and its name are bound to it.
  func open(_ content: Data, _ name: String) throws -> Data {
    guard let key else {
      throw PocketfitError("\(name) is encrypted; give ModelBundle.open the bundle's key")
    }
    let boundTo = Data("\(id)/\(name)".utf8)
    guard let plain = Cryptography.open(content, key: key, boundTo: boundTo) else {
      throw PocketfitError(
        "\(name) cannot be decrypted: the key is another one, or the file belongs elsewhere")
    }
    return plain
  }
}
