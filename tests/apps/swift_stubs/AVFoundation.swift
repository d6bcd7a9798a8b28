// Stands in for Apple's module, for type checks on Linux.
@_exported import CoreMedia
@_exported import Foundation
@_exported import QuartzCore

public struct AVMediaType: Sendable {
  public static let video = AVMediaType()
}

public class AVCaptureDevice: NSObject {
  public class func `default`(for mediaType: AVMediaType) -> AVCaptureDevice? { fatalError() }
  public class func requestAccess(
    for mediaType: AVMediaType, completionHandler handler: @escaping @Sendable (Bool) -> Void
  ) { fatalError() }
}

public class AVCaptureInput: NSObject {}
public class AVCaptureOutput: NSObject {}
public class AVCaptureConnection: NSObject {}

public class AVCaptureDeviceInput: AVCaptureInput {
  public init(device: AVCaptureDevice) throws { fatalError() }
}

public class AVCaptureVideoDataOutput: AVCaptureOutput {
  public var videoSettings: [String: Any]! {
    get { fatalError() }
    set { fatalError() }
  }
  public var alwaysDiscardsLateVideoFrames: Bool {
    get { fatalError() }
    set { fatalError() }
  }
  public func setSampleBufferDelegate(
    _ sampleBufferDelegate: AVCaptureVideoDataOutputSampleBufferDelegate?,
    queue sampleBufferCallbackQueue: DispatchQueue?
  ) { fatalError() }
}

public protocol AVCaptureVideoDataOutputSampleBufferDelegate: NSObjectProtocol {
  func captureOutput(
    _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer,
    from connection: AVCaptureConnection)
}

public class AVCaptureSession: NSObject {
  public func canAddInput(_ input: AVCaptureInput) -> Bool { fatalError() }
  public func canAddOutput(_ output: AVCaptureOutput) -> Bool { fatalError() }
  public func addInput(_ input: AVCaptureInput) { fatalError() }
  public func addOutput(_ output: AVCaptureOutput) { fatalError() }
  public func startRunning() { fatalError() }
}

public class AVCaptureVideoPreviewLayer: CALayer {
  public init(session: AVCaptureSession) { fatalError() }
}
