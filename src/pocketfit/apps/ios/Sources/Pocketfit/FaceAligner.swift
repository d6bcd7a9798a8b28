/// A face brought to where a model expects its eyes, nose and mouth. It keeps its picture.
public struct FaceAligner {
  /// A place in an image; the middle of the first pixel is (0, 0).
  public struct Point: Equatable, Sendable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) {
      self.x = x
      self.y = y
    }
  }

  public static let side = 112

  /// Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen.
  ///
  /// Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition".
  private static let arcface = [
    Point(x: 38.2946, y: 51.6963), Point(x: 73.5318, y: 51.5014), Point(x: 56.0252, y: 71.7366),
    Point(x: 41.5493, y: 92.3655), Point(x: 70.7299, y: 92.2041),
  ]

  /// The face, 112 x 112 x 3 of RGB.
  public private(set) var pixels = [UInt8](repeating: 0, count: side * side * 3)

  /// From the template to the picture: x' = a x - b y + shift.x, y' = b x + a y + shift.y.
  private var a = 1.0
  private var b = 0.0
  private var shift = Point(x: 0, y: 0)

  public init() {}

  /// Cuts the face out into `pixels`. What lies outside of the picture is black.
  ///
  /// - Parameters:
  ///   - image: upright RGB pixels, height x width x 3.
  ///   - points: the five landmarks in the picture.
  public mutating func align(
    _ image: UnsafeBufferPointer<UInt8>, height: Int, width: Int, points: [Point]
  ) throws {
    guard image.count == height * width * 3 else {
      throw PocketfitError("the image has \(image.count) bytes, not \(height)x\(width)x3")
    }
    try place(points)
    for y in 0..<FaceAligner.side {
      for x in 0..<FaceAligner.side {
        let (column, row) = (Double(x), Double(y))
        let seen = Point(
          x: a * column - b * row + shift.x, y: b * column + a * row + shift.y)
        blend(image, height, width, seen, to: (y * FaceAligner.side + x) * 3)
      }
    }
  }

  /// The inverse of Umeyama's transformation (1991), which in the plane is a quotient of sums.
  private mutating func place(_ points: [Point]) throws {
    guard points.count == FaceAligner.arcface.count else {
      throw PocketfitError("there are \(points.count) landmarks, not five")
    }
    let start = FaceAligner.mean(points)
    let end = FaceAligner.mean(FaceAligner.arcface)
    var real = 0.0
    var imaginary = 0.0
    var spread = 0.0
    for (point, target) in zip(points, FaceAligner.arcface) {
      let (px, py) = (point.x - start.x, point.y - start.y)
      let (qx, qy) = (target.x - end.x, target.y - end.y)
      real += px * qx + py * qy
      imaginary += px * qy - py * qx
      spread += px * px + py * py
    }
    let size = (real * real + imaginary * imaginary) / spread
    guard spread > 0, size.isFinite, size > 0 else {
      throw PocketfitError("the landmarks are the same or not finite")
    }
    a = real / size
    b = -imaginary / size
    shift = Point(
      x: start.x - (a * end.x - b * end.y), y: start.y - (b * end.x + a * end.y))
  }

  private static func mean(_ points: [Point]) -> Point {
    points.reduce(Point(x: 0, y: 0)) { Point(x: $0.x + $1.x / 5, y: $0.y + $1.y / 5) }
  }

  private mutating func blend(
    _ image: UnsafeBufferPointer<UInt8>, _ height: Int, _ width: Int, _ seen: Point, to place: Int
  ) {
    let (left, top) = (seen.x.rounded(.down), seen.y.rounded(.down))
    let (right, below) = (seen.x - left, seen.y - top)
    func at(_ row: Double, _ column: Double, _ channel: Int) -> Double {
      let isInside =
        column >= 0 && column < Double(width) && row >= 0 && row < Double(height)
      return isInside ? Double(image[(Int(row) * width + Int(column)) * 3 + channel]) : 0
    }
    for channel in 0..<3 {
      let upper =
        at(top, left, channel) * (1 - right) + at(top, left + 1, channel) * right
      let lower =
        at(top + 1, left, channel) * (1 - right) + at(top + 1, left + 1, channel) * right
      let blended = upper * (1 - below) + lower * below
      pixels[place + channel] = UInt8((blended + 0.5).rounded(.down))
    }
  }
}
