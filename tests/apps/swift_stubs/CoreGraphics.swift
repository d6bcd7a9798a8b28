// Stands in for Apple's module, for type checks on Linux. CFString is String, CFTypeRef is Any.
public typealias CFString = String
public typealias CFTypeRef = Any

public class CGImage {
  public var height: Int { fatalError() }
  public var width: Int { fatalError() }
}

public class CGColorSpace {
  public static var sRGB: CFString { fatalError() }
  public init?(name: CFString) { fatalError() }
  init() { fatalError() }
}

public func CGColorSpaceCreateDeviceRGB() -> CGColorSpace { fatalError() }

public struct CGBitmapInfo: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

public enum CGImageAlphaInfo: UInt32 {
  case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst,
    alphaOnly
}

public enum CGColorRenderingIntent: Int32 { case defaultIntent }
