import Foundation

/// The model in one runtime and precision, as a bundle ships it.
public struct Artifact {
  /// An input or output, with a batch of 1.
  public struct Tensor: Equatable, Sendable {
    public let name: String
    public let shape: [Int]
    /// As numpy spells it.
    public let dtype: String
  }

  public let runtime: String
  public let precision: String
  public let input: Tensor
  /// In the model's own order.
  public let outputs: [Tensor]
  /// Whether `pocketfit fit` recommends it.
  public let chosen: Bool

  private let bundle: ModelBundle
  /// Of the file to open, which is a folder for Core ML.
  private let name: String

  init(_ json: Json, in bundle: ModelBundle) throws {
    self.bundle = bundle
    runtime = try json.at("runtime").string()
    precision = try json.at("precision").string()
    chosen = try json.at("chosen").bool()
    input = try Tensor(json.at("input"))
    let more = try json.find("more_outputs")?.items() ?? []
    outputs = try ([json.at("output")] + more).map { try Tensor($0) }
    guard let first = try json.at("files").items().first?.string(),
      try !bundle.files(of: first).isEmpty
    else {
      throw PocketfitError("the bundle names no file for \(runtime) \(precision)")
    }
    name = first
  }

  public var isEncrypted: Bool {
    get throws { try bundle.files(of: name).contains { bundle.isEncrypted($0) } }
  }

  /// The content of its one file, decrypted in memory where it is encrypted.
  public func data() throws -> Data {
    try bundle.data(of: name)
  }

  /// Every file of it, decrypted in memory where it is encrypted, by its name in the bundle.
  public func contents() throws -> [(name: String, content: Data)] {
    try bundle.files(of: name).map { ($0, try bundle.data(of: $0)) }
  }

  /// Hands the file to open to `body`. An encrypted one is written to a protected file for the time
  /// of the call: for runtimes that open files alone.
  public func withFile<Result>(_ body: (URL) throws -> Result) throws -> Result {
    guard try isEncrypted else { return try body(bundle.inside(name)) }
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent(UUID().uuidString, isDirectory: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for file in try bundle.files(of: name) {
      let copy = folder.appendingPathComponent(file)
      try FileManager.default.createDirectory(
        at: copy.deletingLastPathComponent(), withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      try bundle.data(of: file).write(to: copy, options: Artifact.protected)
    }
    return try body(folder.appendingPathComponent(name))
  }

  static var protected: Data.WritingOptions {
    #if os(iOS)
      return [.atomic, .completeFileProtection]
    #else
      return .atomic
    #endif
  }

  /// Bytes of the input.
  var inputBytes: Int {
    input.shape.reduce(input.dtype == "float32" ? 4 : 1, *)
  }

  /// Refuses what is not as long as the input.
  func check(_ bytes: UnsafeRawBufferPointer) throws {
    guard bytes.count == inputBytes else {
      throw PocketfitError(
        "the input has \(bytes.count) bytes, the model takes \(inputBytes). "
          + "Check that contract and model come from one bundle")
    }
  }
}

extension Artifact.Tensor {
  init(_ json: Json) throws {
    name = try json.at("name").string()
    shape = try json.at("shape").items().map { try $0.integer() }
    dtype = try json.at("dtype").string()
  }
}
