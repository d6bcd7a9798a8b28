/// What policy.json says; docs/policy.md defines it.
public struct Policy: Sendable {
  /// One way to run the model.
  public struct Variant: Equatable, Sendable {
    public let name: String
    /// An app takes the first whose runtime it has.
    public let artifacts: [ArtifactRef]
    /// Nil is the CPU.
    public let delegate: String?
    /// 0 leaves it to the app.
    public let threads: Int
  }

  /// An artifact of a bundle.
  public struct ArtifactRef: Equatable, Sendable {
    public let runtime: String
    public let precision: String
    /// Folder of its bundle, below the one that ships the policy.
    public let bundle: String
  }

  struct Choice: Sendable {
    let variant: Int
    var every = 1
    var onMs = 1
    var periodMs = 1
    /// Nil takes the policy's.
    var dwellMs: Int?

    func isSame(_ other: Choice) -> Bool {
      (variant, every, onMs, periodMs)
        == (other.variant, other.every, other.onMs, other.periodMs)
    }
  }

  struct Condition: Sendable {
    let sensor: Reading.Sensor
    let isBounded: Bool
    let holdsUnknown: Bool
    let anyOf: [String]
    let enter: ClosedSpan
    let stay: ClosedSpan

    func holds(_ reading: Reading, entered: Bool) -> Bool {
      if sensor == .scene {
        guard let scene = reading.scene else { return holdsUnknown }
        return anyOf.contains(scene)
      }
      guard let value = reading.value(sensor) else { return holdsUnknown }
      return isBounded && (entered ? stay : enter).contains(value)
    }
  }

  /// From low to high, both included; none where low is above high.
  struct ClosedSpan: Sendable {
    let low: Int
    let high: Int

    func contains(_ value: Int) -> Bool { low <= value && value <= high }
  }

  struct Rule: Sendable {
    let name: String
    let when: [Condition]
    let then: Choice
    let isUrgent: Bool

    func holds(_ reading: Reading, entered: Bool) -> Bool {
      when.allSatisfy { $0.holds(reading, entered: entered) }
    }
  }

  struct Handover: Sendable {
    var finishesPending = true
    var drainMs = 500
    var warmupFrames = 1
    var resetsState = false
  }

  public let variants: [Variant]
  let rules: [Rule]
  let otherwise: Choice
  let dwellMs: Int
  let handover: Handover

  /// Name of the rule at that index of a decision.
  public func ruleName(_ index: Int) -> String {
    index < rules.count ? rules[index].name : "default"
  }

  /// Runs the first of a bundle's artifacts that the app has a runtime for, at every frame.
  public static func always(_ artifacts: [Artifact]) -> Policy {
    let refs = artifacts.map {
      ArtifactRef(runtime: $0.runtime, precision: $0.precision, bundle: ".")
    }
    let only = Variant(name: "only", artifacts: refs, delegate: nil, threads: 0)
    return Policy(
      variants: [only], rules: [], otherwise: Choice(variant: 0), dwellMs: 0, handover: Handover())
  }

  func choice(_ index: Int) -> Choice {
    index < rules.count ? rules[index].then : otherwise
  }
}
