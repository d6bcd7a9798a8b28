/// In microseconds; docs/frames.md tells what they do.
public struct Pace: Equatable, Sendable {
  public var intervalUs: Int
  public var budgetUs: Int
  public var staleUs: Int

  /// By default a budget of 60 frames a second.
  public init(intervalUs: Int = 16_666, budgetUs: Int = 16_666, staleUs: Int = 49_998) {
    self.intervalUs = intervalUs
    self.budgetUs = budgetUs
    self.staleUs = staleUs
  }
}

/// What to do after an event.
public struct FrameStep: Equatable, Sendable {
  public enum Outcome: String, Sendable {
    case start, keep, skip, early, use, discard
    case warmUp = "warm_up"
  }

  public internal(set) var outcome = Outcome.skip
  /// The frame to run now; -1 for none.
  public internal(set) var start = -1
  /// The buffer that holds it; -1 for none.
  public internal(set) var buffer = -1
  public internal(set) var warmUp = false
  /// A waiting frame that is dropped; -1 for none.
  public internal(set) var displaced = -1
  public internal(set) var late = false
  /// The buffer for the camera's next frame.
  public internal(set) var fill = 0
}

/// Which camera frames a model runs: drop, do not queue; the latest frame wins. Nothing is
/// allocated.
public struct FrameScheduler: Sendable {
  private struct Held {
    var frame = -1
    var arrived = 0
    var buffer = -1
    var since = 0
    var warmUp = false
    var discard = false
  }

  public static let buffers = 3

  /// For the policy's reading; 0 is unknown.
  public private(set) var frameUs = 0
  /// The buffer that the camera writes the next frame to.
  public private(set) var fill = 0

  private let pace: Pace
  private var running = Held()
  private var waiting = Held()
  private var now = 0
  private var due = 0
  private var seen = 0
  private var owed = 0
  private var isFresh = true

  public init(_ pace: Pace = Pace()) {
    self.pace = pace
  }

  /// For the policy's reading.
  public var inFlight: Int { running.frame >= 0 ? 1 : 0 }

  /// A frame came, in the buffer `fill`; docs/frames.md numbers the steps.
  public mutating func arrive(_ nowUs: Int, _ decision: Decision) -> FrameStep {
    now = max(now, nowUs)
    let came = Held(frame: seen, arrived: now, buffer: fill)
    seen += 1
    var step = FrameStep()
    step.displaced = obey(decision)
    step.fill = fill
    guard decision.action == .infer || decision.action == .warmUp else { return step }
    step.outcome = .early
    if 2 * (due - now) > pace.intervalUs { return step }
    due = max(due, now) + pace.intervalUs
    fill = freeBuffer(came.buffer)
    step.fill = fill
    if running.frame < 0 {
      step.outcome = .start
      start(came, &step)
      return step
    }
    step.outcome = .keep
    step.displaced = waiting.frame
    waiting = came
    return step
  }

  /// The model has answered.
  public mutating func finish(_ nowUs: Int) throws -> FrameStep {
    guard running.frame >= 0 else {
      throw PocketfitError("no frame is run, so none can be finished")
    }
    now = max(now, nowUs)
    var step = FrameStep()
    step.outcome = running.discard ? .discard : running.warmUp ? .warmUp : .use
    step.late = now - running.arrived > pace.budgetUs
    step.fill = fill
    if step.outcome == .use { time(min(now - running.since, Int(Int32.max))) }
    running = Held()
    let next = waiting
    waiting = Held()
    guard next.frame >= 0 else { return step }
    if now - next.arrived > pace.staleUs {
      step.displaced = next.frame
    } else {
      start(next, &step)
    }
    return step
  }

  /// The waiting frame that is dropped; -1 for none.
  private mutating func obey(_ decision: Decision) -> Int {
    if decision.action == .warmUp { owed += 1 }
    if decision.command == .swap {
      owed = 0
      isFresh = true
    }
    if decision.dropPending && running.frame >= 0 { running.discard = true }
    guard decision.action == .wait else { return -1 }
    let dropped = waiting.frame
    waiting = Held()
    return dropped
  }

  private mutating func start(_ held: Held, _ step: inout FrameStep) {
    running = held
    running.since = now
    running.warmUp = owed > 0
    owed -= running.warmUp ? 1 : 0
    step.start = held.frame
    step.buffer = held.buffer
    step.warmUp = running.warmUp
  }

  /// A moving average over about eight answers, which a new variant begins anew.
  private mutating func time(_ took: Int) {
    frameUs = isFresh ? took : (7 * frameUs + took) / 8
    isFresh = false
  }

  private func freeBuffer(_ came: Int) -> Int {
    var buffer = 0
    while buffer == came || buffer == running.buffer { buffer += 1 }
    return buffer
  }
}
