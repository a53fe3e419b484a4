import Foundation

/// One thread that runs jobs in the order of their coming.
final class FakeLane: @unchecked Sendable {
  // Guarded by `condition`.
  private var jobs: [@Sendable () -> Void] = []
  private var closed = false
  private let condition = NSCondition()
  /// Written by the thread before its first job.
  private nonisolated(unsafe) var thread: pthread_t = 0

  init() { Thread.detachNewThread { [self] in work() } }

  var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Adds a job; false if the lane has been closed.
  @discardableResult
  func run(_ job: @escaping @Sendable () -> Void) -> Bool {
    condition.withLock {
      if closed { return false }
      jobs.append(job)
      condition.signal()
      return true
    }
  }

  /// Runs something on the lane and returns what it returns.
  func call<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
      precondition(run { continuation.resume(returning: body()) }, "the test has closed the lane")
    }
  }

  /// The thread ends after the jobs that are queued now.
  func close() {
    condition.withLock {
      closed = true
      condition.signal()
    }
  }

  private func work() {
    thread = pthread_self()
    while true {
      let next = condition.withLock { () -> (@Sendable () -> Void)? in
        while jobs.isEmpty, !closed { condition.wait() }
        return jobs.isEmpty ? nil : jobs.removeFirst()
      }
      guard let next else { return }
      next()
    }
  }
}
