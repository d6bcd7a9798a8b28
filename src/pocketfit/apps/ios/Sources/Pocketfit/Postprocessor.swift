import Foundation

/// In pixels of the upright image.
public struct Box: Equatable, Sendable {
  public var left: Double
  public var top: Double
  public var right: Double
  public var bottom: Double
}

/// A class with its score, and where it is seen.
public struct Answer: Equatable, Sendable {
  public var index: Int
  public var score: Double
  public var box: Box?
}

/// From a model's outputs to answers, in memory that is kept from frame to frame. One for each
/// thread.
public final class Postprocessor {
  public let contract: Contract
  /// The best first.
  public private(set) var answers: [Answer] = []

  private var detections: Detections?
  private var vector: [Float] = []

  public init(_ contract: Contract) {
    self.contract = contract
    switch contract.output {
    case .classes(let classes): answers.reserveCapacity(min(classes.topK, 65_536))
    case .boxes(let boxes): detections = Detections(boxes)
    case .embedding, .none: break
    }
  }

  /// Finds the best classes.
  public func classes(_ scores: [Float]) throws {
    guard case .classes(let wanted) = contract.output else { throw otherOutput("classes") }
    try checkFinite(scores)
    answers.removeAll(keepingCapacity: true)
    for (index, score) in scores.enumerated() {
      insert(Answer(index: index, score: Double(score)), most: wanted.topK)
    }
    if wanted.softmax { normalise(scores) }
  }

  /// Finds the boxes to keep.
  ///
  /// - Parameters:
  ///   - boxes: N x 4 as the model gives them.
  ///   - scores: N x classes.
  ///   - placement: where the image came to lie.
  public func boxes(_ boxes: [Float], _ scores: [Float], _ placement: Placement) throws {
    guard let detections else { throw otherOutput("boxes") }
    let count = boxes.count / 4
    guard boxes.count % 4 == 0, count > 0, scores.count % count == 0, scores.count >= count else {
      throw PocketfitError(
        "the outputs have \(boxes.count) and \(scores.count) numbers; a detector's are boxes Nx4, "
          + "then scores Nxclasses")
    }
    detections.find(boxes, scores, placement)
    answers.removeAll(keepingCapacity: true)
    answers.append(contentsOf: detections.kept)
  }

  /// The vector, of length 1 if the contract says so.
  public func embedding(_ values: [Float]) throws -> [Float] {
    guard case .embedding(let normalise) = contract.output else { throw otherOutput("a vector") }
    try checkFinite(values)
    var sum = 0.0
    for value in values { sum += Double(value) * Double(value) }
    let length = normalise && sum > 0 ? sum.squareRoot() : 1.0
    vector.removeAll(keepingCapacity: true)
    for value in values { vector.append(Float(Double(value) / length)) }
    return vector
  }

  private func otherOutput(_ asked: String) -> PocketfitError {
    PocketfitError(
      "\(asked) were asked for, but the contract's output is another: \(contract.output)")
  }

  private func checkFinite(_ values: [Float]) throws {
    guard !values.isEmpty, values.allSatisfy({ $0.isFinite }) else {
      throw PocketfitError(
        "the output is empty or holds numbers that are not finite; check the model and its input")
    }
  }

  /// Into the best so far, behind those that are as good.
  private func insert(_ answer: Answer, most: Int) {
    if answers.count == most {
      guard answer.score > answers[most - 1].score else { return }
      answers.removeLast()
    }
    var place = answers.count
    while place > 0 && answers[place - 1].score < answer.score { place -= 1 }
    answers.insert(answer, at: place)
  }

  private func normalise(_ scores: [Float]) {
    let most = answers[0].score
    var total = 0.0
    for score in scores { total += exp(Double(score) - most) }
    for place in answers.indices {
      answers[place].score = exp(answers[place].score - most) / total
    }
  }
}
