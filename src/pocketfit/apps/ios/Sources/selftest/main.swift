import Foundation
import Pocketfit
import PocketfitSelfTest

// Replays test vectors: selftest [--public-key HEX] [--least-release N] [--model-key HEX] PATH ...,
// each path a bundle's folder, its .zip, a .jsonl of policies or cameras, or the .json of a step.
// What is demanded of bundles comes first. Prints one JSON object a suite; the exit code is 1 where
// anything differs, and 2 where something cannot be read.
func tell(_ text: String) {
  FileHandle.standardError.write(Data((text + "\n").utf8))
}

struct Demands {
  var trust = Trust()
  var key: Data?

  /// Whether it is an option, whose value follows.
  mutating func take(_ name: String, _ value: String?) throws -> Bool {
    guard ["--public-key", "--least-release", "--model-key"].contains(name) else { return false }
    guard let value else { throw PocketfitError("\(name) needs a value") }
    switch name {
    case "--public-key": trust.publicKey = try Data(hexadecimal: value)
    case "--model-key": key = try Data(hexadecimal: value)
    default:
      guard let release = Int(value) else { throw PocketfitError("\(value) is no release") }
      trust.leastRelease = release
    }
    return true
  }
}

var demands = Demands()
var isGood = true
do {
  var words = CommandLine.arguments.dropFirst()
  while let word = words.popFirst() {
    if try demands.take(word, words.first) {
      words = words.dropFirst()
      continue
    }
    for suite in try SelfTest.replay(URL(fileURLWithPath: word), demands.trust, key: demands.key) {
      print(suite.json)
      suite.differences.forEach(tell)
      isGood = isGood && suite.passed == suite.total
    }
  }
} catch {
  tell("selftest: \(error)")
  exit(2)
}
exit(isGood ? 0 : 1)
