// Stands in for Apple's module, for type checks on Linux.
import Foundation

public struct SHA256 {
  public init() { fatalError() }
  public mutating func update<D: DataProtocol>(data: D) { fatalError() }
  public func finalize() -> SHA256Digest { fatalError() }
}

public struct SHA256Digest: Sequence {
  public func makeIterator() -> Array<UInt8>.Iterator { fatalError() }
}

public struct SymmetricKey {
  public init<D: ContiguousBytes>(data: D) { fatalError() }
}

public enum AES {
  public enum GCM {
    public struct SealedBox {
      public init<D: DataProtocol>(combined: D) throws { fatalError() }
    }
    public static func open<AuthenticatedData: DataProtocol>(
      _ sealedBox: SealedBox, using key: SymmetricKey,
      authenticating authenticatedData: AuthenticatedData
    ) throws -> Data { fatalError() }
  }
}

public enum Curve25519 {
  public enum Signing {
    public struct PublicKey {
      public init<D: ContiguousBytes>(rawRepresentation data: D) throws { fatalError() }
      public func isValidSignature<S: DataProtocol, D: DataProtocol>(_ signature: S, for data: D)
        -> Bool
      { fatalError() }
    }
  }
}
