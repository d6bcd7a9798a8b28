// Stands in for Apple's module, for type checks on Linux.
@_exported import CoreVideo

public class CMSampleBuffer {
  init() { fatalError() }
}

public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { fatalError() }
