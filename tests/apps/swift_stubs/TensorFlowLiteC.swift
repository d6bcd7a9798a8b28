// Stands in for the module of LiteRT's C functions, for type checks on Linux.
public struct TfLiteStatus: RawRepresentable, Equatable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}
public var kTfLiteOk: TfLiteStatus { TfLiteStatus(rawValue: 0) }

public struct TfLiteType: RawRepresentable, Equatable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}
public var kTfLiteFloat32: TfLiteType { TfLiteType(rawValue: 1) }
public var kTfLiteUInt8: TfLiteType { TfLiteType(rawValue: 3) }
public var kTfLiteInt8: TfLiteType { TfLiteType(rawValue: 9) }

public struct TfLiteQuantizationParams {
  public var scale: Float
  public var zero_point: Int32
}
public struct TfLiteTensor {}
public struct TfLiteDelegate {}
public struct TfLiteXNNPackDelegateOptions {
  public var num_threads: Int32
}

public func TfLiteModelCreate(_ model_data: UnsafeRawPointer!, _ model_size: Int) -> OpaquePointer!
{ fatalError() }
public func TfLiteModelCreateFromFile(_ model_path: UnsafePointer<CChar>!) -> OpaquePointer! {
  fatalError()
}
public func TfLiteModelDelete(_ model: OpaquePointer!) { fatalError() }
public func TfLiteInterpreterOptionsCreate() -> OpaquePointer! { fatalError() }
public func TfLiteInterpreterOptionsDelete(_ options: OpaquePointer!) { fatalError() }
public func TfLiteInterpreterOptionsSetNumThreads(_ options: OpaquePointer!, _ num_threads: Int32) {
  fatalError()
}
public func TfLiteInterpreterOptionsAddDelegate(
  _ options: OpaquePointer!, _ delegate: UnsafeMutablePointer<TfLiteDelegate>!
) { fatalError() }
public func TfLiteInterpreterCreate(
  _ model: OpaquePointer!, _ optional_options: OpaquePointer!
) -> OpaquePointer! { fatalError() }
public func TfLiteInterpreterDelete(_ interpreter: OpaquePointer!) { fatalError() }
public func TfLiteInterpreterAllocateTensors(_ interpreter: OpaquePointer!) -> TfLiteStatus {
  fatalError()
}
public func TfLiteInterpreterInvoke(_ interpreter: OpaquePointer!) -> TfLiteStatus { fatalError() }
public func TfLiteInterpreterGetInputTensor(
  _ interpreter: OpaquePointer!, _ input_index: Int32
) -> UnsafeMutablePointer<TfLiteTensor>! { fatalError() }
public func TfLiteInterpreterGetOutputTensorCount(_ interpreter: OpaquePointer!) -> Int32 {
  fatalError()
}
public func TfLiteInterpreterGetOutputTensor(
  _ interpreter: OpaquePointer!, _ output_index: Int32
) -> UnsafePointer<TfLiteTensor>! { fatalError() }
public func TfLiteTensorType(_ tensor: UnsafePointer<TfLiteTensor>!) -> TfLiteType { fatalError() }
public func TfLiteTensorByteSize(_ tensor: UnsafePointer<TfLiteTensor>!) -> Int { fatalError() }
public func TfLiteTensorData(_ tensor: UnsafePointer<TfLiteTensor>!) -> UnsafeMutableRawPointer! {
  fatalError()
}
public func TfLiteTensorQuantizationParams(
  _ tensor: UnsafePointer<TfLiteTensor>!
) -> TfLiteQuantizationParams { fatalError() }
public func TfLiteTensorCopyFromBuffer(
  _ tensor: UnsafeMutablePointer<TfLiteTensor>!, _ input_data: UnsafeRawPointer!,
  _ input_data_size: Int
) -> TfLiteStatus { fatalError() }
public func TfLiteXNNPackDelegateOptionsDefault() -> TfLiteXNNPackDelegateOptions { fatalError() }
public func TfLiteXNNPackDelegateCreate(
  _ options: UnsafePointer<TfLiteXNNPackDelegateOptions>!
) -> UnsafeMutablePointer<TfLiteDelegate>! { fatalError() }
public func TfLiteXNNPackDelegateDelete(_ delegate: UnsafeMutablePointer<TfLiteDelegate>!) {
  fatalError()
}
