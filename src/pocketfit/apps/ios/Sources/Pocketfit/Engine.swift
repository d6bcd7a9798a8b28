/// A model that a runtime has opened. One for each thread.
public protocol Engine: AnyObject {
  /// Runs the model on what a preprocessor returned.
  ///
  /// - Returns: every output as floats, in the order of the artifact's outputs.
  func run(_ input: UnsafeRawBufferPointer) throws -> [[Float]]
}

/// How an engine is to be opened.
public struct EngineOptions: Equatable, Sendable {
  /// As a policy names it; nil is the CPU.
  public var delegate: String?
  /// 0 leaves it to the runtime.
  public var threads: Int

  public init(delegate: String? = nil, threads: Int = 0) {
    self.delegate = delegate
    self.threads = threads
  }
}
