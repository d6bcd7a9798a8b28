// Stands in for Apple's module, for type checks on Linux.
import Foundation

open class CALayer: NSObject {
  override public init() { fatalError() }
  public var frame: CGRect {
    get { fatalError() }
    set { fatalError() }
  }
  public func addSublayer(_ layer: CALayer) { fatalError() }
}
