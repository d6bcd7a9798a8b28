// Weighs what a FrameRunner allocates while every frame is run: frames COUNT. Prints JSON. Linux
// only: it takes the place of the C library's malloc and calloc.

import Foundation
import Pocketfit

nonisolated(unsafe) var allocated = 0
nonisolated(unsafe) var used = 0

@_silgen_name("__libc_malloc") func plainMalloc(_ bytes: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc") func plainCalloc(_ count: Int, _ bytes: Int)
  -> UnsafeMutableRawPointer?

@_cdecl("malloc") public func countedMalloc(_ bytes: Int) -> UnsafeMutableRawPointer? {
  allocated &+= bytes
  return plainMalloc(bytes)
}

@_cdecl("calloc") public func countedCalloc(_ count: Int, _ bytes: Int)
  -> UnsafeMutableRawPointer?
{
  allocated &+= count &* bytes
  return plainCalloc(count, bytes)
}

let frames = Int(CommandLine.arguments[1]) ?? 0
let runner = FrameRunner<[UInt8]>(
  run: { $0[1] &+= 1 }, use: { _ in used += 1 },
  pace: Pace(intervalUs: 0, budgetUs: 16_666, staleUs: Int(Int32.max)),
  newBuffer: { [UInt8](repeating: 0, count: 64) })
let infer = Decision(rule: 0, variant: 0, action: .infer)

func offer(_ count: Int) {
  for _ in 0..<count {
    runner.offer(infer) { $0[0] &+= 1 }
    while runner.inFlight > 0 { sched_yield() }
  }
}

let nothing = allocated
guard nothing > 0 else { fatalError("malloc is not counted here") }
offer(2 * frames)
let before = allocated
let usedBefore = used
offer(frames)
let more = allocated - before
print("{\"bytes\": \(more), \"frames\": \(frames), \"run\": \(used - usedBefore)}")
runner.close()
