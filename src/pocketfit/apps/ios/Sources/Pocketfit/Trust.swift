import Foundation

/// What has to be true of a bundle before anything in it is believed.
public struct Trust: Equatable, Sendable {
  /// 32 bytes of Ed25519, whose owner has to have signed the bundle; nil takes an unsigned one too.
  public var publicKey: Data?
  /// The bundle's release may not be lower, so that none with known faults is brought back.
  public var leastRelease: Int

  public init(publicKey: Data? = nil, leastRelease: Int = 0) {
    self.publicKey = publicKey
    self.leastRelease = leastRelease
  }

  func checkSignature(of folder: URL, _ manifest: Data) throws {
    guard let publicKey else { return }
    let file = folder.appendingPathComponent("manifest.sig")
    guard let signature = FileManager.default.contents(atPath: file.path) else {
      throw PocketfitError("\(folder.path) is not signed; get it from who signs it")
    }
    guard Cryptography.isSigned(manifest, signature, by: publicKey) else {
      throw PocketfitError(
        "the signature of \(folder.path) is not one of its manifest by that key. Do not use the "
          + "bundle: it was changed since it was signed, or signed by another")
    }
  }

  func checkRelease(of folder: URL, _ manifest: Json) throws {
    let release = try manifest.find("release")?.integer() ?? 0
    guard release >= leastRelease else {
      throw PocketfitError(
        "\(folder.path) is release \(release); \(leastRelease) is the least allowed")
    }
  }
}
