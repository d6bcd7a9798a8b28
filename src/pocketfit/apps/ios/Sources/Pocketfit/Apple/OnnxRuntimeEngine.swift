#if canImport(OnnxRuntimeBindings) || canImport(onnxruntime_objc)
  import Foundation

  #if canImport(OnnxRuntimeBindings)
    import OnnxRuntimeBindings
  #else
    import onnxruntime_objc
  #endif

  /// An `.onnx` file on ONNX Runtime.
  public final class OnnxRuntimeEngine: Engine {
    private let artifact: Artifact
    private let environment: ORTEnv
    private let session: ORTSession
    private let data: NSMutableData
    private let input: ORTValue

    /// - Parameter options: the delegate is xnnpack or coreml; nil is the CPU.
    public init(_ artifact: Artifact, _ options: EngineOptions) throws {
      guard let data = NSMutableData(length: artifact.inputBytes) else {
        throw PocketfitError("there is no memory for the model's input")
      }
      let environment = try ORTEnv(loggingLevel: .warning)
      let settings = try OnnxRuntimeEngine.settings(options)
      self.artifact = artifact
      self.data = data
      self.environment = environment
      session = try artifact.withFile {
        try ORTSession(env: environment, modelPath: $0.path, sessionOptions: settings)
      }
      input = try ORTValue(
        tensorData: data, elementType: OnnxRuntimeEngine.type(artifact.input.dtype),
        shape: artifact.input.shape.map { NSNumber(value: $0) })
    }

    public func run(_ given: UnsafeRawBufferPointer) throws -> [[Float]] {
      try artifact.check(given)
      guard let start = given.baseAddress else { throw PocketfitError("the input is empty") }
      data.mutableBytes.copyMemory(from: start, byteCount: given.count)
      let answers = try session.run(
        withInputs: [artifact.input.name: input],
        outputNames: Set(artifact.outputs.map(\.name)), runOptions: nil)
      return try artifact.outputs.map { output in
        guard let answer = answers[output.name] else {
          throw PocketfitError("the model gives no output of the name \(output.name)")
        }
        return try OnnxRuntimeEngine.floats(answer, output.name)
      }
    }

    private static func settings(_ options: EngineOptions) throws -> ORTSessionOptions {
      let settings = try ORTSessionOptions()
      if options.threads > 0 { try settings.setIntraOpNumThreads(Int32(options.threads)) }
      switch options.delegate {
      case nil: break
      case "coreml":
        try settings.appendCoreMLExecutionProvider(with: ORTCoreMLExecutionProviderOptions())
      case "xnnpack":
        try settings.appendXnnpackExecutionProvider(with: ORTXnnpackExecutionProviderOptions())
      case .some(let other):
        throw PocketfitError(
          "ONNX Runtime has no delegate \(other) here; allowed are coreml and xnnpack")
      }
      return settings
    }

    private static func type(_ dtype: String) throws -> ORTTensorElementDataType {
      switch dtype {
      case "float32": return .float
      case "uint8": return .uInt8
      case "int8": return .int8
      default: throw PocketfitError("an input of \(dtype) is not known; float32, uint8 or int8 is")
      }
    }

    private static func floats(_ answer: ORTValue, _ name: String) throws -> [Float] {
      guard try answer.tensorTypeAndShapeInfo().elementType == .float else {
        throw PocketfitError("the output \(name) is not float32; fit the model again")
      }
      let numbers = try answer.tensorData()
      let start = numbers.mutableBytes.assumingMemoryBound(to: Float.self)
      return Array(UnsafeBufferPointer(start: start, count: numbers.length / 4))
    }
  }
#endif
