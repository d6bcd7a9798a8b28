import Foundation
import PocketfitSelfTest

// Replays test vectors: each argument is a bundle's folder, a .jsonl of policies or the .json of a
// step. Prints one JSON object a suite; the exit code is 1 where anything differs, and 2 where
// something cannot be read.
func tell(_ text: String) {
  FileHandle.standardError.write(Data((text + "\n").utf8))
}

var isGood = true
do {
  for path in CommandLine.arguments.dropFirst() {
    for suite in try SelfTest.replay(URL(fileURLWithPath: path)) {
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
