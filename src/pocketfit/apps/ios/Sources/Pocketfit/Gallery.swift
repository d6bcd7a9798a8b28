import Foundation

/// Who is enrolled, and who of them an embedding is like; every score is the reference's to the
/// last bit.
public struct Gallery {
  /// A person above the threshold.
  public struct Match: Equatable, Sendable {
    /// Of the person among those enrolled.
    public let person: Int
    /// The cosine with the template.
    public let score: Double
  }

  public let length: Int
  public let threshold: Double
  public private(set) var names: [String] = []
  /// What the last search found, the best first and of equal ones those enrolled first; empty for a
  /// stranger.
  public private(set) var matches: [Match] = []

  private let model: String
  private var templates: [Float] = []
  private var unit: [Float]

  /// An empty gallery; `ModelBundle.gallery` knows all three.
  ///
  /// - Parameters:
  ///   - model: what makes the embeddings, which tell nothing to another one.
  ///   - length: of an embedding.
  ///   - threshold: a cosine above it is that of the same person.
  public init(model: String, length: Int, threshold: Double) {
    self.model = model
    self.length = length
    self.threshold = threshold
    unit = [Float](repeating: 0, count: length)
  }

  /// Keeps the mean of somebody's embeddings, in the place of an older one of that name.
  ///
  /// - Returns: the lowest cosine of an embedding with it: low where one of them is of somebody else.
  @discardableResult
  public mutating func enrol(_ name: String, _ embeddings: [[Float]]) throws -> Double {
    guard !name.isEmpty, !embeddings.isEmpty else {
      throw PocketfitError("somebody is enrolled with a name and at least one embedding")
    }
    let units = try embeddings.map { try normalised($0) }
    var sums = [Double](repeating: 0, count: length)
    for one in units {
      for index in 0..<length { sums[index] += Double(one[index]) }
    }
    let mean = sums.map { Float($0 / Double(units.count)) }
    let template = try normalised(mean)
    keep(name, template)
    return units.map { dot($0, template, from: 0) }.min() ?? 0
  }

  public mutating func remove(_ name: String) throws {
    let place = try index(of: name)
    names.remove(at: place)
    templates.removeSubrange(place * length..<(place + 1) * length)
  }

  /// The cosine of an embedding with somebody's template.
  public mutating func score(_ name: String, _ embedding: [Float]) throws -> Double {
    let place = try index(of: name)
    try normalise(embedding)
    return dot(unit, templates, from: place * length)
  }

  /// Whether an embedding is of that person (1:1).
  public mutating func verify(_ name: String, _ embedding: [Float]) throws -> Bool {
    try score(name, embedding) > threshold
  }

  /// Finds whom an embedding may be of (1:N): `matches`. Allocates nothing once it has found as many.
  public mutating func search(_ embedding: [Float], most: Int) throws {
    matches.removeAll(keepingCapacity: true)
    try normalise(embedding)
    for person in names.indices {
      insert(Match(person: person, score: dot(unit, templates, from: person * length)), most)
    }
  }

  /// What is written to a file; docs/matching.md says how. It is not encrypted.
  public func data() -> Data {
    var bytes = Data(Gallery.magic)
    bytes.append(whole: UInt32(length))
    bytes.append(text: model)
    bytes.append(whole: UInt32(names.count))
    for (person, name) in names.enumerated() {
      bytes.append(text: name)
      for number in templates[person * length..<(person + 1) * length] {
        bytes.append(whole: number.bitPattern)
      }
    }
    return bytes
  }

  /// Enrols everybody that `data` wrote, in place of those who are there; a gallery of another model
  /// is refused, and one that is refused changes nothing.
  public mutating func read(_ data: Data) throws {
    var found = Gallery(model: model, length: length, threshold: threshold)
    try found.fill(from: data)
    self = found
  }

  /// All or nothing: a file that is there stays until the new one is complete.
  public func save(to file: URL) throws {
    try data().write(to: file, options: Artifact.protected)
  }

  public mutating func load(from file: URL) throws {
    try read(ModelBundle.data(of: file))
  }

  private static let magic = Array("PFGALL01".utf8)

