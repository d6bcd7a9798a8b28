#if canImport(TensorFlowLiteC)
  import TensorFlowLiteC

  #if canImport(TensorFlowLiteCMetal)
    import TensorFlowLiteCMetal
  #endif

  /// A `.tflite` file on LiteRT's interpreter, through its C functions: its Swift classes know no
  /// INT8 tensors, and copy every tensor on its way.
  public final class LiteRTEngine: Engine {
    private let content: Memory<UInt8>?
    private let model: OpaquePointer
    private let interpreter: OpaquePointer
    private let delegate: LiteRTDelegate?
    private var quantized: [UInt8] = []

    /// - Parameter options: the delegate is xnnpack (also for nil), or gpu where the Metal part of
    ///   the pod is installed.
    public init(_ artifact: Artifact, _ options: EngineOptions) throws {
      content = try artifact.isEncrypted ? Memory([UInt8](artifact.data()), or: 0) : nil
      let opened =
        try content.map { TfLiteModelCreate($0.start, $0.count) }
        ?? artifact.withFile { TfLiteModelCreateFromFile($0.path) }
      guard let model = opened else { throw PocketfitError("LiteRT cannot read the model") }
      self.model = model
      delegate = try LiteRTDelegate(options)
      let settings = TfLiteInterpreterOptionsCreate()
      defer { TfLiteInterpreterOptionsDelete(settings) }
      if options.threads > 0 {
        TfLiteInterpreterOptionsSetNumThreads(settings, Int32(options.threads))
      }
      if let delegate { TfLiteInterpreterOptionsAddDelegate(settings, delegate.pointer) }
      guard let interpreter = TfLiteInterpreterCreate(model, settings),
        TfLiteInterpreterAllocateTensors(interpreter) == kTfLiteOk
      else {
        TfLiteModelDelete(model)
        throw PocketfitError("LiteRT cannot run the model with \(options)")
      }
      self.interpreter = interpreter
    }

    deinit {
      TfLiteInterpreterDelete(interpreter)
      TfLiteModelDelete(model)
    }

    public func run(_ given: UnsafeRawBufferPointer) throws -> [[Float]] {
      try fillInput(given)
      try check(TfLiteInterpreterInvoke(interpreter))
      return try (0..<TfLiteInterpreterGetOutputTensorCount(interpreter)).map { try floats($0) }
    }

    /// Floats are quantized where the file takes integers.
    private func fillInput(_ given: UnsafeRawBufferPointer) throws {
      guard let tensor = TfLiteInterpreterGetInputTensor(interpreter, 0) else {
        throw PocketfitError("the model has no input")
      }
      let bytes = TfLiteTensorByteSize(tensor)
      if let dtype = LiteRTEngine.integers(TfLiteTensorType(tensor)), given.count == 4 * bytes {
        let numbers = Quantization(TfLiteTensorQuantizationParams(tensor))
        quantized.removeAll(keepingCapacity: true)
        for value in given.bindMemory(to: Float.self) {
          quantized.append(UInt8(truncatingIfNeeded: numbers.quantize(value, dtype)))
        }
        try check(TfLiteTensorCopyFromBuffer(tensor, quantized, bytes))
        return
      }
      guard given.count == bytes else {
        throw PocketfitError("the input has \(given.count) bytes, the model takes \(bytes)")
      }
      try check(TfLiteTensorCopyFromBuffer(tensor, given.baseAddress, bytes))
    }

    private func floats(_ index: Int32) throws -> [Float] {
      guard let tensor = TfLiteInterpreterGetOutputTensor(interpreter, index),
        let data = TfLiteTensorData(tensor)
      else { throw PocketfitError("the model has no output \(index)") }
      let bytes = UnsafeRawBufferPointer(start: data, count: TfLiteTensorByteSize(tensor))
      if TfLiteTensorType(tensor) == kTfLiteFloat32 {
        return Array(bytes.bindMemory(to: Float.self))
      }
      guard let dtype = LiteRTEngine.integers(TfLiteTensorType(tensor)) else {
        throw PocketfitError("output \(index) is neither float32 nor of 8 bits")
      }
      let numbers = Quantization(TfLiteTensorQuantizationParams(tensor))
      return bytes.map {
        numbers.dequantize(dtype == .int8 ? Int(Int8(bitPattern: $0)) : Int($0))
      }
    }

    private func check(_ status: TfLiteStatus) throws {
      guard status == kTfLiteOk else {
        throw PocketfitError("LiteRT failed to run the model: status \(status.rawValue)")
      }
    }

    private static func integers(_ type: TfLiteType) -> Contract.Dtype? {
      switch type {
      case kTfLiteInt8: return .int8
      case kTfLiteUInt8: return .uint8
      default: return nil
      }
    }
  }

  /// What computes in place of the interpreter's own kernels.
  private final class LiteRTDelegate {
    let pointer: UnsafeMutablePointer<TfLiteDelegate>
    private let delete: (UnsafeMutablePointer<TfLiteDelegate>?) -> Void

    init?(_ options: EngineOptions) throws {
      var made: UnsafeMutablePointer<TfLiteDelegate>?
      switch options.delegate {
      case nil, "xnnpack":
        var settings = TfLiteXNNPackDelegateOptionsDefault()
        if options.threads > 0 { settings.num_threads = Int32(options.threads) }
        made = TfLiteXNNPackDelegateCreate(&settings)
        delete = { TfLiteXNNPackDelegateDelete($0) }
      #if canImport(TensorFlowLiteCMetal)
        case "gpu":
          made = TFLGpuDelegateCreate(nil)
          delete = { TFLGpuDelegateDelete($0) }
      #endif
      case .some(let other):
        throw PocketfitError("this app's LiteRT has no delegate \(other)")
      }
      guard let made else { return nil }
      pointer = made
    }

    deinit {
      delete(pointer)
    }
  }

  extension Quantization {
    fileprivate init(_ parameters: TfLiteQuantizationParams) {
      self.init(scale: Double(parameters.scale), zeroPoint: Int(parameters.zero_point))
    }
  }
#endif
