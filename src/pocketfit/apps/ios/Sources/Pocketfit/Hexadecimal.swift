import Foundation

extension Data {
  /// From two digits a byte.
  public init(hexadecimal text: String) throws {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == text.count, digits.count % 2 == 0 else {
      throw PocketfitError("\(text.prefix(16)) is not hexadecimal")
    }
    self.init(
      stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
  }
}
