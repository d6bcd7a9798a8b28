import Foundation

/// The folder that `pocketfit fit` wrote, trusted with nothing before it is checked.
public struct ModelBundle {
  public let folder: URL
  public let manifest: Json

  /// Its own name among several variants; empty where there is only one.
  public private(set) var name = ""
  /// The variants behind the first.
  public private(set) var others: [ModelBundle] = []

  private let decryption: Decryption?
  private let key: Data?
  /// Relative to the bundle that has the policy.
  private var place = "."

  /// Checks the manifest and every file that it lists.
  ///
  /// - Parameters:
  ///   - trust: who has to have signed it, and the oldest release to take.
  ///   - key: 32 bytes, where its models are encrypted.
  public static func open(_ folder: URL, _ trust: Trust = Trust(), key: Data? = nil) throws
    -> ModelBundle
  {
    let content = try data(of: folder.appendingPathComponent("manifest.json"))
    try trust.checkSignature(of: folder, content)
    var bundle = try ModelBundle(
      folder, Json.parse(String(decoding: content, as: UTF8.self)), key)
    try trust.checkRelease(of: folder, bundle.manifest)
    for (name, entry) in try bundle.manifest.at("files").members() {
      try bundle.check(name, sha256: entry.at("sha256").string())
    }
    try bundle.addVariants()
    if let policy = try bundle.policy() { try bundle.check(policy) }
    return bundle
  }

  private init(_ folder: URL, _ manifest: Json, _ key: Data?) throws {
    guard try manifest.find("format")?.string() == "pocketfit-bundle" else {
      throw PocketfitError("\(folder.path) is not a bundle")
    }
    let schema = try manifest.at("schema_version").integer()
    guard (2...4).contains(schema) else {
      throw PocketfitError("the bundle has schema \(schema); this code reads 2 to 4")
    }
    self.folder = folder
    self.manifest = manifest
    self.key = key
    decryption = try manifest.find("encryption").map { try Decryption($0, key: key) }
  }

  /// Every artifact, in the order of the manifest.
  public func artifacts() throws -> [Artifact] {
    try manifest.at("artifacts").items().map { try Artifact($0, in: self) }
  }

  /// One artifact; nil where the bundle does not have it. Precisions are float32, float16 and int8.
  public func artifact(runtime: String, precision: String) throws -> Artifact? {
    try artifacts().first { $0.runtime == runtime && $0.precision == precision }
  }

  /// Where an artifact lies that a policy names.
  public func home(of artifact: Policy.ArtifactRef) throws -> ModelBundle {
    guard let found = ([self] + others).first(where: { $0.place == artifact.bundle }) else {
      throw PocketfitError("the bundle has no variant in \(artifact.bundle)")
    }
    return found
  }

  /// Which artifact runs when; nil where the bundle does not say.
  public func policy() throws -> Policy? {
    try read("policy").map { try Policy(Json.parse($0)) }
  }

  /// What is to be done to images and outputs.
  public func contract() throws -> Contract {
    guard let text = try read("preprocess") else {
      throw PocketfitError("the bundle says nothing of images; fit the model with a contract")
    }
    return try Contract(Json.parse(text))
  }

  /// From which score on an artifact accepts, as `pocketfit bundle threshold` chose it. Of a liveness
  /// gate it is a probability.
  public func threshold(runtime: String, precision: String) throws -> Double {
    for one in try thresholds().at("artifacts").items() {
      if try one.at("runtime").string() == runtime, try one.at("precision").string() == precision {
        return try one.at("threshold").number()
      }
    }
    throw PocketfitError("the bundle has no threshold of \(runtime) \(precision)")
  }

  /// An empty gallery for the embeddings of an artifact, with its threshold.
  public func gallery(runtime: String, precision: String) throws -> Gallery {
    let told = try thresholds()
    guard try told.at("score").string() == "cosine" else {
      throw PocketfitError("the bundle's thresholds are not those of cosines")
    }
    let model = try manifest.at("model").at("fingerprint").string()
    return Gallery(
      model: "\(model) \(runtime) \(precision)", length: try told.at("length").integer(),
      threshold: try threshold(runtime: runtime, precision: precision))
  }

