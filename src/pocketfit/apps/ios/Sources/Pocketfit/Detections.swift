import Foundation

/// A detector's boxes, and which of them are kept.
final class Detections {
  private(set) var kept: [Answer] = []

  private let wanted: Contract.Boxes
  private var found: [(index: Int, score: Double, box: Box, place: Int)] = []

  init(_ wanted: Contract.Boxes) {
    self.wanted = wanted
  }

  /// - Parameters:
  ///   - boxes: N x 4, with an N above 0.
  ///   - scores: N x classes, with at least one class.
  func find(_ boxes: [Float], _ scores: [Float], _ placement: Placement) {
    let classes = scores.count / (boxes.count / 4)
    found.removeAll(keepingCapacity: true)
    for place in 0..<(boxes.count / 4) {
      let (index, score) = bestClass(scores, place * classes, classes)
      if score >= wanted.scoreThreshold {
        found.append((index, score, corners(boxes, 4 * place, placement), place))
      }
    }
    found.sort { $0.score != $1.score ? $0.score > $1.score : $0.place < $1.place }
    keep()
    for place in kept.indices { kept[place].box = kept[place].box?.moved(placement) }
  }

  private func bestClass(_ scores: [Float], _ begin: Int, _ classes: Int) -> (Int, Double) {
    var most = -Double.infinity
    for place in begin..<(begin + classes) { most = max(most, Double(scores[place])) }
    var total = 0.0
    if wanted.activation == .softmax {
      for place in begin..<(begin + classes) { total += exp(Double(scores[place]) - most) }
    }
    var best = (0, activated(Double(scores[begin]), most, total))
    for index in 1..<max(classes, 1) {
      let score = activated(Double(scores[begin + index]), most, total)
      if score > best.1 { best = (index, score) }
    }
    return best
  }

  private func activated(_ value: Double, _ most: Double, _ total: Double) -> Double {
    switch wanted.activation {
    case .none: return value
    case .sigmoid: return 1.0 / (1.0 + exp(-value))
    case .softmax: return exp(value - most) / total
    }
  }

  private func corners(_ boxes: [Float], _ at: Int, _ placement: Placement) -> Box {
    let wide = wanted.normalised ? Double(placement.width) : 1
    let high = wanted.normalised ? Double(placement.height) : 1
    let (left, right) = ends(Double(boxes[at]), Double(boxes[at + 2]))
    let (top, bottom) = ends(Double(boxes[at + 1]), Double(boxes[at + 3]))
    return Box(left: left * wide, top: top * high, right: right * wide, bottom: bottom * high)
  }

  private func ends(_ one: Double, _ other: Double) -> (Double, Double) {
    wanted.format == .xyxy ? (one, other) : (one - other / 2, one + other / 2)
  }

  private func keep() {
    kept.removeAll(keepingCapacity: true)
    for one in found where kept.count < wanted.maxBoxes {
      let rival = kept.contains { other in
        let compete = !wanted.classWise || other.index == one.index
        return compete && (other.box?.overlap(one.box) ?? 0) > wanted.iouThreshold
      }
      if !rival { kept.append(Answer(index: one.index, score: one.score, box: one.box)) }
    }
  }
}

extension Box {
  private var area: Double { max(right - left, 0) * max(bottom - top, 0) }

  /// The shared area over that of both.
  func overlap(_ other: Box) -> Double {
    let shared = Box(
      left: max(left, other.left), top: max(top, other.top),
      right: min(right, other.right), bottom: min(bottom, other.bottom)
    ).area
    let both = area + other.area - shared
    return both > 0 ? shared / both : 0
  }

  /// From the model's input into the image.
  func moved(_ placement: Placement) -> Box {
    func across(_ x: Double) -> Double {
      let wide = Double(placement.imageWidth)
      let moved = (x - Double(placement.left)) * wide / Double(placement.resizedWidth)
      return min(max(moved, 0), wide)
    }
    func down(_ y: Double) -> Double {
      let high = Double(placement.imageHeight)
      let moved = (y - Double(placement.top)) * high / Double(placement.resizedHeight)
      return min(max(moved, 0), high)
    }
    return Box(left: across(left), top: down(top), right: across(right), bottom: down(bottom))
  }
}
