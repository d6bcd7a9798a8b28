import Foundation
import Pocketfit

/// Enrolments and searches, and faces cut out, one case a line.
struct MatchingVectors {
  private let test: Json
  private let embeddings: [Float]
  private var gallery: Gallery

  private init(_ test: Json) throws {
    self.test = test
    gallery = try MatchingVectors.empty(test.at("gallery"))
    guard let bytes = Data(base64Encoded: try test.at("embeddings").string()) else {
      throw PocketfitError("the vectors' embeddings are not base64")
    }
    let content = [UInt8](bytes)
    embeddings = stride(from: 0, to: content.count, by: 4).map { at in
      Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(content[at + $1]) << UInt32(8 * $1) })
    }
  }

  static func areIn(_ text: String) throws -> Bool {
    guard let line = text.split(separator: "\n").first else { return false }
    return try Json.parse(String(line)).find("gallery") != nil
  }

  static func replay(_ text: String) throws -> [Suite] {
    var galleries = Suite("gallery")
    var faces = Suite("align")
    for line in text.split(separator: "\n") {
      let test = try Json.parse(String(line))
      let name = try test.at("name").string()
      if try test.find("landmarks") != nil {
        faces.count(try isSameFace(test), name)
      } else {
        var vectors = try MatchingVectors(test)
        galleries.count(try vectors.replay(), name)
      }
    }
    return [galleries, faces]
  }

  private static func isSameFace(_ test: Json) throws -> Bool {
    let shape = try test.at("noise").at("shape").items().map { try $0.integer() }
    let numbers = try test.at("landmarks").items().map { try $0.number() }
    let points = stride(from: 0, to: numbers.count, by: 2).map {
      FaceAligner.Point(x: numbers[$0], y: numbers[$0 + 1])
    }
    let found = try test.at("found")
    let image = try Vectors.noise(test.at("noise"))
    var aligner = FaceAligner()
    do {
      try image.withUnsafeBufferPointer {
        try aligner.align($0, height: shape[0], width: shape[1], points: points)
      }
    } catch is PocketfitError {
      return found.isNull
    }
    return try !found.isNull && hash(Data(aligner.pixels)) == found.string()
  }

  private static func hash(_ data: Data) -> String {
    var hash = Sha256()
    hash.update(data)
    return hash.hex()
  }

  private static func empty(_ told: Json) throws -> Gallery {
    Gallery(
      model: try told.at("model").string(), length: try told.at("length").integer(),
      threshold: try told.at("threshold").number())
  }

  private mutating func replay() throws -> Bool {
    let found = try test.at("found").items()
    for (index, step) in try test.at("steps").items().enumerated() {
      guard try isSame(step, found[index]) else { return false }
    }
    return true
  }

  /// Refused exactly where null is found.
  private mutating func isSame(_ step: Json, _ found: Json) throws -> Bool {
    let work = try step.at("do").string()
    let name = try step.at("name").string()
    let rows = try step.at("rows").items().map { try row($0) }
    do {
      switch work {
      case "enrol":
        let lowest = try gallery.enrol(name, rows)
        return found == .double(lowest)
      case "remove":
        try gallery.remove(name)
        return !found.isNull
      case "reload":
        return try reload(found)
      case "search":
        try gallery.search(rows[0], most: step.at("most").integer())
        return try !found.isNull && isSame(matches: found.items())
      default:
        let answer = try [
          Json.double(gallery.score(name, rows[0])), .truth(gallery.verify(name, rows[0])),
        ]
        return found == .list(answer)
      }
    } catch is PocketfitError {
      return found.isNull
    }
  }

  private func isSame(matches found: [Json]) throws -> Bool {
    let matches = gallery.matches.map {
      Json.list([.text(gallery.names[$0.person]), .double($0.score)])
    }
    return matches == found
  }

  /// Goes on with what was read; one that is cut off, or of another model, is refused.
  private mutating func reload(_ found: Json) throws -> Bool {
    let data = gallery.data()
    var read = try MatchingVectors.empty(test.at("gallery"))
    let other = Gallery(
      model: "another", length: gallery.length, threshold: gallery.threshold)
    let isRefused =
      MatchingVectors.refuses(read, data.dropLast())
      && MatchingVectors.refuses(read, data + [0]) && MatchingVectors.refuses(other, data)
    try read.read(data)
    gallery = read
    return try isRefused && !found.isNull && MatchingVectors.hash(data) == found.string()
  }

  private static func refuses(_ gallery: Gallery, _ data: Data) -> Bool {
    var gallery = gallery
    do {
      try gallery.read(data)
    } catch {
      return gallery.names.isEmpty
    }
    return false
  }

  private func row(_ number: Json) throws -> [Float] {
    let from = try number.integer() * gallery.length
    return Array(embeddings[from..<from + gallery.length])
  }
}
