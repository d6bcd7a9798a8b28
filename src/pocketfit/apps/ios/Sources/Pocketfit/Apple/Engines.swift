/// The runtimes that this app was built with.
public enum Engines {
  /// Opens an artifact; nil where the app does not have its runtime. For `AdaptiveModel`.
  public static func open(_ artifact: Artifact, _ options: EngineOptions) throws -> Engine? {
    #if canImport(CoreML)
      if artifact.runtime == "coreml" { return try CoreMLEngine(artifact, options) }
    #endif
    #if canImport(TensorFlowLiteC)
      if artifact.runtime == "litert" { return try LiteRTEngine(artifact, options) }
    #endif
    #if canImport(OnnxRuntimeBindings) || canImport(onnxruntime_objc)
      if artifact.runtime == "onnxruntime" { return try OnnxRuntimeEngine(artifact, options) }
    #endif
    return nil
  }
}
