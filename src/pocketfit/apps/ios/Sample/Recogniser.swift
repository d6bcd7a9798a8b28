import CoreVideo
import Foundation
import Pocketfit

/// Runs the model on frames, as the policy says, and tells what it sees. Frames come on one queue.
final class Recogniser {
  let reader: PixelBufferReader

  // The camera of a phone that is held upright hands out frames that lie on their side.
  private static let upright = 6

  private let model: AdaptiveModel
  private let tell: (String) -> Void
  private let lock = NSLock()
  private var reading = Reading()
  private var frameUs: Int?

  /// - Parameter policy: in place of the bundle's own.
  init(_ bundle: ModelBundle, _ policy: Policy?, tell: @escaping (String) -> Void) throws {
    reader = PixelBufferReader(try bundle.contract())
    model = try AdaptiveModel(bundle, policy: policy, open: Engines.open)
    self.tell = tell
  }

  /// What the phone's sensors say; from any thread.
  func notice(_ reading: Reading) {
    lock.lock()
    defer { lock.unlock() }
    self.reading = reading
  }

  func recognise(_ buffer: CVPixelBuffer) {
    do {
      let began = DispatchTime.now().uptimeNanoseconds
      let outputs = try reader.read(buffer) { image in
        try model.run(image, orientation: Recogniser.upright, current(at: began))
      }
      guard let outputs else { return }
      frameUs = Int((DispatchTime.now().uptimeNanoseconds - began) / 1000)
      tell(try text(outputs))
    } catch {
      tell("\(error)")
    }
  }

  private func current(at nanoseconds: UInt64) -> Reading {
    lock.lock()
    defer { lock.unlock() }
    var current = reading
    current.timeMs = Int(nanoseconds / 1_000_000)
    current.frameUs = frameUs
    return current
  }

  private func text(_ outputs: [[Float]]) throws -> String {
    guard let postprocessor = model.postprocessor, let placement = model.preprocessor?.placement
    else { return "" }
    switch postprocessor.contract.output {
    case .classes: try postprocessor.classes(outputs[0])
    case .boxes: try postprocessor.boxes(outputs[0], outputs[1], placement)
    case .embedding, .none: return "\(outputs[0].count) numbers"
    }
    let lines = postprocessor.answers.map { answer in
      let label = postprocessor.contract.label(answer.index)
      return "\(label.isEmpty ? "class \(answer.index)" : label): \(Int(answer.score * 100))%"
    }
    return ([model.variant ?? ""] + lines).joined(separator: "\n")
  }
}
