import Foundation

/// The model in one runtime and precision, as a bundle ships it.
public struct Artifact {
  /// An input or output, with a batch of 1.
  public struct Tensor: Equatable {
    public let name: String
    public let shape: [Int]
    /// As numpy spells it.
    public let dtype: String

    public init(name: String, shape: [Int], dtype: String) {
      self.name = name
      self.shape = shape
      self.dtype = dtype
    }
  }

  public let runtime: String
  public let precision: String
  public let files: [URL]
  public let input: Tensor
  /// In the model's own order.
  public let outputs: [Tensor]
  /// Whether `pocketfit fit` recommends it.
  public let chosen: Bool

  init(_ json: Json, in bundle: ModelBundle) throws {
    runtime = try json.at("runtime").string()
    precision = try json.at("precision").string()
    chosen = try json.at("chosen").bool()
    files = try json.at("files").items().map { try bundle.inside($0.string()) }
    input = try Tensor(json.at("input"))
    let more = try json.find("more_outputs")?.items() ?? []
    outputs = try ([json.at("output")] + more).map { try Tensor($0) }
  }

  /// The file to open, which is a folder for Core ML.
  public func model() throws -> URL {
    guard let first = files.first else {
      throw PocketfitError("the bundle names no file for \(runtime) \(precision)")
    }
    return first
  }
}

extension Artifact.Tensor {
  init(_ json: Json) throws {
    name = try json.at("name").string()
    shape = try json.at("shape").items().map { try $0.integer() }
    dtype = try json.at("dtype").string()
  }
}
