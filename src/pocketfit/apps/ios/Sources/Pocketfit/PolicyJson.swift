extension Policy {
  private static let mostRules = 62

  public init(_ json: Json) throws {
    guard try json.find("format")?.string() == "pocketfit-policy" else {
      throw PocketfitError("the policy does not say format pocketfit-policy")
    }
    guard try json.at("version").integer() == 1 else {
      throw PocketfitError("the policy has another version than 1")
    }
    let variants = try json.at("variants").items().map { try Variant($0) }
    let given = try json.find("rules")?.items() ?? []
    guard given.count <= Policy.mostRules else {
      throw PocketfitError("the policy has more than \(Policy.mostRules) rules")
    }
    self.variants = variants
    rules = try given.map { try Rule($0, variants) }
    otherwise = try Choice(json.at("default"), variants)
    dwellMs = try json.find("dwell_ms")?.integer() ?? 10_000
    handover = try json.find("handover").map { try Handover($0) } ?? Handover()
  }
}

extension Policy.Variant {
  init(_ json: Json) throws {
    name = try json.at("name").string()
    artifacts = try json.at("artifacts").items().map { try Policy.ArtifactRef($0) }
    delegate = try json.find("delegate")?.string()
    threads = try json.find("threads")?.integer() ?? 0
  }
}

extension Policy.ArtifactRef {
  init(_ json: Json) throws {
    runtime = try json.at("runtime").string()
    precision = try json.at("precision").string()
    bundle = try json.find("bundle")?.string() ?? "."
  }
}

extension Policy.Choice {
  init(_ json: Json, _ variants: [Policy.Variant]) throws {
    let name = try json.at("use").string()
    guard let variant = variants.firstIndex(where: { $0.name == name }) else {
      throw PocketfitError("the policy uses the variant \(name), which it does not have")
    }
    self.init(variant: variant)
    dwellMs = try json.find("dwell_ms")?.integer()
    guard let run = try json.find("run") else { return }
    every = try run.find("every")?.integer() ?? 1
    onMs = try run.find("on_ms")?.integer() ?? 1
    periodMs = try run.find("period_ms")?.integer() ?? 1
    guard every >= 1, periodMs >= 1 else {
      throw PocketfitError("run.every and run.period_ms have to be 1 or more")
    }
  }
}

extension Policy.Rule {
  init(_ json: Json, _ variants: [Policy.Variant]) throws {
    name = try json.at("name").string()
    when = try json.at("when").members().map { try Policy.Condition($0.key, $0.value) }
    then = try Policy.Choice(json.at("then"), variants)
    isUrgent = try json.find("urgent")?.bool() ?? false
  }
}

extension Policy.Condition {
  init(_ name: String, _ json: Json) throws {
    guard let sensor = Reading.Sensor(rawValue: name) else {
      throw PocketfitError("the policy looks at \(name), which is no sensor")
    }
    self.sensor = sensor
    let flag = try json.find("equals").map { try $0.bool() ? 1 : 0 }
    let low = try flag ?? json.find("at_least")?.integer()
    let high = try flag ?? json.find("at_most")?.integer()
    isBounded = low != nil || high != nil
    enter = Policy.ClosedSpan(low: low ?? .min, high: high ?? .max)
    stay = Policy.ClosedSpan(
      low: try json.find("leave_below")?.integer() ?? enter.low,
      high: try json.find("leave_above")?.integer() ?? enter.high)
    holdsUnknown = try json.find("unknown")?.bool() ?? false
    anyOf = try json.find("any_of")?.items().map { try $0.string() } ?? []
  }
}

extension Policy.Handover {
  init(_ json: Json) throws {
    self.init()
    finishesPending = try json.find("pending")?.string() != "drop"
    drainMs = try json.find("drain_ms")?.integer() ?? drainMs
    warmupFrames = try json.find("warmup_frames")?.integer() ?? warmupFrames
    resetsState = try json.find("state")?.string() == "reset"
  }
}