  /// Number i goes to sum i mod 4, and a product of two floats is exact in a double.
  private func dot(_ one: [Float], _ other: [Float], from: Int) -> Double {
    var first = 0.0
    var second = 0.0
    var third = 0.0
    var fourth = 0.0
    let whole = length - length % 4
    for index in stride(from: 0, to: whole, by: 4) {
      first += Double(one[index]) * Double(other[from + index])
      second += Double(one[index + 1]) * Double(other[from + index + 1])
      third += Double(one[index + 2]) * Double(other[from + index + 2])
      fourth += Double(one[index + 3]) * Double(other[from + index + 3])
    }
    if whole < length { first += Double(one[whole]) * Double(other[from + whole]) }
    if whole + 1 < length { second += Double(one[whole + 1]) * Double(other[from + whole + 1]) }
    if whole + 2 < length { third += Double(one[whole + 2]) * Double(other[from + whole + 2]) }
    return (first + second) + (third + fourth)
  }

  private func norm(of embedding: [Float]) throws -> Double {
    guard embedding.count == length else {
      throw PocketfitError("the embedding has \(embedding.count) numbers, not \(length)")
    }
    let norm = dot(embedding, embedding, from: 0).squareRoot()
    guard norm.isFinite, norm != 0 else {
      throw PocketfitError("an embedding is all zeros, or holds a number that is not finite")
    }
    return norm
  }

  private func normalised(_ embedding: [Float]) throws -> [Float] {
    let norm = try norm(of: embedding)
    return embedding.map { Float(Double($0) / norm) }
  }

  /// Into `unit`.
  private mutating func normalise(_ embedding: [Float]) throws {
    let norm = try norm(of: embedding)
    for index in 0..<length { unit[index] = Float(Double(embedding[index]) / norm) }
  }

  /// Into the best so far, behind those that are as good.
  private mutating func insert(_ match: Match, _ most: Int) {
    let isFull = matches.count == most
    guard match.score > threshold, most > 0 else { return }
    if isFull {
      guard match.score > matches[most - 1].score else { return }
      matches.removeLast()
    }
    var place = matches.count
    while place > 0, matches[place - 1].score < match.score { place -= 1 }
    matches.insert(match, at: place)
  }

  private mutating func keep(_ name: String, _ template: [Float]) {
    if let place = place(of: name) {
      templates.replaceSubrange(place * length..<(place + 1) * length, with: template)
    } else {
      names.append(name)
      templates += template
    }
  }

  private func index(of name: String) throws -> Int {
    guard let place = place(of: name) else {
      throw PocketfitError("nobody is enrolled as \(name)")
    }
    return place
  }

  /// Byte by byte: Swift itself takes an é of one sign for an é of two, other languages do not.
  private func place(of name: String) -> Int? {
    names.firstIndex { $0.utf8.elementsEqual(name.utf8) }
  }

  private mutating func fill(from data: Data) throws {
    var reader = GalleryReader(data)
    guard try reader.bytes(Gallery.magic.count) == Gallery.magic else {
      throw PocketfitError("the file is no gallery")
    }
    guard try reader.whole() == UInt32(length),
      try reader.text().utf8.elementsEqual(model.utf8)
    else { throw PocketfitError("the gallery is of another model; enrol everybody again") }
    for _ in 0..<(try reader.whole()) {
      let name = try reader.text()
      guard !name.isEmpty, place(of: name) == nil else {
        throw PocketfitError("the gallery is damaged: a name is missing or there twice")
      }
      let template = try (0..<length).map { _ in Float(bitPattern: try reader.whole()) }
      guard template.allSatisfy(\.isFinite) else {
        throw PocketfitError("the gallery is damaged: a number is not finite")
      }
      keep(name, template)
    }
    guard reader.isAtEnd else {
      throw PocketfitError("the gallery is damaged: it goes on behind its end")
    }
  }
}

/// Little-endian numbers and texts, one after the other.
private struct GalleryReader {
  private let content: [UInt8]
  private var position = 0

  init(_ data: Data) {
    content = [UInt8](data)
  }

  var isAtEnd: Bool { position == content.count }

  mutating func bytes(_ count: Int) throws -> [UInt8] {
    guard count <= content.count - position else {
      throw PocketfitError("the gallery is cut off")
    }
    defer { position += count }
    return Array(content[position..<position + count])
  }

  mutating func whole() throws -> UInt32 {
    try bytes(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  mutating func text() throws -> String {
    String(decoding: try bytes(Int(whole())), as: UTF8.self)
  }
}

extension Data {
  fileprivate mutating func append(whole number: UInt32) {
    for shift in stride(from: 0, to: 32, by: 8) {
      append(UInt8(truncatingIfNeeded: number >> UInt32(shift)))
    }
  }

  fileprivate mutating func append(text: String) {
    append(whole: UInt32(text.utf8.count))
    append(contentsOf: text.utf8)
  }
}
