import Foundation
import Pocketfit

/// The files of `write_vectors`, one for each step of the contract.
enum StepVectors {
  static func replay(_ file: Json) throws -> Suite {
    var suite = Suite(try file.at("step").string())
    for test in try file.at("cases").items() {
      suite.count(try replay(suite.name, test), "case \(suite.total)")
    }
    return suite
  }

  private static func replay(_ step: String, _ test: Json) throws -> Bool {
    switch step {
    case "yuv": return try yuv(test)
    case "orientation":
      return try samePixels(Contract(), test, orientation: test.at("orientation").integer())
    case "resize": return try samePixels(resize(test), test, orientation: 1)
    case "geometry": return try geometry(test)
    case "luma": return try luma(test)
    case "tables": return try table(test)
    case "quantization": return try quantization(test)
    case "whole": return try whole(test)
    case "answers": return try answers(test)
    case "ed25519": return try IntegrityVectors.ed25519(test)
    case "aes_gcm": return try IntegrityVectors.aesGcm(test)
    default: throw PocketfitError("the step \(step) is not known")
    }
  }

  private static func yuv(_ test: Json) throws -> Bool {
    var contract = Contract()
    try contract.read(input: test)
    let preprocessor = Preprocessor(contract)
    _ = try Vectors.prepare(
      Vectors.bytes(test.at("buffer")), sides(test),
      rowStride: test.find("row_stride")?.integer() ?? 0, orientation: 1, with: preprocessor)
    return try [UInt8](preprocessor.pixels) == Vectors.bytes(test.at("expected"))
  }

  private static func sides(_ test: Json) throws -> Contract.Size {
    Contract.Size(
      height: try test.at("height").integer(), width: try test.at("width").integer())
  }

  private static func samePixels(_ contract: Contract, _ test: Json, orientation: Int) throws
    -> Bool
  {
    let preprocessor = Preprocessor(contract)
    let image = try test.at("image")
    _ = try Vectors.prepare(
      Vectors.bytes(image), Vectors.size(image), orientation: orientation, with: preprocessor)
    return try [UInt8](preprocessor.pixels) == Vectors.bytes(test.at("expected"))
  }

  private static func resize(_ test: Json) throws -> Contract {
    let resize = Json.map(["kind": .text("exact"), "size": try test.at("size")])
    return try Contract(
      .map([
        "resize": resize, "kernel": test.at("kernel"), "antialias": test.at("antialias"),
      ]))
  }

  private static func geometry(_ test: Json) throws -> Bool {
    let placement = try Vectors.placement(test.at("image"), Contract(test.at("contract")))
    let expected = try test.at("expected")
    let pairs = [
      ("image", placement.imageHeight, placement.imageWidth),
      ("resized", placement.resizedHeight, placement.resizedWidth),
      ("size", placement.height, placement.width),
      ("offset", placement.top, placement.left),
    ]
    return try pairs.allSatisfy { name, vertical, horizontal in
      let told = try expected.at(name).items().map { try $0.integer() }
      return told == [vertical, horizontal]
    }
  }

  private static func luma(_ test: Json) throws -> Bool {
    var contract = Contract()
    contract.color = .gray
    contract.scale = 1
    contract.dtype = .uint8
    let image = try test.at("image")
    let tensor = try Vectors.prepare(
      Vectors.bytes(image), Vectors.size(image), orientation: 1, with: Preprocessor(contract))
    return try tensor == Vectors.bytes(test.at("expected"))
  }

  private static func table(_ test: Json) throws -> Bool {
    let contract = try Contract(test.at("contract"))
    let table =
      contract.dtype == .float32
      ? Vectors.bytes(PixelTable.floats(contract)) : PixelTable.bytes(contract)
    return try table == Vectors.bytes(test.at("expected"))
  }

  private static func quantization(_ test: Json) throws -> Bool {
    let dtype: Contract.Dtype = try test.at("dtype").string() == "int8" ? .int8 : .uint8
    let numbers = Quantization(
      scale: try test.at("scale").number(), zeroPoint: try test.at("zero_point").integer())
    let integers = try Vectors.floats(test.at("values")).map { numbers.quantize($0, dtype) }
    let floats = integers.map { numbers.dequantize($0) }
    return try integers.map { UInt8(truncatingIfNeeded: $0) } == Vectors.bytes(test.at("quantized"))
      && Vectors.bytes(floats) == Vectors.bytes(test.at("dequantized"))
  }

  private static func whole(_ test: Json) throws -> Bool {
    let contract = try Contract(test.at("contract"))
    let image = try test.at("image")
    let bytes = try Vectors.bytes(contract.isYuv ? image.at("buffer") : image)
    let size = try contract.isYuv ? sides(image) : Vectors.size(image)
    let tensor = try Vectors.prepare(
      bytes, size, orientation: test.at("orientation").integer(), with: Preprocessor(contract))
    return try tensor == Vectors.bytes(test.at("expected"))
  }

  private static func answers(_ test: Json) throws -> Bool {
    let outputs = try test.at("outputs").items().map { try Vectors.floats($0) }
    return try Vectors.sameAnswer(Contract(test.at("contract")), outputs, test)
  }
}
