import Foundation

/// The folder that `pocketfit fit` wrote, trusted with nothing before it is checked.
public struct ModelBundle {
  public let folder: URL
  public let manifest: Json

  /// Checks the manifest and every file that it lists.
  public static func open(_ folder: URL) throws -> ModelBundle {
    let text = try text(of: folder.appendingPathComponent("manifest.json"))
    let manifest = try Json.parse(text)
    guard try manifest.find("format")?.string() == "pocketfit-bundle" else {
      throw PocketfitError("\(folder.path) is not a bundle")
    }
    let schema = try manifest.at("schema_version").integer()
    guard schema == 2 || schema == 3 else {
      throw PocketfitError("the bundle has schema \(schema); this code reads 2 and 3")
    }
    let bundle = ModelBundle(folder: folder, manifest: manifest)
    for (name, entry) in try manifest.at("files").members() {
      try bundle.check(name, sha256: entry.at("sha256").string())
    }
    return bundle
  }

  /// Every artifact, in the order of the manifest.
  public func artifacts() throws -> [Artifact] {
    try manifest.at("artifacts").items().map { try Artifact($0, in: self) }
  }

  /// One artifact; nil where the bundle does not have it. Precisions are float32, float16 and int8.
  public func artifact(runtime: String, precision: String) throws -> Artifact? {
    try artifacts().first { $0.runtime == runtime && $0.precision == precision }
  }

  /// A part that the manifest names: preprocess, preprocess_vectors, labels, report; nil for none.
  public func read(_ part: String) throws -> String? {
    try manifest.find(part).map { try ModelBundle.text(of: inside($0.string())) }
  }

  /// What is to be done to images and outputs.
  public func contract() throws -> Contract {
    guard let text = try read("preprocess") else {
      throw PocketfitError("the bundle says nothing of images; fit the model with a contract")
    }
    return try Contract(Json.parse(text))
  }

  /// The text of a UTF-8 file.
  public static func text(of file: URL) throws -> String {
    guard let data = FileManager.default.contents(atPath: file.path) else {
      throw PocketfitError("\(file.path) cannot be read")
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// A name from the manifest as a file, which must not lead out of the bundle.
  func inside(_ name: String) throws -> URL {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    let bad = parts.contains { ["", ".", ".."].contains($0) }
    if bad || name.unicodeScalars.contains(where: { "\\:\0\n".unicodeScalars.contains($0) }) {
      throw PocketfitError("the manifest names \(name), which leads out of the bundle")
    }
    return folder.appendingPathComponent(name)
  }

  private func check(_ name: String, sha256: String) throws {
    let file = try inside(name)
    let straight = folder.resolvingSymlinksInPath().appendingPathComponent(name).path
    guard file.resolvingSymlinksInPath().path == straight else {
      throw PocketfitError("\(name) is reached by a link; such a bundle is not read")
    }
    guard try hash(file) == sha256 else {
      throw PocketfitError("\(name) is not the file that was written")
    }
  }

  private func hash(_ file: URL) throws -> String {
    guard let stream = FileHandle(forReadingAtPath: file.path) else {
      throw PocketfitError("\(file.path) cannot be read")
    }
    defer { stream.closeFile() }
    var hash = Sha256()
    while let piece = try stream.read(upToCount: 1 << 16), !piece.isEmpty {
      hash.update(piece)
    }
    return hash.hex()
  }
}
