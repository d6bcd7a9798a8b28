import Foundation

#if canImport(CryptoKit)
  import CryptoKit
#endif

/// SHA-256 of what is added piece by piece: CryptoKit's where there is CryptoKit.
public struct Sha256 {
  #if canImport(CryptoKit)
    private var hash = SHA256()
  #else
    private var hash = PlainSha256()
  #endif

  public init() {}

  public mutating func update(_ data: Data) {
    hash.update(data: data)
  }

  /// Of everything so far, in hexadecimal.
  public func hex() -> String {
    hash.finalize().map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }

  /// Of a file, which is read piece by piece.
  static func hex(of file: URL) throws -> String {
    guard let stream = FileHandle(forReadingAtPath: file.path) else {
      throw PocketfitError("\(file.path) cannot be read")
    }
    defer { stream.closeFile() }
    var hash = Sha256()
    while let piece = try stream.read(upToCount: 1 << 16), !piece.isEmpty {
      hash.update(piece)
    }
    return hash.hex()
  }
}
