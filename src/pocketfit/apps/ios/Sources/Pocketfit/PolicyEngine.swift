/// For one frame.
public struct Decision: Equatable, Sendable {
  public enum Action: String, Sendable {
    case infer, skip, wait
    case warmUp = "warm_up"
  }

  public enum Command: String, Sendable { case none, drain, swap }

  /// Index of the rule that is followed; the number of rules stands for the default.
  public var rule: Int
  /// Index of the variant.
  public var variant: Int
  public var action: Action
  public var command = Command.none
  public var dropPending = false
  public var reset = false

  public init(rule: Int, variant: Int, action: Action, command: Command = .none) {
    self.rule = rule
    self.variant = variant
    self.action = action
    self.command = command
  }
}

/// Decides, frame by frame, which variant runs and whether the frame is inferred; nothing is
/// allocated.
public struct PolicyEngine: Sendable {
  private enum Phase { case steady, draining, loading, warming }

  public let policy: Policy

  private var now = 0
  private var since = 0
  private var anchor = 0
  private var latched: UInt64 = 0
  private var rule: Int?
  private var variant: Int?
  private var phase = Phase.steady
  private var warmUps = 0
  private var frames = 0

  public init(_ policy: Policy) {
    self.policy = policy
  }

  /// Decides for one frame; docs/policy.md numbers the steps.
  public mutating func step(_ reading: Reading) -> Decision {
    now = max(now, reading.timeMs)
    latch(reading)
    let wanted = latched == 0 ? policy.rules.count : latched.trailingZeroBitCount
    if phase == .steady && wanted != rule && mayLeave(for: wanted) {
      return choose(wanted, reading)
    }
    return goOn(wanted, reading)
  }

  private mutating func latch(_ reading: Reading) {
    var bits: UInt64 = 0
    for (place, rule) in policy.rules.enumerated()
    where rule.holds(reading, entered: latched >> UInt64(place) & 1 == 1) {
      bits |= 1 << UInt64(place)
    }
    latched = bits
  }

  private func isSame(_ wanted: Int) -> Bool {
    guard let rule else { return false }
    return policy.choice(rule).isSame(policy.choice(wanted))
  }

  private func mayLeave(for wanted: Int) -> Bool {
    guard let rule, !isSame(wanted) else { return true }
    if wanted < policy.rules.count && policy.rules[wanted].isUrgent { return true }
    return now - since >= policy.choice(rule).dwellMs ?? policy.dwellMs
  }

  private mutating func choose(_ wanted: Int, _ reading: Reading) -> Decision {
    let nothingChanges = isSame(wanted)
    rule = wanted
    if nothingChanges { return goOn(wanted, reading) }
    (since, anchor, frames) = (now, now, 0)
    let next = policy.choice(wanted).variant
    if variant == next { return goOn(wanted, reading) }
    if variant != nil && reading.inFlight > 0 && policy.handover.finishesPending {
      phase = .draining
      return decide(wanted, .wait, .drain)
    }
    return swap(wanted, reading)
  }

  private mutating func goOn(_ wanted: Int, _ reading: Reading) -> Decision {
    let rule = self.rule ?? wanted
    if phase == .draining {
      let waits = reading.inFlight > 0 && now - since < policy.handover.drainMs
      return waits ? decide(rule, .wait) : swap(rule, reading)
    }
    if phase == .loading {
      guard reading.ready else { return decide(rule, .wait) }
      phase = .warming
      warmUps = policy.handover.warmupFrames
    }
    if phase == .warming {
      if warmUps > 0 {
        warmUps -= 1
        return decide(rule, .warmUp)
      }
      (phase, anchor, frames) = (.steady, now, 0)
    }
    return decideByDuty(rule)
  }

  private mutating func swap(_ rule: Int, _ reading: Reading) -> Decision {
    let drop = variant != nil && reading.inFlight > 0
    phase = .loading
    variant = policy.choice(rule).variant
    var decision = decide(rule, .wait, .swap)
    decision.dropPending = drop
    decision.reset = policy.handover.resetsState
    return decision
  }

  private mutating func decideByDuty(_ rule: Int) -> Decision {
    let choice = policy.choice(rule)
    if (now - anchor) % choice.periodMs >= choice.onMs { return decide(rule, .skip) }
    let action = frames == 0 ? Decision.Action.infer : .skip
    frames = (frames + 1) % choice.every
    return decide(rule, action)
  }

  private func decide(
    _ rule: Int, _ action: Decision.Action, _ command: Decision.Command = .none
  ) -> Decision {
    let variant = self.variant ?? policy.choice(rule).variant
    return Decision(rule: rule, variant: variant, action: action, command: command)
  }
}
