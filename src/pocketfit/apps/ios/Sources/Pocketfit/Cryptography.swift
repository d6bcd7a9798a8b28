import Foundation

#if canImport(CryptoKit)
  import CryptoKit
#endif

/// Signatures and ciphers: CryptoKit's where there is CryptoKit.
public enum Cryptography {
  /// Whether the owner of an Ed25519 key has signed the message.
  public static func isSigned(_ message: Data, _ signature: Data, by publicKey: Data) -> Bool {
    #if canImport(CryptoKit)
      guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
        return false
      }
      return signature.count == 64 && key.isValidSignature(signature, for: message)
    #else
      return PlainEd25519.isSigned([UInt8](message), [UInt8](signature), by: [UInt8](publicKey))
    #endif
  }

  /// What was encrypted by AES-256 in Galois counter mode; nil where key, nonce, tag or what the text
  /// is bound to is another one.
  ///
  /// - Parameter sealed: the nonce (12 bytes), the ciphertext and the tag (16 bytes).
  public static func open(_ sealed: Data, key: Data, boundTo: Data) -> Data? {
    guard key.count == 32 else { return nil }
    #if canImport(CryptoKit)
      guard let box = try? AES.GCM.SealedBox(combined: sealed) else { return nil }
      return try? AES.GCM.open(box, using: SymmetricKey(data: key), authenticating: boundTo)
    #else
      return PlainAesGcm([UInt8](key)).open([UInt8](sealed), boundTo: [UInt8](boundTo)).map {
        Data($0)
      }
    #endif
  }
}