  private func thresholds() throws -> Json {
    guard let text = try read("thresholds") else {
      throw PocketfitError("the bundle has no thresholds; pocketfit bundle threshold chooses them")
    }
    let told = try Json.parse(text)
    guard try told.at("version").integer() == 1 else {
      throw PocketfitError("the thresholds have another version than 1")
    }
    return told
  }

  /// A part that the manifest names: preprocess, preprocess_vectors, labels, policy, thresholds; nil
  /// for none.
  public func read(_ part: String) throws -> String? {
    try manifest.find(part).map { try text(of: $0.string()) }
  }

  /// A file that the manifest lists, decrypted in memory where it is encrypted.
  public func data(of name: String) throws -> Data {
    guard try manifest.at("files").find(name) != nil else {
      throw PocketfitError("\(name) is not among the bundle's files")
    }
    let content = try ModelBundle.data(of: inside(name))
    guard let decryption, decryption.covers(name) else { return content }
    return try decryption.open(content, name)
  }

  public var isEncrypted: Bool { decryption != nil }

  func isEncrypted(_ name: String) -> Bool { decryption?.covers(name) ?? false }

  /// Every file that the manifest lists below a folder, or the file itself.
  func files(of name: String) throws -> [String] {
    try manifest.at("files").members().keys.filter { $0 == name || $0.hasPrefix("\(name)/") }
      .sorted()
  }

  /// A name from the manifest as a file, which must not lead out of the bundle.
  func inside(_ name: String) throws -> URL {
    guard ModelBundle.staysInside(name) else {
      throw PocketfitError("the manifest names \(name), which leads out of the bundle")
    }
    return folder.appendingPathComponent(name)
  }

  /// Whether a name is a relative path below a folder, on any system.
  static func staysInside(_ name: String) -> Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return !parts.contains { ["", ".", ".."].contains($0) }
      && !name.unicodeScalars.contains { "\\:\0\n".unicodeScalars.contains($0) }
  }

  /// The text of a UTF-8 file.
  public static func text(of file: URL) throws -> String {
    String(decoding: try data(of: file), as: UTF8.self)
  }

  private func text(of name: String) throws -> String {
    String(decoding: try data(of: name), as: UTF8.self)
  }

  static func data(of file: URL) throws -> Data {
    guard let data = FileManager.default.contents(atPath: file.path) else {
      throw PocketfitError("\(file.path) cannot be read")
    }
    return data
  }

  private mutating func addVariants() throws {
    for (name, place) in try manifest.find("variants")?.members().sorted(by: { $0.key < $1.key })
      ?? []
    {
      if try place.string() == "." {
        self.name = name
      } else {
        others.append(try variant(name, in: place.string()))
      }
    }
    guard others.isEmpty || !name.isEmpty else {
      throw PocketfitError("none of the variants is the bundle itself")
    }
  }

  /// Its files were checked as the bundle's own; its manifest has to say the same of them.
  private func variant(_ name: String, in place: String) throws -> ModelBundle {
    var variant = try ModelBundle(
      inside(place), Json.parse(text(of: "\(place)/manifest.json")), key)
    let known = try manifest.at("files").members()
    for (file, entry) in try variant.manifest.at("files").members() {
      _ = try variant.inside(file)
      guard known["\(place)/\(file)"] == entry else {
        throw PocketfitError("\(place)/\(file) is another file to the variant's manifest")
      }
    }
    (variant.name, variant.place) = (name, place)
    return variant
  }

  private func check(_ policy: Policy) throws {
    for variant in policy.variants {
      let found = try variant.artifacts.contains { artifact in
        let home = ([self] + others).first { $0.place == artifact.bundle }
        return try home?.artifact(runtime: artifact.runtime, precision: artifact.precision) != nil
      }
      guard found else {
        throw PocketfitError(
          "the policy's variant \(variant.name) names no artifact of the bundle")
      }
    }
  }

  private func check(_ name: String, sha256: String) throws {
    let file = try inside(name)
    let straight = folder.resolvingSymlinksInPath().appendingPathComponent(name).path
    guard file.resolvingSymlinksInPath().path == straight else {
      throw PocketfitError("\(name) is reached by a link; such a bundle is not read")
    }
    guard try Sha256.hex(of: file) == sha256 else {
      throw PocketfitError("\(name) is not the file that was written")
    }
  }
}
