/// Reads one JSON text, byte by byte.
struct JsonParser {
  private static let deepest = 64

  private let text: [UInt8]
  private var position = 0

  init(_ text: String) {
    self.text = Array(text.utf8)
  }

  mutating func whole() throws -> Json {
    let found = try value(depth: 0)
    skipSpace()
    guard position == text.count else { throw failure("something stands behind its end") }
    return found
  }

  private func failure(_ what: String) -> PocketfitError {
    PocketfitError("not JSON at byte \(position): \(what)")
  }

  /// The next byte; 0 at the end.
  private var next: UInt8 { position < text.count ? text[position] : 0 }

  private mutating func skipSpace() {
    while [0x20, 0x09, 0x0A, 0x0D].contains(next) { position += 1 }
  }

  private mutating func take(_ sign: Character) -> Bool {
    skipSpace()
    guard next == sign.asciiValue else { return false }
    position += 1
    return true
  }

  private mutating func need(_ sign: Character) throws {
    guard take(sign) else { throw failure("'\(sign)' was expected") }
  }

  private mutating func value(depth: Int) throws -> Json {
    guard depth <= JsonParser.deepest else { throw failure("too deep") }
    skipSpace()
    switch Character(UnicodeScalar(next)) {
    case "{": return .map(try object(depth: depth))
    case "[": return .list(try array(depth: depth))
    case "\"": return .text(try string())
    case "t": return try word("true", .truth(true))
    case "f": return try word("false", .truth(false))
    case "n": return try word("null", .null)
    default: return .double(try number())
    }
  }

  private mutating func object(depth: Int) throws -> [String: Json] {
    var members: [String: Json] = [:]
    try need("{")
    if take("}") { return members }
    repeat {
      skipSpace()
      let name = try string()
      try need(":")
      guard members[name] == nil else { throw failure("\(name) is there twice") }
      members[name] = try value(depth: depth + 1)
    } while take(",")
    try need("}")
    return members
  }

  private mutating func array(depth: Int) throws -> [Json] {
    var items: [Json] = []
    try need("[")
    if take("]") { return items }
    repeat {
      items.append(try value(depth: depth + 1))
    } while take(",")
    try need("]")
    return items
  }

  private mutating func word(_ word: String, _ meaning: Json) throws -> Json {
    guard text[position...].starts(with: word.utf8) else { throw failure("no such word") }
    position += word.utf8.count
    return meaning
  }

  private mutating func number() throws -> Double {
    let rest = text[position...]
    let digits = rest.prefix { "+-.0123456789eE".utf8.contains($0) }
    guard let found = Double(String(decoding: digits, as: UTF8.self)), found.isFinite else {
      throw failure("no number")
    }
    position += digits.count
    return found
  }

  private mutating func string() throws -> String {
    try need("\"")
    var units: [UInt8] = []
    while next != 0x22 {
      guard next >= 0x20 else { throw failure("a string has no end") }
      if next == 0x5C {
        units.append(contentsOf: try escaped())
      } else {
        units.append(next)
        position += 1
      }
    }
    position += 1
    return String(decoding: units, as: UTF8.self)
  }

  private mutating func escaped() throws -> [UInt8] {
    position += 1
    let name = Character(UnicodeScalar(next))
    position += 1
    if name == "u" { return try unicode() }
    let meanings: [Character: UInt8] = [
      "\"": 0x22, "\\": 0x5C, "/": 0x2F, "b": 0x08, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09,
    ]
    guard let meaning = meanings[name] else { throw failure("no such escape") }
    return [meaning]
  }

  private mutating func unicode() throws -> [UInt8] {
    var units = [try hexadecimal()]
    if UTF16.isLeadSurrogate(units[0]), text[position...].starts(with: "\\u".utf8) {
      position += 2
      units.append(try hexadecimal())
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }

  private mutating func hexadecimal() throws -> UInt16 {
    let digits = String(decoding: text[position...].prefix(4), as: UTF8.self)
    guard digits.utf8.count == 4, let unit = UInt16(digits, radix: 16) else {
      throw failure("no such escape")
    }
    position += 4
    return unit
  }
}
