// Stands in for Apple's module, for type checks on Linux.
import Foundation

public enum MLComputeUnits: Int, Sendable { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public class MLModelConfiguration: NSObject {
  public var computeUnits: MLComputeUnits = .all
}

public protocol MLFeatureProvider {
  var featureNames: Set<String> { get }
  func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLFeatureValue: NSObject {
  public var multiArrayValue: MLMultiArray? { fatalError() }
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
  public init(dictionary: [String: Any]) throws { fatalError() }
  public var featureNames: Set<String> { fatalError() }
  public func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

public enum MLMultiArrayDataType: Int, Sendable { case double, float32, float16, int32 }

public class MLMultiArray: NSObject {
  public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws { fatalError() }
  public var dataPointer: UnsafeMutableRawPointer { fatalError() }
  public var dataType: MLMultiArrayDataType { fatalError() }
  public var shape: [NSNumber] { fatalError() }
  public var strides: [NSNumber] { fatalError() }
}

public class MLModel: NSObject {
  public class func compileModel(at modelURL: URL) throws -> URL { fatalError() }
  public init(contentsOf url: URL, configuration: MLModelConfiguration) throws { fatalError() }
  public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider { fatalError() }
}
