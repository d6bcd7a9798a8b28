/// All that is known at one frame; what is nil or beyond its range is unknown.
public struct Reading: Equatable, Sendable {
  /// Of a clock that never goes back.
  public var timeMs = 0
  /// 0 to 100.
  public var batteryPercent: Int?
  public var charging: Bool?
  /// 0 to 6, as docs/policy.md counts.
  public var thermalStatus: Int?
  /// 0 to 10,000; iOS has none.
  public var headroomPermille: Int?
  /// 0 to 3.
  public var memoryPressure: Int?
  public var lowPower: Bool?
  /// Time of an inference at present, in microseconds.
  public var frameUs: Int?
  /// The app's own tag.
  public var scene: String?
  /// Frames that the variant in use has taken and not yet answered.
  public var inFlight = 0
  /// Whether the variant last asked for is open.
  public var ready = true

  public init(timeMs: Int = 0) {
    self.timeMs = timeMs
  }

  /// What a policy can look at, by the name it has there.
  enum Sensor: String {
    case batteryPercent = "battery_percent"
    case charging
    case thermalStatus = "thermal_status"
    case headroomPermille = "headroom_permille"
    case memoryPressure = "memory_pressure"
    case lowPower = "low_power"
    case frameUs = "frame_us"
    case scene
  }

  /// A number, with 1 for yes and 0 for no; nil where it is unknown.
  func value(_ sensor: Sensor) -> Int? {
    switch sensor {
    case .batteryPercent: return known(batteryPercent, 100)
    case .charging: return charging.map { $0 ? 1 : 0 }
    case .thermalStatus: return known(thermalStatus, 6)
    case .headroomPermille: return known(headroomPermille, 10_000)
    case .memoryPressure: return known(memoryPressure, 3)
    case .lowPower: return lowPower.map { $0 ? 1 : 0 }
    case .frameUs: return known(frameUs, 2_147_483_647)
    case .scene: return nil
    }
  }

  private func known(_ value: Int?, _ largest: Int) -> Int? {
    guard let value, value >= 0, value <= largest else { return nil }
    return value
  }
}
