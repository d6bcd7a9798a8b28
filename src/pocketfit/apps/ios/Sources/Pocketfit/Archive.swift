import Foundation

/// A bundle that `pocketfit bundle pack` wrote as one file: a zip archive in which nothing is
/// compressed.
public struct Archive {
  private static let endBytes = 22
  private static let entryBytes = 46
  private static let localBytes = 30

  private let data: [UInt8]
  private var entries: [(name: String, content: ArraySlice<UInt8>)] = []

  private init(_ data: Data) throws {
    self.data = [UInt8](data)
    let end = data.count - Archive.endBytes
    guard end >= 0, try number(end, 4) == 0x0605_4b50 else { throw Archive.damaged }
    var at = try number(end + 16, 4)
    for _ in 0..<(try number(end + 10, 2)) {
      guard try number(at, 4) == 0x0201_4b50 else { throw Archive.damaged }
      entries.append(try entry(at))
      at += try Archive.entryBytes + number(at + 28, 2) + number(at + 30, 2) + number(at + 32, 2)
    }
    try check()
  }

  /// Writes the bundle into a folder that is not there yet, once everything in it was checked.
  public static func unpack(
    _ file: URL, into folder: URL, _ trust: Trust = Trust(), key: Data? = nil
  ) throws -> ModelBundle {
    let manager = FileManager.default
    guard !manager.fileExists(atPath: folder.path) else {
      throw PocketfitError("\(folder.path) is there already")
    }
    let archive = try Archive(ModelBundle.data(of: file))
    let building = URL(fileURLWithPath: folder.path + ".partial")
    try? manager.removeItem(at: building)
    defer { try? manager.removeItem(at: building) }
    try archive.write(to: building)
    _ = try ModelBundle.open(building, trust, key: key)
    try manager.moveItem(at: building, to: folder)
    return try ModelBundle.open(folder, trust, key: key)
  }

  private static var damaged: PocketfitError {
    PocketfitError("this is no archive of a bundle, or a damaged one")
  }

  private func check() throws {
    var names: Set<String> = []
    for (name, _) in entries {
      guard ModelBundle.staysInside(name) else {
        throw PocketfitError("the archive has \(name), which leads out of the bundle")
      }
      guard names.insert(name).inserted else {
        throw PocketfitError("the archive has \(name) twice")
      }
    }
    guard entries.reduce(0, { $0 + $1.content.count }) <= data.count else {
      throw PocketfitError("the archive has files that overlap")
    }
  }

  private func write(to folder: URL) throws {
    for (name, content) in entries {
      let file = folder.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(content).write(to: file)
    }
  }

  private func part(_ at: Int, _ count: Int) throws -> ArraySlice<UInt8> {
    guard at >= 0, at <= data.count, count <= data.count - at else { throw Archive.damaged }
    return data[at..<at + count]
  }

  /// Little-endian.
  private func number(_ at: Int, _ count: Int) throws -> Int {
    try part(at, count).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private func entry(_ at: Int) throws -> (name: String, content: ArraySlice<UInt8>) {
    let name = String(
      decoding: try part(at + Archive.entryBytes, number(at + 28, 2)), as: UTF8.self)
    let size = try number(at + 24, 4)
    guard try number(at + 10, 2) == 0, try number(at + 8, 2) & 1 == 0,
      try number(at + 20, 4) == size
    else {
      throw PocketfitError(
        "the archive has \(name) compressed; pocketfit bundle pack compresses nothing")
    }
    let local = try number(at + 42, 4)
    guard try number(local, 4) == 0x0403_4b50 else { throw Archive.damaged }
    let begin = try local + Archive.localBytes + number(local + 26, 2) + number(local + 28, 2)
    return (name, try part(begin, size))
  }
}
