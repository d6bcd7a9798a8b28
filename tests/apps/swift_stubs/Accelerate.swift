// Stands in for Apple's module, for type checks on Linux.
import CoreGraphics

public typealias vImagePixelCount = UInt
public typealias vImage_Error = Int
public typealias vImage_Flags = UInt32

public var kvImageNoFlags: Int { 0 }
public var kvImageNoError: Int { 0 }

public struct vImage_Buffer {
  public var data: UnsafeMutableRawPointer!
  public var height: vImagePixelCount
  public var width: vImagePixelCount
  public var rowBytes: Int

  public init(
    data: UnsafeMutableRawPointer!, height: vImagePixelCount, width: vImagePixelCount, rowBytes: Int
  ) { fatalError() }
  public init(cgImage: CGImage, format: vImage_CGImageFormat, flags: Int = 0) throws {
    fatalError()
  }
  public func free() { fatalError() }
}

public struct vImage_CGImageFormat {
  public init?(
    bitsPerComponent: Int, bitsPerPixel: Int, colorSpace: CGColorSpace, bitmapInfo: CGBitmapInfo,
    renderingIntent: CGColorRenderingIntent = .defaultIntent
  ) { fatalError() }
}

public func vImagePermuteChannels_ARGB8888(
  _ src: UnsafePointer<vImage_Buffer>, _ dest: UnsafePointer<vImage_Buffer>,
  _ permuteMap: UnsafePointer<UInt8>, _ flags: vImage_Flags
) -> vImage_Error { fatalError() }
