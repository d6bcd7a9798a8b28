#if canImport(UIKit)
  import Dispatch
  import Foundation
  import UIKit

  /// What this phone tells a policy, as docs/policy.md says.
  @MainActor
  public final class DeviceSensors {
    private let pressure = DispatchSource.makeMemoryPressureSource(
      eventMask: [.normal, .warning, .critical], queue: .main)
    private var memoryPressure = 0

    public init() {
      UIDevice.current.isBatteryMonitoringEnabled = true
      pressure.setEventHandler { [weak self] in
        MainActor.assumeIsolated { self?.noticePressure() }
      }
      pressure.resume()
    }

    /// All but the app's own numbers: its scene, the time of an inference and what is in flight.
    public func read() -> Reading {
      var reading = Reading(timeMs: Int(DispatchTime.now().uptimeNanoseconds / 1_000_000))
      let device = UIDevice.current
      reading.batteryPercent = device.batteryLevel < 0 ? nil : Int(device.batteryLevel * 100)
      reading.charging = DeviceSensors.isCharging(device.batteryState)
      reading.thermalStatus = DeviceSensors.status(ProcessInfo.processInfo.thermalState)
      reading.lowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
      reading.memoryPressure = memoryPressure
      return reading
    }

    static func isCharging(_ state: UIDevice.BatteryState) -> Bool? {
      switch state {
      case .charging, .full: return true
      case .unplugged: return false
      default: return nil
      }
    }

    static func status(_ state: ProcessInfo.ThermalState) -> Int? {
      switch state {
      case .nominal: return 0
      case .fair: return 1
      case .serious: return 3
      case .critical: return 4
      @unknown default: return nil
      }
    }

    private func noticePressure() {
      let event = pressure.data
      memoryPressure = event.contains(.critical) ? 3 : event.contains(.warning) ? 2 : 0
    }
  }
#endif
