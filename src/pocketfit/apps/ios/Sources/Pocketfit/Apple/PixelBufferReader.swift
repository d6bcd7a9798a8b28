#if canImport(CoreVideo) && canImport(Accelerate)
  import Accelerate
  import CoreVideo

  /// Reads camera images in place; only BGRA is brought into another order, in memory that is kept.
  /// One for each thread.
  public final class PixelBufferReader {
    private let contract: Contract
    private var rgba = Memory<UInt8>(repeating: 0, count: 0)

    public init(_ contract: Contract) {
      self.contract = contract
    }

    /// What AVCaptureVideoDataOutput has to be asked for under `kCVPixelBufferPixelFormatTypeKey`.
    public var pixelFormat: OSType {
      guard contract.isYuv else { return kCVPixelFormatType_32BGRA }
      return contract.range == .full
        ? kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
        : kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
    }

    /// Hands an image to `body`, for the time of the call.
    public func read<Result>(_ buffer: CVPixelBuffer, _ body: (InputImage) throws -> Result) throws
      -> Result
    {
      let format = CVPixelBufferGetPixelFormatType(buffer)
      guard format == pixelFormat else {
        throw PocketfitError(
          "the buffer has the pixel format \(format), the contract needs \(pixelFormat). "
            + "Ask the camera for PixelBufferReader.pixelFormat")
      }
      guard CVPixelBufferLockBaseAddress(buffer, .readOnly) == kCVReturnSuccess else {
        throw PocketfitError("the pixel buffer cannot be locked")
      }
      defer { _ = CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
      return try body(contract.isYuv ? yuv(buffer) : pixels(buffer))
    }

    private func yuv(_ buffer: CVPixelBuffer) throws -> InputImage {
      try checkMatrix(buffer)
      let chroma = try plane(buffer, 1, pixelStride: 2)
      var later = chroma
      later.data = UnsafeRawBufferPointer(rebasing: chroma.data.dropFirst())
      return InputImage(
        height: CVPixelBufferGetHeight(buffer), width: CVPixelBufferGetWidth(buffer),
        y: try plane(buffer, 0, pixelStride: 1), u: chroma, v: later)
    }

    private func plane(_ buffer: CVPixelBuffer, _ index: Int, pixelStride: Int) throws -> Plane {
      guard let start = CVPixelBufferGetBaseAddressOfPlane(buffer, index) else {
        throw PocketfitError("the pixel buffer has no plane \(index)")
      }
      let stride = CVPixelBufferGetBytesPerRowOfPlane(buffer, index)
      let bytes = stride * CVPixelBufferGetHeightOfPlane(buffer, index)
      let data = UnsafeRawBufferPointer(start: start, count: bytes)
      return Plane(data, rowStride: stride, pixelStride: pixelStride)
    }

    private func checkMatrix(_ buffer: CVPixelBuffer) throws {
      let told = CVBufferCopyAttachment(buffer, kCVImageBufferYCbCrMatrixKey, nil) as? String
      let wanted =
        contract.matrix == .bt601
        ? kCVImageBufferYCbCrMatrix_ITU_R_601_4 : kCVImageBufferYCbCrMatrix_ITU_R_709_2
      guard let told, told != wanted as String else { return }
      throw PocketfitError(
        "the buffer's colours are \(told), the contract's \(contract.matrix.rawValue). "
          + "Set the contract's matrix to what this camera gives")
    }

    private func pixels(_ buffer: CVPixelBuffer) throws -> InputImage {
      let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
      if rgba.count != height * width * 4 { rgba = Memory(repeating: 0, count: height * width * 4) }
      var source = vImage_Buffer(
        data: CVPixelBufferGetBaseAddress(buffer), height: vImagePixelCount(height),
        width: vImagePixelCount(width), rowBytes: CVPixelBufferGetBytesPerRow(buffer))
      var target = vImage_Buffer(
        data: rgba.start, height: vImagePixelCount(height), width: vImagePixelCount(width),
        rowBytes: width * 4)
      let order: [UInt8] = [2, 1, 0, 3]
      let error = vImagePermuteChannels_ARGB8888(
        &source, &target, order, vImage_Flags(kvImageNoFlags))
      guard error == kvImageNoError else { throw PocketfitError("vImage failed with \(error)") }
      return InputImage.pixels(rgba.bytes, height: height, width: width, format: .rgba)
    }
  }
#endif
