// Stands in for the module of ONNX Runtime's Objective-C classes, for type checks on Linux.
import Foundation

public enum ORTLoggingLevel: Int32, Sendable { case verbose, info, warning, error, fatal }

public enum ORTTensorElementDataType: Int32, Sendable {
  case undefined, float, int8, uInt8, int32, uInt32, int64, uInt64, string
}

public class ORTEnv: NSObject {
  public init(loggingLevel: ORTLoggingLevel) throws { fatalError() }
}

public class ORTCoreMLExecutionProviderOptions: NSObject {}
public class ORTXnnpackExecutionProviderOptions: NSObject {}
public class ORTRunOptions: NSObject {}

public class ORTSessionOptions {
  public init() throws { fatalError() }
  public func setIntraOpNumThreads(_ intraOpNumThreads: Int32) throws { fatalError() }
  public func appendCoreMLExecutionProvider(with options: ORTCoreMLExecutionProviderOptions) throws
  {
    fatalError()
  }
  public func appendXnnpackExecutionProvider(with options: ORTXnnpackExecutionProviderOptions)
    throws
  { fatalError() }
}

public class ORTTensorTypeAndShapeInfo: NSObject {
  public var elementType: ORTTensorElementDataType { fatalError() }
  public var shape: [NSNumber] { fatalError() }
}

public class ORTValue: NSObject {
  public init(
    tensorData: NSMutableData, elementType: ORTTensorElementDataType, shape: [NSNumber]
  ) throws { fatalError() }
  public func tensorTypeAndShapeInfo() throws -> ORTTensorTypeAndShapeInfo { fatalError() }
  public func tensorData() throws -> NSMutableData { fatalError() }
}

public class ORTSession: NSObject {
  public init(env: ORTEnv, modelPath: String, sessionOptions: ORTSessionOptions?) throws {
    fatalError()
  }
  public func run(
    withInputs inputs: [String: ORTValue], outputNames: Set<String>, runOptions: ORTRunOptions?
  ) throws -> [String: ORTValue] { fatalError() }
}
