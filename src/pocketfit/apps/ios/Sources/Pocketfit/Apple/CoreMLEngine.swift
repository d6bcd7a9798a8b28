#if canImport(CoreML)
  import CoreML
  import Foundation

  /// A `.mlpackage` on Core ML, which compiles it when it is opened.
  public final class CoreMLEngine: Engine {
    private let artifact: Artifact
    private let compiled: URL
    private let model: MLModel
    private let input: MLMultiArray
    private let features: MLDictionaryFeatureProvider

    /// - Parameter options: the delegate is one of all, cpuOnly, cpuAndGPU, cpuAndNE; threads are
    ///   Core ML's own affair.
    public init(_ artifact: Artifact, _ options: EngineOptions) throws {
      let configuration = MLModelConfiguration()
      configuration.computeUnits = try CoreMLEngine.units(options.delegate)
      let shape = artifact.input.shape.map { NSNumber(value: $0) }
      self.artifact = artifact
      compiled = try artifact.withFile { try MLModel.compileModel(at: $0) }
      model = try MLModel(contentsOf: compiled, configuration: configuration)
      input = try MLMultiArray(shape: shape, dataType: .float32)
      features = try MLDictionaryFeatureProvider(dictionary: [artifact.input.name: input])
    }

    deinit {
      try? FileManager.default.removeItem(at: compiled)
    }

    public func run(_ given: UnsafeRawBufferPointer) throws -> [[Float]] {
      try artifact.check(given)
      guard let start = given.baseAddress else { throw PocketfitError("the input is empty") }
      input.dataPointer.copyMemory(from: start, byteCount: given.count)
      let answers = try model.prediction(from: features)
      return try artifact.outputs.map { output in
        guard let array = answers.featureValue(for: output.name)?.multiArrayValue else {
          throw PocketfitError("the model gives no array of the name \(output.name)")
        }
        return try CoreMLEngine.floats(array)
      }
    }

    private static func units(_ delegate: String?) throws -> MLComputeUnits {
      switch delegate {
      case nil, "cpuOnly": return .cpuOnly
      case "all": return .all
      case "cpuAndGPU", "gpu": return .cpuAndGPU
      case "cpuAndNE", "npu":
        guard #available(iOS 16, macOS 13, *) else { return .all }
        return .cpuAndNeuralEngine
      case .some(let other):
        throw PocketfitError(
          "Core ML has no delegate \(other); allowed are all, cpuOnly, cpuAndGPU and cpuAndNE")
      }
    }

    /// The numbers of an array whose rows may be padded.
    private static func floats(_ array: MLMultiArray) throws -> [Float] {
      guard array.dataType == .float32 else {
        throw PocketfitError("the model's output is not float32; fit the model for Core ML again")
      }
      let numbers = array.dataPointer.assumingMemoryBound(to: Float.self)
      let (shape, strides) = (array.shape.map(\.intValue), array.strides.map(\.intValue))
      return (0..<shape.reduce(1, *)).map { place in
        var (rest, offset) = (place, 0)
        for axis in shape.indices.reversed() {
          offset += rest % shape[axis] * strides[axis]
          rest /= shape[axis]
        }
        return numbers[offset]
      }
    }
  }
#endif
