import Foundation

/// JSON, as far as a bundle needs it: what Pocketfit writes is read, anything else is refused.
///
/// Foundation's own reader turns some numbers into decimals on Apple's systems and not on others;
/// here every number is the double nearest to its text.
public enum Json: Equatable, Sendable {
  case null
  case truth(Bool)
  case double(Double)
  case text(String)
  case list([Json])
  case map([String: Json])

  public static func parse(_ text: String) throws -> Json {
    var parser = JsonParser(text)
    return try parser.whole()
  }

  public var isNull: Bool { self == .null }

  public var isArray: Bool {
    if case .list = self { return true }
    return false
  }

  public func bool() throws -> Bool {
    guard case .truth(let value) = self else { throw Json.otherKind }
    return value
  }

  public func number() throws -> Double {
    guard case .double(let value) = self else { throw Json.otherKind }
    return value
  }

  /// Whole numbers up to 2^53 are exact; others are refused.
  public func integer() throws -> Int {
    let value = try number()
    guard value == value.rounded(), abs(value) <= 9_007_199_254_740_992 else {
      throw PocketfitError("the JSON has \(value) where a whole number is expected")
    }
    return Int(value)
  }

  public func string() throws -> String {
    guard case .text(let value) = self else { throw Json.otherKind }
    return value
  }

  public func items() throws -> [Json] {
    guard case .list(let value) = self else { throw Json.otherKind }
    return value
  }

  public func members() throws -> [String: Json] {
    guard case .map(let value) = self else { throw Json.otherKind }
    return value
  }

  /// The value of a key that has to be there.
  public func at(_ key: String) throws -> Json {
    guard let found = try members()[key] else { throw PocketfitError("the JSON has no \(key)") }
    return found
  }

  /// The value of a key; nil where it is missing or null.
  public func find(_ key: String) throws -> Json? {
    let found = try members()[key]
    return found == .null ? nil : found
  }

  private static var otherKind: PocketfitError {
    PocketfitError("the JSON has a value of another kind than expected")
  }
}
