import Foundation
import Pocketfit

/// Replays test vectors of Pocketfit: on the developer's machine, or in an app.
public enum SelfTest {
  /// - Parameters:
  ///   - path: a bundle's folder, its .zip, which is unpacked beside it, a .jsonl of policies,
  ///     cameras or galleries, or the .json of a step.
  ///   - trust: what is demanded of a bundle.
  ///   - key: 32 bytes, for models that are encrypted; without it they are left out.
  public static func replay(_ path: URL, _ trust: Trust = Trust(), key: Data? = nil) throws
    -> [Suite]
  {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: path.path, isDirectory: &isFolder)
    if isFolder.boolValue {
      return try BundleVectors.replay(ModelBundle.open(path, trust, key: key), hasKey: key != nil)
    }
    if path.pathExtension == "zip" {
      let folder = URL(fileURLWithPath: path.path + ".unpacked")
      let bundle = try Archive.unpack(path, into: folder, trust, key: key)
      return try BundleVectors.replay(bundle, hasKey: key != nil)
    }
    let text = try ModelBundle.text(of: path)
    if path.pathExtension == "jsonl" {
      if try FrameVectors.areIn(text) { return try FrameVectors.replay(text) }
      if try MatchingVectors.areIn(text) { return try MatchingVectors.replay(text) }
      return [try PolicyVectors.replay(text)]
    }
    return [try StepVectors.replay(Json.parse(text))]
  }

  /// Refuses what does not answer as Pocketfit does.
  public static func check(_ path: URL) throws {
    let differences = try replay(path).flatMap(\.differences)
    guard differences.isEmpty else {
      throw PocketfitError(differences.joined(separator: "\n"))
    }
  }
}
