import Foundation
import Pocketfit

/// Simulated cameras, one case a line, and a camera on a thread of its own.
struct FrameVectors {
  private typealias Columns = [String: [Json]]

  private let pace: Pace
  private let events: Columns
  private let steps: Columns
  private let frameUs: [Json]

  private init(_ test: Json) throws {
    let given = try test.at("pace")
    pace = Pace(
      intervalUs: try given.at("interval_us").integer(),
      budgetUs: try given.at("budget_us").integer(), staleUs: try given.at("stale_us").integer())
    events = try test.at("events").members().mapValues { try $0.items() }
    steps = try test.at("steps").members().mapValues { try $0.items() }
    frameUs = try test.at("frame_us").items()
  }

  static func areIn(_ text: String) throws -> Bool {
    guard let line = text.split(separator: "\n").first else { return false }
    return try Json.parse(String(line)).find("pace") != nil
  }

  static func replay(_ text: String) throws -> [Suite] {
    var suite = Suite("frames")
    for line in text.split(separator: "\n") {
      let test = try Json.parse(String(line))
      suite.count(try FrameVectors(test).replay(), try test.at("name").string())
    }
    var threads = Suite("frame threads")
    threads.count(ThreadedCamera().isRight(), "the simulated camera")
    return [suite, threads]
  }

  private func replay() throws -> Bool {
    var scheduler = FrameScheduler(pace)
    for (event, time) in (events["time_us"] ?? []).enumerated() {
      let nowUs = try time.integer()
      let hasEnded = try cell(events, "action", event).isNull
      let step =
        try hasEnded ? scheduler.finish(nowUs) : scheduler.arrive(nowUs, decision(event))
      guard try isSame(step, event), try scheduler.frameUs == frameUs[event].integer() else {
        return false
      }
    }
    return true
  }

  private func decision(_ event: Int) throws -> Decision {
    guard let action = Decision.Action(rawValue: try cell(events, "action", event).string()),
      let command = Decision.Command(rawValue: try cell(events, "command", event).string())
    else { throw PocketfitError("the vectors have an unknown decision at event \(event)") }
    var decision = Decision(rule: 0, variant: 0, action: action, command: command)
    decision.dropPending = try cell(events, "drop_pending", event).bool()
    return decision
  }

  private func isSame(_ step: FrameStep, _ event: Int) throws -> Bool {
    try step.outcome.rawValue == cell(steps, "outcome", event).string()
      && step.start == cell(steps, "start", event).integer()
      && step.buffer == cell(steps, "buffer", event).integer()
      && step.warmUp == cell(steps, "warm_up", event).bool()
      && step.displaced == cell(steps, "displaced", event).integer()
      && step.late == cell(steps, "late", event).bool()
      && step.fill == cell(steps, "fill", event).integer()
  }

  private func cell(_ columns: Columns, _ name: String, _ event: Int) throws -> Json {
    guard let column = columns[name], event < column.count else {
      throw PocketfitError("the vectors have no \(name) at event \(event)")
    }
    return column[event]
  }
}

/// Every frame is run whole, at most once and in order, the last one too; nothing depends on how
/// fast the threads are. What the model's thread writes is read when the runner is closed.
private final class ThreadedCamera: @unchecked Sendable {
  private static let frames = 2_000
  private var used: [Int] = []
  private var content = -1
  private var isGood = true

  func isRight() -> Bool {
    let runner = FrameRunner<[Int]>(
      run: { self.run($0) }, use: { self.use($0) },
      pace: Pace(intervalUs: 0, budgetUs: 0, staleUs: Int(Int32.max)),
      newBuffer: { [Int](repeating: 0, count: 4_096) })
    let infer = Decision(rule: 0, variant: 0, action: .infer)
    var displaced = 0
    for frame in 0..<ThreadedCamera.frames {
      let step = runner.offer(infer) { buffer in
        for index in buffer.indices { buffer[index] = frame }
      }
      displaced += step.displaced >= 0 ? 1 : 0
    }
    runner.close()
    return isGood && used.last == ThreadedCamera.frames - 1
      && used.count + displaced == ThreadedCamera.frames
  }

  private func run(_ buffer: [Int]) {
    content = buffer[0]
    isGood = isGood && buffer.allSatisfy { $0 == content }
  }

  private func use(_ frame: Int) {
    isGood = isGood && content == frame && (used.last ?? -1) < frame
    used.append(frame)
  }
}
