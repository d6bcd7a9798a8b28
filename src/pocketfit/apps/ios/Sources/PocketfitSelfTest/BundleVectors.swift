import Foundation
import Pocketfit

/// The preprocess_vectors.json of a bundle.
enum BundleVectors {
  static func replay(_ bundle: ModelBundle, hasKey: Bool) throws -> [Suite] {
    var suites = try replayVariant(bundle, hasKey) + replayPolicy(bundle)
    for other in bundle.others {
      for var suite in try replayVariant(other, hasKey) {
        suite.name += " of \(other.name)"
        suites.append(suite)
      }
    }
    return suites
  }

  private static func replayVariant(_ bundle: ModelBundle, _ hasKey: Bool) throws -> [Suite] {
    try replayContract(bundle) + (bundle.isEncrypted && !hasKey ? [] : replayModels(bundle))
      + replayThresholds(bundle)
  }

  /// Each threshold is found by its artifact, and a gallery holds it.
  private static func replayThresholds(_ bundle: ModelBundle) throws -> [Suite] {
    guard let text = try bundle.read("thresholds") else { return [] }
    var suite = Suite("bundle thresholds")
    let thresholds = try Json.parse(text)
    let isCosine = try thresholds.at("score").string() == "cosine"
    for one in try thresholds.at("artifacts").items() {
      let runtime = try one.at("runtime").string()
      let precision = try one.at("precision").string()
      let told = try one.at("threshold").number()
      let held = try bundle.threshold(runtime: runtime, precision: precision)
      let ofGallery =
        try isCosine
        ? bundle.gallery(runtime: runtime, precision: precision).threshold : told
      let artifact = try bundle.artifact(runtime: runtime, precision: precision)
      suite.count(
        held == told && ofGallery == told && artifact != nil, "\(runtime) \(precision)")
    }
    return [suite]
  }

  /// Every file of every artifact, opened as an app does.
  private static func replayModels(_ bundle: ModelBundle) throws -> [Suite] {
    var models = Suite("bundle models")
    for artifact in try bundle.artifacts() {
      for (name, content) in try artifact.contents() { models.count(!content.isEmpty, name) }
    }
    return [models]
  }

  /// Every variant of the policy has an artifact in the folder that it names.
  private static func replayPolicy(_ bundle: ModelBundle) throws -> [Suite] {
    guard let policy = try bundle.policy() else { return [] }
    var variants = Suite("bundle policy")
    for variant in policy.variants {
      let found = try variant.artifacts.contains {
        try bundle.home(of: $0).artifact(runtime: $0.runtime, precision: $0.precision) != nil
      }
      variants.count(found, variant.name)
    }
    return [variants]
  }

  private static func replayContract(_ bundle: ModelBundle) throws -> [Suite] {
    guard let text = try bundle.read("preprocess_vectors") else { return [] }
    var inputs = Suite("bundle preprocessing")
    var answers = Suite("bundle postprocessing")
    let vectors = try Json.parse(text)
    let contract = try bundle.contract()
    let preprocessor = Preprocessor(contract)
    for input in try vectors.at("inputs").items() {
      inputs.count(try replay(input: input, preprocessor), "input \(inputs.total)")
    }
    for answer in try vectors.at("answers").items() {
      answers.count(try replay(answer: answer, contract), "answer \(answers.total)")
    }
    return [inputs, answers]
  }

  private static func replay(input: Json, _ preprocessor: Preprocessor) throws -> Bool {
    let size = Contract.Size(
      height: try input.at("height").integer(), width: try input.at("width").integer())
    let tensor = try Vectors.prepare(
      Vectors.noise(input.at("noise")), size, orientation: input.at("orientation").integer(),
      with: preprocessor)
    return try hasHash([UInt8](preprocessor.pixels), input.at("pixels"))
      && hasHash(tensor, input.at("expected"))
  }

  private static func hasHash(_ bytes: [UInt8], _ expected: Json) throws -> Bool {
    var hash = Sha256()
    hash.update(Data(bytes))
    return try hash.hex() == expected.at("sha256").string()
  }

  private static func replay(answer: Json, _ contract: Contract) throws -> Bool {
    let outputs = try answer.at("outputs").items().map { try output($0, contract) }
    return try Vectors.sameAnswer(contract, outputs, answer)
  }

  /// Noise brought to -4..4; to 0..1 for a detector's outputs.
  private static func output(_ told: Json, _ contract: Contract) throws -> [Float] {
    let noise = try Vectors.noise(told)
    if case .boxes = contract.output { return noise.map { Float($0) / 255 } }
    return noise.map { (Float($0) - 128) / 32 }
  }
}
