import Foundation
import Pocketfit
import PocketfitSelfTest
import XCTest

/// Replays what Pocketfit wrote beside this package: every step of the contract, policies, and the
/// bundle's own vectors.
final class GoldenTests: XCTestCase {
  private let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  func testSteps() throws {
    let files = try vectors(ending: "json")
    XCTAssertFalse(files.isEmpty)
    for file in files { try replay(file) }
  }

  func testPolicies() throws {
    let files = try vectors(ending: "jsonl")
    XCTAssertFalse(files.isEmpty)
    for file in files { try replay(file) }
  }

  func testBundle() throws {
    try replay(package.appendingPathComponent("bundle"))
  }

  func testShippedPolicy() throws {
    let file = package.appendingPathComponent("policy.json")
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw XCTSkip("the package ships no policy")
    }
    let policy = try Policy(Json.parse(ModelBundle.text(of: file)))
    XCTAssertFalse(policy.variants.isEmpty)
  }

  private func vectors(ending: String) throws -> [URL] {
    let folder = package.appendingPathComponent("vectors")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    return names.map { folder.appendingPathComponent($0) }.filter { $0.pathExtension == ending }
  }

  private func replay(_ path: URL) throws {
    for suite in try SelfTest.replay(path) {
      XCTAssertGreaterThan(suite.total, 0, suite.name)
      XCTAssertEqual(suite.passed, suite.total, suite.differences.joined(separator: "\n"))
    }
  }
}
