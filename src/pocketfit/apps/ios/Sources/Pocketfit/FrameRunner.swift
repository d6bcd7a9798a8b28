import Foundation

/// A thread that runs a model on the latest frame of a camera. Frames are offered by one thread.
public final class FrameRunner<Buffer>: @unchecked Sendable {
  /// Runs the model on a buffer; its answer stays with the caller.
  public typealias Run = @Sendable (inout Buffer) -> Void
  /// Uses the answer to the frame of that number, on the same thread; not called for what is thrown
  /// away.
  public typealias Use = @Sendable (Int) -> Void

  private let run: Run
  private let use: Use
  /// Unlike an array's, its elements can be written by two threads at once.
  private let buffers = UnsafeMutablePointer<Buffer>.allocate(capacity: FrameScheduler.buffers)
  private let changed = NSCondition()
  private var scheduler: FrameScheduler
  private var next = FrameStep()
  private var isClosed = false
  private var hasEnded = false

  /// - Parameters:
  ///   - newBuffer: called three times; the buffers may share nothing.
  public init(
    run: @escaping Run, use: @escaping Use, pace: Pace = Pace(), newBuffer: () -> Buffer
  ) {
    self.run = run
    self.use = use
    scheduler = FrameScheduler(pace)
    for index in 0..<FrameScheduler.buffers {
      (buffers + index).initialize(to: newBuffer())
    }
    // The thread keeps this object until `close`.
    Thread { self.work() }.start()
  }

  deinit {
    buffers.deinitialize(count: FrameScheduler.buffers)
    buffers.deallocate()
  }

  /// Waits for the frame under way and the one behind it; without it the thread waits for ever.
  public func close() {
    changed.lock()
    isClosed = true
    changed.broadcast()
    while !hasEnded { changed.wait() }
    changed.unlock()
  }

  /// Tells of a frame, which `fill` writes unless the policy leaves it out; never waits for the
  /// model.
  @discardableResult
  public func offer(_ decision: Decision, _ fill: (inout Buffer) -> Void) -> FrameStep {
    if decision.action == .infer || decision.action == .warmUp { fill(&buffers[fillIndex]) }
    changed.lock()
    defer { changed.unlock() }
    let step = scheduler.arrive(FrameRunner.nowUs, decision)
    if step.start >= 0 {
      next = step
      changed.broadcast()
    }
    return step
  }

  /// For the policy's reading.
  public var inFlight: Int {
    changed.lock()
    defer { changed.unlock() }
    return scheduler.inFlight
  }

  /// Time of an inference at present; 0 is unknown.
  public var frameUs: Int {
    changed.lock()
    defer { changed.unlock() }
    return scheduler.frameUs
  }

  /// Only the thread that offers frames changes which one that is.
  private var fillIndex: Int {
    changed.lock()
    defer { changed.unlock() }
    return scheduler.fill
  }

  private static var nowUs: Int { Int(DispatchTime.now().uptimeNanoseconds / 1_000) }

  private func work() {
    var step = taken()
    while step.start >= 0 {
      while step.start >= 0 { step = ran(step) }
      step = taken()
    }
    changed.lock()
    hasEnded = true
    changed.broadcast()
    changed.unlock()
  }

  /// The next frame to run; none after the last.
  private func taken() -> FrameStep {
    changed.lock()
    defer { changed.unlock() }
    while next.start < 0 && !isClosed { changed.wait() }
    let step = next
    next = FrameStep()
    return step
  }

  private func ran(_ step: FrameStep) -> FrameStep {
    run(&buffers[step.buffer])
    changed.lock()
    // A frame is running: this one.
    let after = (try? scheduler.finish(FrameRunner.nowUs)) ?? FrameStep()
    changed.unlock()
    if after.outcome == .use { use(step.start) }
    return after
  }
}
