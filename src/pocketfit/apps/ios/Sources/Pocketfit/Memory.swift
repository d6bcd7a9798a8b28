/// Numbers in one place for as long as this lives, read and written without checks: whoever uses it
/// has made sure of the bounds before.
final class Memory<Number> {
  let start: UnsafeMutablePointer<Number>
  let count: Int

  init(repeating value: Number, count: Int) {
    self.count = count
    start = .allocate(capacity: max(count, 1))
    start.initialize(repeating: value, count: count)
  }

  convenience init(_ values: [Number], or empty: Number) {
    self.init(repeating: empty, count: values.count)
    for (place, value) in values.enumerated() { start[place] = value }
  }

  deinit {
    start.deallocate()
  }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(UnsafeBufferPointer(start: start, count: count))
  }
}
