import Synchronization
import System

/// Writes log lines, whole and in order, and never makes the caller wait for the log's reader. Any thread.
///
/// A line is written at once while the descriptor takes it, so a crash loses nothing that was logged before. What the descriptor does
/// not take waits for a thread; what does not fit there is lost, and counted.
final class LogWriter: Sendable {
  /// Shared with the thread, which must not keep the writer.
  private final class Shared: Sendable {
    let descriptor: LogDescriptor
    /// Bytes that wait for the thread. Its lock is held for one system call that does not wait.
    let waiting = Mutex(0)
    let lost = Atomic(0)
    /// When the thread gives up what it cannot write, in nanoseconds of the monotonic clock.
    let end = Atomic(UInt64.max)

    init(_ descriptor: LogDescriptor) { self.descriptor = descriptor }

    /// The thread's part: waits for the reader.
    func writeOut(_ line: [UInt8]) {
      var rest = line[...]
      while !rest.isEmpty {
        guard let written = descriptor.write(rest) else {
          lost.add(1, ordering: .relaxed)
          break
        }
        rest = rest.dropFirst(written)
        if rest.isEmpty { break }
        // After `finish` no line waits any more, however many there are.
        if MachineClock.now() >= end.load(ordering: .relaxed) { break }
        // Short, so that `finish` is noticed.
        _ = descriptor.waitUntilReady(milliseconds: 50)
      }
      waiting.withLock { $0 -= line.count }
    }
  }

  private let shared: Shared
  private let thread: SerialThread<[UInt8]>
  private let limit: Int

  /// At most `limit` bytes wait for a log that is not read.
  init(_ descriptor: LogDescriptor, limit: Int) {
    let shared = Shared(descriptor)
    self.shared = shared
    self.limit = limit
    thread = SerialThread(name: "log", limit: 16_384) { SerialWorker(perform: { for line in $0 { shared.writeOut(line) } }) }
  }

  deinit { finish(milliseconds: 500) }

  /// False: the line is lost, and counted.
  @discardableResult
  func write(_ line: [UInt8]) -> Bool {
    let isTaken = shared.waiting.withLock { waiting in
      var rest = line[...]
      if waiting == 0 {
        guard let written = shared.descriptor.write(line) else { return false }
        rest = line[written...]
        if rest.isEmpty { return true }
      }
      // The rest of a line that has begun follows it, whatever the limit says.
      if rest.count == line.count, waiting + rest.count > limit { return false }
      guard case .success = thread.post(Array(rest)) else { return false }
      waiting += rest.count
      return true
    }
    if !isTaken { shared.lost.add(1, ordering: .relaxed) }
    return isTaken
  }

  /// How many lines have been lost since this was last asked.
  func takeLost() -> Int { shared.lost.exchange(0, ordering: .relaxed) }
  /// They are still to be told of.
  func giveBackLost(_ lines: Int) { shared.lost.add(lines, ordering: .relaxed) }

  /// Writes what waits, for at most so long; later lines are written at once or lost.
  func finish(milliseconds: Int) {
    shared.end.store(MachineClock.now() + UInt64(clamping: milliseconds) * 1_000_000, ordering: .relaxed)
    thread.stop()
  }
}
