import Foundation

/// Everything that is refused: a file, an image or an output that is not what it has to be.
public struct PocketfitError: LocalizedError, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) {
    self.description = description
  }

  public var errorDescription: String? { description }
}
