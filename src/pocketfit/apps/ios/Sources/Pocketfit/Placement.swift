/// Where an image comes to lie in the model's input; sizes and offsets in pixels.
public struct Placement: Equatable, Sendable {
  /// Of the image, turned upright.
  public let imageHeight: Int
  public let imageWidth: Int
  /// Of the image after the resize.
  public private(set) var resizedHeight: Int
  public private(set) var resizedWidth: Int
  /// Of the model's input.
  public private(set) var height: Int
  public private(set) var width: Int
  /// Of the resized image's corner from the input's: negative after a crop, positive in a
  /// letterbox.
  public private(set) var top = 0
  public private(set) var left = 0

  public init(imageHeight: Int, imageWidth: Int, contract: Contract) throws {
    guard imageHeight > 0, imageWidth > 0 else { throw PocketfitError("the image is empty") }
    self.imageHeight = imageHeight
    self.imageWidth = imageWidth
    (resizedHeight, resizedWidth, height, width) =
      (imageHeight, imageWidth, imageHeight, imageWidth)
    resize(contract)
    if let crop = contract.crop { try cut(crop) }
  }

  /// A quotient of whole numbers above 0, rounded.
  public static func divide(_ numerator: Int, _ denominator: Int, _ rounding: Contract.Rounding)
    -> Int
  {
    let (quotient, rest) = numerator.quotientAndRemainder(dividingBy: denominator)
    if rounding == .floor || 2 * rest < denominator { return quotient }
    return 2 * rest > denominator ? quotient + 1 : quotient + quotient % 2
  }

  private mutating func resize(_ contract: Contract) {
    switch contract.resize {
    case .none: break
    case .exact(let size): resize(size.height, size.width)
    case .shorterSide(let pixels, let longer): resizeShorterSide(pixels, longer)
    case .letterbox(let box): letterbox(box)
    }
  }

  private mutating func resize(_ newHeight: Int, _ newWidth: Int) {
    (resizedHeight, resizedWidth, height, width) = (newHeight, newWidth, newHeight, newWidth)
  }

  private mutating func resizeShorterSide(_ pixels: Int, _ longer: Contract.Rounding) {
    if imageWidth <= imageHeight {
      let other = Placement.divide(imageHeight * pixels, imageWidth, longer)
      resize(max(pixels, other), pixels)
    } else {
      let other = Placement.divide(imageWidth * pixels, imageHeight, longer)
      resize(pixels, max(pixels, other))
    }
  }

  /// The image touches two sides of the box; the width fills it where both fit.
  private mutating func letterbox(_ box: Contract.Letterbox) {
    var (high, wide) = (box.size.height, box.size.width)
    if wide * imageHeight <= high * imageWidth {
      high = max(1, Placement.divide(imageHeight * wide, imageWidth, box.longer))
    } else {
      wide = max(1, Placement.divide(imageWidth * high, imageHeight, box.longer))
    }
    resize(high, wide)
    (height, width) = (box.size.height, box.size.width)
    if box.align == .center {
      (top, left) = ((height - high) / 2, (width - wide) / 2)
    }
  }

  private mutating func cut(_ crop: Contract.Crop) throws {
    guard height >= crop.size.height, width >= crop.size.width else {
      throw PocketfitError("the image is smaller than the crop; give a larger one")
    }
    top -= Placement.divide(height - crop.size.height, 2, crop.offset)
    left -= Placement.divide(width - crop.size.width, 2, crop.offset)
    (height, width) = (crop.size.height, crop.size.width)
  }
}
