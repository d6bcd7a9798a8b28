/// One plane of an image: the sample at (row, column) lies at
/// `row * rowStride + column * pixelStride`.
public struct Plane {
  public var data: UnsafeRawBufferPointer
  public var rowStride: Int
  public var pixelStride: Int

  public init(_ data: UnsafeRawBufferPointer, rowStride: Int, pixelStride: Int = 1) {
    self.data = data
    self.rowStride = rowStride
    self.pixelStride = pixelStride
  }

  static var none: Plane { Plane(UnsafeRawBufferPointer(start: nil, count: 0), rowStride: 0) }
}

/// What an app has in memory, which stays the app's own. Decoded pixels are one plane, a camera
/// image is three.
public struct InputImage {
  public var height: Int
  public var width: Int
  public var y: Plane
  public var u: Plane
  public var v: Plane

  public init(height: Int, width: Int, y: Plane, u: Plane, v: Plane) {
    self.height = height
    self.width = width
    self.y = y
    self.u = u
    self.v = v
  }

  /// Decoded pixels; the format is rgb, rgba or gray. A row stride of 0 is that of rows without
  /// padding.
  public static func pixels(
    _ data: UnsafeRawBufferPointer, height: Int, width: Int, format: Contract.Format,
    rowStride: Int = 0
  ) -> InputImage {
    let channels = format == .gray ? 1 : format == .rgb ? 3 : 4
    let stride = rowStride == 0 ? width * channels : rowStride
    let plane = Plane(data, rowStride: stride, pixelStride: channels)
    return InputImage(height: height, width: width, y: plane, u: .none, v: .none)
  }

  /// Planes behind each other in one buffer; a row stride of 0 is that of rows without padding.
  public static func yuv(
    _ data: UnsafeRawBufferPointer, height: Int, width: Int, format: Contract.Format,
    rowStride: Int = 0
  ) throws -> InputImage {
    let luma = rowStride == 0 ? width : rowStride
    let half = (luma + 1) / 2
    let area = luma * height
    let y = Plane(data, rowStride: luma)
    if format == .i420 {
      let u = Plane(try rest(data, area), rowStride: half)
      let v = Plane(try rest(data, area + half * ((height + 1) / 2)), rowStride: half)
      return InputImage(height: height, width: width, y: y, u: u, v: v)
    }
    let chroma = rowStride == 0 ? 2 * half : rowStride
    let first = Plane(try rest(data, area), rowStride: chroma, pixelStride: 2)
    let second = Plane(try rest(data, area + 1), rowStride: chroma, pixelStride: 2)
    let (u, v) = format == .nv12 ? (first, second) : (second, first)
    return InputImage(height: height, width: width, y: y, u: u, v: v)
  }

  private static func rest(_ data: UnsafeRawBufferPointer, _ offset: Int) throws
    -> UnsafeRawBufferPointer
  {
    guard (0..<data.count).contains(offset) else {
      throw PocketfitError(
        "the buffer is too short for its planes; check the size and the stride")
    }
    return UnsafeRawBufferPointer(rebasing: data[offset...])
  }
}
