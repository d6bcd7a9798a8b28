import Foundation
import Pocketfit
import XCTest

/// Runs the bundle's model as a policy says, on an engine that only counts.
final class AdaptiveModelTests: XCTestCase {
  private final class CountingEngine: Engine {
    private(set) var runs = 0
    private(set) var bytes = 0

    func run(_ input: UnsafeRawBufferPointer) throws -> [[Float]] {
      runs += 1
      bytes = input.count
      return [[1, 2, 3]]
    }
  }

  private let side = 512
  private lazy var pixels = [UInt8](repeating: 128, count: side * side * 4)

  func testEveryFrameWithoutPolicy() throws {
    let bundle = try ModelBundle.open(folder)
    let policy = try Policy.always(bundle.artifacts())
    let engine = CountingEngine()
    let model = try AdaptiveModel(bundle, policy: policy) { _, _ in engine }
    // The model is opened, warmed up, and answers from the third frame on.
    let answered = try (0..<5).map { try run(model, at: 33 * $0) != nil }
    XCTAssertEqual(answered, [false, false, true, true, true])
    XCTAssertEqual(engine.runs, 4)
    XCTAssertGreaterThan(engine.bytes, 0)
    XCTAssertEqual(model.variant, "only")
  }

  func testNoRuntime() throws {
    let bundle = try ModelBundle.open(folder)
    let policy = try Policy.always(bundle.artifacts())
    let model = try AdaptiveModel(bundle, policy: policy) { _, _ in nil }
    XCTAssertThrowsError(try run(model, at: 0)) { error in
      XCTAssertTrue("\(error)".contains("the app has no runtime for the variant only"))
    }
  }

  private let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("bundle")

  private func run(_ model: AdaptiveModel, at timeMs: Int) throws -> [[Float]]? {
    let contract = try ModelBundle.open(folder).contract()
    return try pixels.withUnsafeBytes { data in
      let image =
        contract.isYuv
        ? try InputImage.yuv(data, height: side, width: side, format: contract.input)
        : InputImage.pixels(data, height: side, width: side, format: contract.input)
      return try model.run(image, Reading(timeMs: timeMs))
    }
  }
}
