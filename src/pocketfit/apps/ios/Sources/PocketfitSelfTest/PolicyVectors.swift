import Foundation
import Pocketfit

/// Policies, readings and decisions, one case a line.
struct PolicyVectors {
  private let policy: Policy
  private let readings: [String: [Json]]
  private let decisions: [String: [Json]]

  private init(_ test: Json) throws {
    policy = try Policy(test.at("policy"))
    readings = try test.at("readings").members().mapValues { try $0.items() }
    decisions = try test.at("decisions").members().mapValues { try $0.items() }
  }

  static func replay(_ text: String) throws -> Suite {
    var suite = Suite("policy")
    for line in text.split(separator: "\n") {
      let test = try Json.parse(String(line))
      suite.count(try PolicyVectors(test).replay(), try test.at("name").string())
    }
    return suite
  }

  private func replay() throws -> Bool {
    var engine = PolicyEngine(policy)
    for frame in 0..<(readings["time_ms"]?.count ?? 0) {
      let decision = engine.step(try reading(frame))
      guard try isSame(decision, frame) else { return false }
    }
    return true
  }

  private func reading(_ frame: Int) throws -> Reading {
    var reading = Reading(timeMs: try cell(readings, "time_ms", frame).integer())
    reading.batteryPercent = try number("battery_percent", frame)
    reading.charging = try flag("charging", frame)
    reading.thermalStatus = try number("thermal_status", frame)
    reading.headroomPermille = try number("headroom_permille", frame)
    reading.memoryPressure = try number("memory_pressure", frame)
    reading.lowPower = try flag("low_power", frame)
    reading.frameUs = try number("frame_us", frame)
    reading.scene = try known("scene", frame)?.string()
    reading.inFlight = try cell(readings, "in_flight", frame).integer()
    reading.ready = try cell(readings, "ready", frame).bool()
    return reading
  }

  private func known(_ sensor: String, _ frame: Int) throws -> Json? {
    let value = try cell(readings, sensor, frame)
    return value.isNull ? nil : value
  }

  private func number(_ sensor: String, _ frame: Int) throws -> Int? {
    try known(sensor, frame)?.integer()
  }

  private func flag(_ sensor: String, _ frame: Int) throws -> Bool? {
    try known(sensor, frame)?.bool()
  }

  private func isSame(_ decision: Decision, _ frame: Int) throws -> Bool {
    try policy.ruleName(decision.rule) == cell(decisions, "rule", frame).string()
      && policy.variants[decision.variant].name == cell(decisions, "variant", frame).string()
      && decision.action.rawValue == cell(decisions, "action", frame).string()
      && decision.command.rawValue == cell(decisions, "command", frame).string()
      && decision.dropPending == cell(decisions, "drop_pending", frame).bool()
      && decision.reset == cell(decisions, "reset", frame).bool()
  }

  private func cell(_ columns: [String: [Json]], _ name: String, _ frame: Int) throws -> Json {
    guard let column = columns[name], frame < column.count else {
      throw PocketfitError("the vectors have no \(name) at frame \(frame)")
    }
    return column[frame]
  }
}
