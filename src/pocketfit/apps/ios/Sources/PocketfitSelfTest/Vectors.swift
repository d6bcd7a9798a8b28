import Foundation
import Pocketfit

/// Test vectors as Pocketfit writes them, and comparisons with them.
enum Vectors {
  /// The noise that docs/preprocessing.md defines.
  static func noise(_ told: Json) throws -> [UInt8] {
    var state = UInt32(truncatingIfNeeded: try told.at("seed").integer())
    return (0..<(try volume(told.at("shape")))).map { _ in
      state = 1_664_525 &* state &+ 1_013_904_223
      return UInt8(truncatingIfNeeded: state >> 24)
    }
  }

  static func bytes(_ array: Json) throws -> [UInt8] {
    guard let data = Data(base64Encoded: try array.at("data").string()) else {
      throw PocketfitError("an array of the vectors is not base64")
    }
    return [UInt8](data)
  }

  static func floats(_ array: Json) throws -> [Float] {
    let bytes = try bytes(array)
    return stride(from: 0, to: bytes.count, by: 4).map { at in
      let bits = bytes[at..<at + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      return Float(bitPattern: bits)
    }
  }

  /// As floats stand in a file.
  static func bytes(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in
      [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32($0)) }
    }
  }

  static func volume(_ shape: Json) throws -> Int {
    try shape.items().reduce(1) { try $0 * $1.integer() }
  }

  /// Prepares pixels, or the planes of a camera image behind each other.
  static func prepare(
    _ bytes: [UInt8], _ size: Contract.Size, rowStride: Int = 0, orientation: Int,
    with preprocessor: Preprocessor
  ) throws -> [UInt8] {
    let contract = preprocessor.contract
    return try bytes.withUnsafeBytes { data in
      let image =
        contract.isYuv
        ? try InputImage.yuv(
          data, height: size.height, width: size.width, format: contract.input,
          rowStride: rowStride)
        : InputImage.pixels(
          data, height: size.height, width: size.width, format: contract.input,
          rowStride: rowStride)
      return [UInt8](try preprocessor.run(image, orientation: orientation))
    }
  }

  /// Height and width of an array of pixels.
  static func size(_ array: Json) throws -> Contract.Size {
    let shape = try array.at("shape").items()
    return Contract.Size(height: try shape[0].integer(), width: try shape[1].integer())
  }

  static func placement(_ size: Json, _ contract: Contract) throws -> Placement {
    let sides = try size.items()
    return try Placement(
      imageHeight: sides[0].integer(), imageWidth: sides[1].integer(), contract: contract)
  }

  /// Runs what the contract says on a model's outputs and compares.
  static func sameAnswer(_ contract: Contract, _ outputs: [[Float]], _ test: Json) throws -> Bool {
    let postprocessor = Postprocessor(contract)
    let expected = try test.at("expected")
    switch contract.output {
    case .embedding:
      return try sameVector(postprocessor.embedding(outputs[0]), expected)
    case .boxes:
      let placement = try placement(test.at("image"), contract)
      try postprocessor.boxes(outputs[0], outputs[1], placement)
    case .classes, .none:
      try postprocessor.classes(outputs[0])
    }
    return try sameAnswers(postprocessor, expected.items())
  }

  private static func sameAnswers(_ found: Postprocessor, _ expected: [Json]) throws -> Bool {
    guard found.answers.count == expected.count else { return false }
    return try zip(found.answers, expected).allSatisfy { answer, told in
      let label = found.contract.label(answer.index)
      guard try answer.index == told.at("index").integer(),
        try isNear(answer.score, told.at("score").number()),
        try label == told.at("label").string()
      else { return false }
      return try told.find("box").map { try isNear(answer.box, $0.items()) } ?? true
    }
  }

  private static func isNear(_ box: Box?, _ sides: [Json]) throws -> Bool {
    guard let box else { return false }
    return try zip([box.left, box.top, box.right, box.bottom], sides).allSatisfy {
      try isNear($0, $1.number())
    }
  }

  private static func sameVector(_ found: [Float], _ expected: Json) throws -> Bool {
    let values =
      expected.isArray
      ? try expected.items().map { try $0.number() } : try floats(expected).map { Double($0) }
    return found.count == values.count
      && zip(found, values).allSatisfy { isNear(Double($0), $1) }
  }

  private static func isNear(_ one: Double, _ other: Double) -> Bool {
    abs(one - other) <= 2e-6 * max(1, abs(one))
  }
}
