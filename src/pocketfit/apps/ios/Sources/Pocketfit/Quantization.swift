/// Between floats and the integers of a model's inputs and outputs.
public struct Quantization: Equatable, Sendable {
  public let scale: Double
  public let zeroPoint: Int

  public init(scale: Double, zeroPoint: Int) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// clip(rint(x / scale) + zero point), halves to the even integer, the division in float32.
  public func quantize(_ value: Float, _ dtype: Contract.Dtype) -> Int {
    let steps = Double((value / Float(scale)).rounded(.toNearestOrEven)) + Double(zeroPoint)
    let limits = dtype == .int8 ? -128.0...127.0 : 0.0...255.0
    return steps.isNaN ? 0 : Int(min(max(steps, limits.lowerBound), limits.upperBound))
  }

  /// (q - zero point) * scale in float32.
  public func dequantize(_ value: Int) -> Float {
    Float(value - zeroPoint) * Float(scale)
  }
}

/// The model's number for each of the 256 pixel values, channel by channel.
public enum PixelTable {
  /// Channels x 256, before a quantization.
  public static func floats(_ contract: Contract) -> [Float] {
    (0..<contract.channels).flatMap { channel in
      let mean = Float(contract.mean[contract.mean.count == 1 ? 0 : channel])
      let std = Float(contract.std[contract.std.count == 1 ? 0 : channel])
      return (0..<256).map { (Float($0) * Float(contract.scale) - mean) / std }
    }
  }

  /// Channels x 256, quantized: the bits of an int8 or uint8.
  public static func bytes(_ contract: Contract) -> [UInt8] {
    floats(contract).map {
      UInt8(truncatingIfNeeded: contract.quantization.quantize($0, contract.dtype))
    }
  }
}
