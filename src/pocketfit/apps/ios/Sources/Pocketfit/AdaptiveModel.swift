/// A bundle's model, run as its policy decides. For one thread, on which engines are opened and run.
public final class AdaptiveModel {
  /// Opens an artifact; nil where the app does not have its runtime.
  public typealias Opener = (Artifact, EngineOptions) throws -> Engine?

  /// What was decided for the last frame.
  public private(set) var decision: Decision?
  /// Of the variant in use; nil before the first frame.
  public private(set) var preprocessor: Preprocessor?
  public private(set) var postprocessor: Postprocessor?

  private let bundle: ModelBundle
  private let open: Opener
  private var policyEngine: PolicyEngine
  private var engine: Engine?

  /// - Parameters:
  ///   - policy: in place of the bundle's own; where there is none, what the bundle recommends runs
  ///     at every frame.
  ///   - open: `Engines.open`, or the app's own.
  public init(_ bundle: ModelBundle, policy: Policy? = nil, open: @escaping Opener) throws {
    let artifacts = try bundle.artifacts()
    let recommended = artifacts.filter(\.chosen) + artifacts.filter { !$0.chosen }
    self.bundle = bundle
    self.open = open
    policyEngine = PolicyEngine(try policy ?? bundle.policy() ?? Policy.always(recommended))
  }

  /// Name of the variant in use.
  public var variant: String? {
    decision.map { policyEngine.policy.variants[$0.variant].name }
  }

  /// Does for one frame what the policy decides.
  ///
  /// - Parameter reading: all that is known now. Every frame is answered before the next, so that
  ///   nothing is ever in flight, and a variant is ready as soon as it is asked for.
  /// - Returns: the model's outputs; nil where the last answer stays.
  public func run(_ image: InputImage, orientation: Int = 1, _ reading: Reading) throws
    -> [[Float]]?
  {
    let decision = policyEngine.step(reading)
    self.decision = decision
    if decision.command == .swap { try swap(to: decision.variant) }
    guard decision.action == .infer || decision.action == .warmUp, let engine, let preprocessor
    else { return nil }
    let outputs = try engine.run(preprocessor.run(image, orientation: orientation))
    return decision.action == .infer ? outputs : nil
  }

  private func swap(to index: Int) throws {
    engine = nil
    let variant = policyEngine.policy.variants[index]
    let options = EngineOptions(delegate: variant.delegate, threads: variant.threads)
    for ref in variant.artifacts {
      let home = try bundle.home(of: ref)
      guard let artifact = try home.artifact(runtime: ref.runtime, precision: ref.precision),
        let opened = try open(artifact, options)
      else { continue }
      let contract = try home.contract()
      if contract != preprocessor?.contract {
        preprocessor = Preprocessor(contract)
        postprocessor = Postprocessor(contract)
      }
      engine = opened
      return
    }
    throw PocketfitError(
      "the app has no runtime for the variant \(variant.name), which needs "
        + variant.artifacts.map { "\($0.runtime) \($0.precision)" }.joined(separator: " or "))
  }
}
