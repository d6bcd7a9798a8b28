/// One axis of a resize: its taps, the resized pixels that lie inside of the input, and what they
/// read.
final class Axis {
  let bits: Int32
  /// The resized pixels that are seen, and where the first of them lies in the input.
  let begin: Int
  let end: Int
  let at: Int
  /// The image's pixels that they read.
  let readBegin: Int
  let readEnd: Int
  /// As in the taps.
  let first: Memory<Int>
  let start: Memory<Int>
  let weights: Memory<Int32>

  init(_ taps: Taps, offset: Int, resized: Int, size: Int) {
    begin = max(0, -offset)
    end = max(begin, min(resized, size - offset))
    at = max(0, offset)
    readBegin = (begin..<end).map { taps.first[$0] }.min() ?? 0
    readEnd = (begin..<end).map { taps.first[$0] + taps.count($0) }.max() ?? readBegin
    bits = taps.bits
    first = Memory(taps.first, or: 0)
    start = Memory(taps.start, or: 0)
    weights = Memory(taps.weights, or: 0)
  }

  var count: Int { end - begin }

  var readCount: Int { readEnd - readBegin }
}
