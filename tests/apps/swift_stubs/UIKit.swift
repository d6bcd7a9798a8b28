// Stands in for Apple's module, and for what Foundation and Dispatch have on iOS alone, for type
// checks on Linux.
@_exported import CoreGraphics
@_exported import Foundation
@_exported import QuartzCore

extension ProcessInfo {
  public enum ThermalState: Int, Sendable { case nominal, fair, serious, critical }
  public var thermalState: ThermalState { fatalError() }
  public var isLowPowerModeEnabled: Bool { fatalError() }
}

public protocol DispatchSourceMemoryPressure: DispatchSourceProtocol {
  var data: DispatchSource.MemoryPressureEvent { get }
}

extension DispatchSource {
  public struct MemoryPressureEvent: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let normal = MemoryPressureEvent(rawValue: 1)
    public static let warning = MemoryPressureEvent(rawValue: 2)
    public static let critical = MemoryPressureEvent(rawValue: 4)
  }

  public class func makeMemoryPressureSource(
    eventMask: MemoryPressureEvent, queue: DispatchQueue? = nil
  ) -> DispatchSourceMemoryPressure { fatalError() }
}

@MainActor
public class UIDevice: NSObject {
  public enum BatteryState: Int, Sendable { case unknown, unplugged, charging, full }
  public class var current: UIDevice { fatalError() }
  public var isBatteryMonitoringEnabled: Bool {
    get { fatalError() }
    set { fatalError() }
  }
  public var batteryLevel: Float { fatalError() }
  public var batteryState: BatteryState { fatalError() }
}

@MainActor
open class UIResponder: NSObject {
  override public init() { fatalError() }
}

@MainActor
public class UIApplication: UIResponder {
  public struct LaunchOptionsKey: Hashable, Sendable {}
}

@MainActor
public protocol UIApplicationDelegate: NSObjectProtocol {
  func application(
    _ application: UIApplication,
    didFinishLaunchingWithOptions launchOptions: [UIApplication.LaunchOptionsKey: Any]?
  ) -> Bool
}

extension UIApplicationDelegate {
  public static func main() { fatalError() }
}

@MainActor
public class UIScreen: NSObject {
  public class var main: UIScreen { fatalError() }
  public var bounds: CGRect { fatalError() }
}

@MainActor
open class UIView: UIResponder {
  public init(frame: CGRect) { fatalError() }
  public var bounds: CGRect { fatalError() }
  public var frame: CGRect {
    get { fatalError() }
    set { fatalError() }
  }
  public var layer: CALayer { fatalError() }
  public func addSubview(_ view: UIView) { fatalError() }
}

@MainActor
public class UIWindow: UIView {
  public var rootViewController: UIViewController?
  public func makeKeyAndVisible() { fatalError() }
}

@MainActor
public class UILabel: UIView {
  public var text: String?
  public var numberOfLines: Int = 1
  public var textColor: UIColor!
}

public class UIColor: NSObject, @unchecked Sendable {
  public class var white: UIColor { fatalError() }
}

@MainActor
open class UIViewController: UIResponder {
  public init(nibName: String?, bundle: Bundle?) { fatalError() }
  convenience override public init() { fatalError() }
  public var view: UIView! { fatalError() }
  open func viewDidLoad() { fatalError() }
  open func viewDidLayoutSubviews() { fatalError() }
}
