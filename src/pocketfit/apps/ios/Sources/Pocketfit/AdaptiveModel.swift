/// A bundle's model, run as its policy decides. For one thread, on which engines are opened and
/// run.
public final class AdaptiveModel {
  /// Opens an artifact; nil where the app does not have its runtime.
  public typealias Opener = (Artifact, EngineOptions) throws -> Engine?

  public let preprocessor: Preprocessor
  public let postprocessor: Postprocessor
  /// What was decided for the last frame.
  public private(set) var decision: Decision?

  private let bundle: ModelBundle
  private let open: Opener
  private var policyEngine: PolicyEngine
  private var engine: Engine?

  /// - Parameter policy: nil runs what the bundle recommends, at every frame.
  public init(_ bundle: ModelBundle, policy: Policy?, open: @escaping Opener) throws {
    let contract = try bundle.contract()
    let artifacts = try bundle.artifacts()
    let recommended = artifacts.filter(\.chosen) + artifacts.filter { !$0.chosen }
    self.bundle = bundle
    self.open = open
    policyEngine = PolicyEngine(policy ?? Policy.always(recommended))
    preprocessor = Preprocessor(contract)
    postprocessor = Postprocessor(contract)
  }

  /// Name of the variant in use.
  public var variant: String? {
    decision.map { policyEngine.policy.variants[$0.variant].name }
  }

  /// Does for one frame what the policy decides.
  ///
  /// - Parameter reading: all that is known now; every frame is answered before the next, so nothing
  ///   is ever in flight.
  /// - Returns: the model's outputs; nil where the last answer stays.
  public func run(_ image: InputImage, orientation: Int = 1, _ reading: Reading) throws
    -> [[Float]]?
  {
    let decision = policyEngine.step(reading)
    self.decision = decision
    if decision.command == .swap { try swap(to: decision.variant) }
    guard decision.action == .infer || decision.action == .warmUp, let engine else { return nil }
    let outputs = try engine.run(preprocessor.run(image, orientation: orientation))
    return decision.action == .infer ? outputs : nil
  }

  private func swap(to index: Int) throws {
    engine = nil
    let variant = policyEngine.policy.variants[index]
    let options = EngineOptions(delegate: variant.delegate, threads: variant.threads)
    for ref in variant.artifacts where ref.bundle == "." {
      guard let artifact = try bundle.artifact(runtime: ref.runtime, precision: ref.precision),
        let opened = try open(artifact, options)
      else { continue }
      engine = opened
      return
    }
    throw PocketfitError(
      "the app has no runtime for the variant \(variant.name), which needs "
        + variant.artifacts.map { "\($0.runtime) \($0.precision)" }.joined(separator: " or "))
  }
}
