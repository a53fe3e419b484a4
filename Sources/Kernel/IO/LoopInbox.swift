import CPlatform
import Glibc
import Synchronization
import System

/// The only door into the event loop from other threads: closures that run there, in order.
///
/// The inbox has no limit of its own; whoever posts is bounded. Services and helpers post one job for each request that was opened for
/// them, and `Limits.requests` bounds those. A service also posts a job for each piece of a stream, as fast as its model speaks. A
/// persona posts one job for each call of persona.h, and `ActionQuota` bounds what of them waits here.
public final class LoopInbox: Sendable {
  typealias Job = @Sendable (BatKernel) -> Void

  private struct State {
    var jobs: [Job] = []
    var closed = false
  }
  private let state = Mutex(State())
  /// Readable when there may be jobs; polled by the loop.
  let descriptor: Int32
  private let pending = Atomic<Bool>(false)
  /// There may be jobs: one look, without the lock.
  var hasJobs: Bool { pending.load(ordering: .acquiring) }

  /// Called on any thread when the descriptor does not work any more.
  let onBroken = Mutex<@Sendable (Errno) -> Void>({ _ in })

  init() {
    descriptor = bat_eventfd()
    precondition(descriptor >= 0, "eventfd: \(String(cString: strerror(errno)))")
  }

  deinit { Glibc.close(descriptor) }

  /// Any thread. Jobs that come after the loop has ended are dropped.
  func post(_ job: @escaping Job) {
    let wake = state.withLock { state in
      if state.closed { return false }
      state.jobs.append(job)
      pending.store(true, ordering: .releasing)
      return state.jobs.count == 1
    }
    if wake {
      var one: UInt64 = 1
      if write(descriptor, &one, 8) < 0, errno != EAGAIN { onBroken.withLock { $0 }(Errno.last) }
    }
  }

  /// Event loop only.
  func take() -> [Job] {
    state.withLock { state in
      let jobs = state.jobs
      state.jobs = []
      pending.store(false, ordering: .releasing)
      return jobs
    }
  }

  /// Makes the descriptor quiet again. Event loop only, before `take`.
  func acknowledge() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }

  func close() { state.withLock { $0 = State(jobs: [], closed: true) } }
}
