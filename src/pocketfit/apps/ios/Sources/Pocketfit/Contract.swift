/// What preprocess.json says; docs/preprocessing.md defines it.
public struct Contract: Equatable, Sendable {
  public enum Format: String, Sendable { case rgb, rgba, gray, nv21, nv12, i420 }

  public enum Matrix: String, Sendable { case bt601, bt709 }

  public enum Range: String, Sendable { case limited, full }

  public enum Rounding: String, Sendable {
    case floor
    case halfEven = "half_even"
  }

  public enum Align: String, Sendable {
    case center
    case topLeft = "top_left"
  }

  public enum Kernel: String, Sendable { case nearest, bilinear, bicubic, box, area }

  public enum Color: String, Sendable { case rgb, bgr, gray }

  public enum Layout: String, Sendable { case nchw, nhwc }

  public enum Dtype: String, Sendable { case float32, uint8, int8 }

  /// In pixels.
  public struct Size: Equatable, Sendable {
    public var height: Int
    public var width: Int

    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  /// The whole image with a margin of a colour in RGB.
  public struct Letterbox: Equatable, Sendable {
    public var size: Size
    public var fill: [UInt8] = [114, 114, 114]
    public var align = Align.center
    public var longer = Rounding.halfEven
  }

  public enum Resize: Equatable, Sendable {
    case none
    case exact(Size)
    case shorterSide(pixels: Int, longer: Rounding)
    case letterbox(Letterbox)
  }

  public struct Crop: Equatable, Sendable {
    public var size: Size
    public var offset = Rounding.floor
  }

  public struct Classes: Equatable, Sendable {
    public var softmax = true
    public var topK = 5
  }

  public struct Boxes: Equatable, Sendable {
    public enum Format: String, Sendable { case xyxy, cxcywh }

    public enum Activation: String, Sendable { case none, sigmoid, softmax }

    public var format = Format.xyxy
    public var normalised = true
    public var activation = Activation.none
    public var scoreThreshold = 0.25
    public var iouThreshold = 0.45
    public var classWise = true
    public var maxBoxes = 100
  }

  public enum Output: Equatable, Sendable {
    case none
    case classes(Classes)
    case boxes(Boxes)
    case embedding(normalise: Bool)
  }

  public var input = Format.rgb
  public var matrix = Matrix.bt601
  public var range = Range.full
  /// As EXIF counts; nil applies the one that comes with the image.
  public var orientation: Int?
  public var resize = Resize.none
  public var kernel = Kernel.bilinear
  public var antialias = true
  public var crop: Crop?
  public var color = Color.rgb
  public var scale = 1.0 / 255
  public var mean = [0.0]
  public var std = [1.0]
  public var layout = Layout.nchw
  public var dtype = Dtype.float32
  public var quantization = Quantization(scale: 1, zeroPoint: 0)
  public var output = Output.none
  public var labels: [String] = []

  public init() {}

  public var isYuv: Bool { [.nv21, .nv12, .i420].contains(input) }

  public var channels: Int { color == .gray ? 1 : 3 }

  /// Empty where the class has no name.
  public func label(_ index: Int) -> String {
    labels.indices.contains(index) ? labels[index] : ""
  }
}
