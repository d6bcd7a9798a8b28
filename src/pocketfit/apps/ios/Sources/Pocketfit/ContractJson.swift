extension Contract {
  public init(_ json: Json) throws {
    guard try json.find("version").map({ try $0.integer() == 1 }) ?? true else {
      throw PocketfitError(
        "the contract has another version than 1; take the app code of the Pocketfit that wrote it")
    }
    self.init()
    if let input = try json.find("input") { try read(input: input) }
    resize = try json.find("resize").map(Contract.resize) ?? .none
    crop = try json.find("crop").map { try Crop($0) }
    try readArithmetic(json)
    if let output = try json.find("output") { try read(output: output) }
    try check()
  }

  /// Reads the format of the image, and the matrix and range of a camera's.
  public mutating func read(input: Json) throws {
    self.input = try input.word("format", self.input)
    matrix = try input.word("matrix", matrix)
    range = try input.word("range", range)
  }

  private static func resize(_ json: Json) throws -> Resize {
    switch try json.at("kind").string() {
    case "exact":
      return .exact(try Size(json.at("size")))
    case "shorter_side":
      let pixels = try Size.side(json.at("pixels"))
      return .shorterSide(pixels: pixels, longer: try json.word("longer", .halfEven))
    case "letterbox":
      return .letterbox(try Letterbox(json))
    case let kind:
      throw PocketfitError("the contract's resize is \(kind), which is not known")
    }
  }

  private mutating func readArithmetic(_ json: Json) throws {
    orientation = try json.find("orientation")?.integer()
    kernel = try json.word("kernel", kernel)
    antialias = try json.find("antialias")?.bool() ?? antialias
    color = try json.word("color", color)
    scale = try json.find("scale")?.number() ?? scale
    mean = try json.find("mean")?.items().map { try $0.number() } ?? mean
    std = try json.find("std")?.items().map { try $0.number() } ?? std
    layout = try json.word("layout", layout)
    dtype = try json.word("dtype", dtype)
    if let given = try json.find("quantization") {
      let zeroPoint = try given.find("zero_point")?.integer() ?? 0
      quantization = Quantization(scale: try given.at("scale").number(), zeroPoint: zeroPoint)
    }
  }

  private mutating func read(output json: Json) throws {
    labels = try json.find("labels")?.items().map { try $0.string() } ?? []
    switch try json.at("kind").string() {
    case "classes": output = .classes(try Classes(json))
    case "boxes": output = .boxes(try Boxes(json))
    case "embedding": output = .embedding(normalise: try json.find("normalise")?.bool() ?? true)
    case let kind: throw PocketfitError("the contract's output is \(kind), which is not known")
    }
  }

  private func check() throws {
    for (name, values) in [("mean", mean), ("std", std)]
    where values.count != 1 && values.count != channels {
      throw PocketfitError("the contract's \(name) has \(values.count) numbers; 1 or \(channels)")
    }
    guard abs(quantization.zeroPoint) <= 1 << 20 else {
      throw PocketfitError(
        "the contract's zero point is \(quantization.zeroPoint), which is absurd")
    }
  }
}

extension Contract.Size {
  /// The longest side that is read: all sums of a resize stay within their integers.
  private static let longest = 65_535

  init(_ json: Json) throws {
    let sides = try json.items().map { try Contract.Size.side($0) }
    guard sides.count == 2 else { throw PocketfitError("a size is a height and a width") }
    self.init(height: sides[0], width: sides[1])
  }

  static func side(_ json: Json) throws -> Int {
    let pixels = try json.integer()
    guard (1...longest).contains(pixels) else {
      throw PocketfitError("a side has \(pixels) pixels; allowed are 1 to \(longest)")
    }
    return pixels
  }
}

extension Contract.Letterbox {
  init(_ json: Json) throws {
    self.init(size: try Contract.Size(json.at("size")))
    align = try json.word("align", align)
    longer = try json.word("longer", longer)
    guard let given = try json.find("fill")?.items() else { return }
    fill = try given.map { UInt8(clamping: try $0.integer()) }
    guard fill.count == 3 else { throw PocketfitError("the letterbox's fill has to be 3 numbers") }
  }
}

extension Contract.Crop {
  init(_ json: Json) throws {
    self.init(size: try Contract.Size(json.at("size")), offset: try json.word("offset", .floor))
  }
}

extension Contract.Classes {
  init(_ json: Json) throws {
    softmax = try json.find("softmax")?.bool() ?? softmax
    topK = try json.find("top_k")?.integer() ?? topK
    guard topK >= 1 else { throw PocketfitError("the contract's top_k has to be 1 or more") }
  }
}

extension Contract.Boxes {
  init(_ json: Json) throws {
    format = try json.word("format", format)
    normalised = try json.find("normalised")?.bool() ?? normalised
    activation = try json.word("activation", activation)
    scoreThreshold = try json.find("score_threshold")?.number() ?? scoreThreshold
    iouThreshold = try json.find("iou_threshold")?.number() ?? iouThreshold
    classWise = try json.find("class_wise")?.bool() ?? classWise
    maxBoxes = try json.find("max_boxes")?.integer() ?? maxBoxes
  }
}

extension Json {
  /// One of the words that an enumeration knows.
  func word<Word: RawRepresentable>(_ key: String, _ otherwise: Word) throws -> Word
  where Word.RawValue == String {
    guard let given = try find(key)?.string() else { return otherwise }
    guard let word = Word(rawValue: given) else {
      throw PocketfitError("the contract's \(key) is \(given), which is not known")
    }
    return word
  }
}
