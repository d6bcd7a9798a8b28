#if canImport(CoreGraphics) && canImport(Accelerate)
  import Accelerate
  import CoreGraphics

  extension CGImage {
    /// Hands the picture to `body` as RGBA in sRGB, for the time of the call. It is not turned: give
    /// its EXIF orientation to the preprocessor.
    public func withPixels<Result>(_ body: (InputImage) throws -> Result) throws -> Result {
      let space = CGColorSpace(name: CGColorSpace.sRGB) ?? CGColorSpaceCreateDeviceRGB()
      let order = CGBitmapInfo(rawValue: CGImageAlphaInfo.last.rawValue)
      guard
        let format = vImage_CGImageFormat(
          bitsPerComponent: 8, bitsPerPixel: 32, colorSpace: space, bitmapInfo: order)
      else { throw PocketfitError("vImage does not know RGBA in sRGB") }
      let buffer = try vImage_Buffer(cgImage: self, format: format)
      defer { buffer.free() }
      let data = UnsafeRawBufferPointer(start: buffer.data, count: buffer.rowBytes * height)
      return try body(
        InputImage.pixels(
          data, height: height, width: width, format: .rgba, rowStride: buffer.rowBytes))
    }
  }
#endif
