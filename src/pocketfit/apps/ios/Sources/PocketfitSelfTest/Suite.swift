/// What a suite of vectors came to.
public struct Suite: Equatable, Sendable {
  public internal(set) var name: String
  public private(set) var passed = 0
  public private(set) var total = 0
  /// What differs.
  public private(set) var differences: [String] = []

  init(_ name: String) {
    self.name = name
  }

  public var json: String {
    "{\"suite\": \"\(name)\", \"passed\": \(passed), \"total\": \(total)}"
  }

  mutating func count(_ good: Bool, _ what: String) {
    total += 1
    if good {
      passed += 1
    } else {
      differences.append("\(name): \(what) differs")
    }
  }
}
