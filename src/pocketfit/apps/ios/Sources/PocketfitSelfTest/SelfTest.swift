import Foundation
import Pocketfit

/// Replays test vectors of Pocketfit: on the developer's machine, or in an app.
public enum SelfTest {
  /// - Parameter path: a bundle's folder, a .jsonl of policies, or the .json of a step.
  public static func replay(_ path: URL) throws -> [Suite] {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: path.path, isDirectory: &isFolder)
    if isFolder.boolValue {
      return try BundleVectors.replay(ModelBundle.open(path))
    }
    let text = try ModelBundle.text(of: path)
    if path.pathExtension == "jsonl" {
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
