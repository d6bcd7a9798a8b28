// Stands in for the module of LiteRT's Metal delegate, for type checks on Linux.
import TensorFlowLiteC

public struct TFLGpuDelegateOptions {}

public func TFLGpuDelegateCreate(
  _ options: UnsafePointer<TFLGpuDelegateOptions>!
) -> UnsafeMutablePointer<TfLiteDelegate>! { fatalError() }
public func TFLGpuDelegateDelete(_ delegate: UnsafeMutablePointer<TfLiteDelegate>!) { fatalError() }
