import Glibc

/// A value behind a lock, and a way to wait until something is true of it. Any thread.
///
/// Times are those of the monotonic clock, so a machine whose clock is set does not wait longer or shorter.
public final class Monitor<Value>: @unchecked Sendable {
  // Guarded by `mutex`.
  @usableFromInline var value: Value
  /// How many threads wait: nobody is woken when there is none.
  @usableFromInline var waiters = 0
  @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  @usableFromInline let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  public init(_ value: Value) {
    self.value = value
    // Locks are held for a few instructions: spinning a little is cheaper than sleeping.
    var kind = pthread_mutexattr_t()
    pthread_mutexattr_init(&kind)
    pthread_mutexattr_settype(&kind, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
    pthread_mutex_init(mutex, &kind)
    pthread_mutexattr_destroy(&kind)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Looks at the value, or changes it; everybody who waits looks again.
  @inlinable public func withLock<R>(_ body: (inout Value) throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer {
      let mustWake = waiters > 0
      pthread_mutex_unlock(mutex)
      // After the lock is free: who is woken before would only wait for it.
      if mustWake { pthread_cond_broadcast(changed) }
    }
    return try body(&value)
  }

  /// Waits, as long as it takes, until `holds` returns something, which is returned.
  @inlinable public func wait<R>(until holds: (inout Value) -> R?) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = holds(&value) { return result }
      waiters += 1
      pthread_cond_wait(changed, mutex)
      waiters -= 1
    }
  }

  /// The same for at most so many milliseconds; nil: the time is over.
  public func wait<R>(milliseconds: Int, until holds: (inout Value) -> R?) -> R? {
    let (end, overflow) = MachineClock.now().addingReportingOverflow(UInt64(clamping: milliseconds).multipliedClamped(by: 1_000_000))
    let nanoseconds = overflow ? UInt64(Int64.max) : min(end, UInt64(Int64.max))
    var until = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = holds(&value) { return result }
      waiters += 1
      let result = pthread_cond_timedwait(changed, mutex, &until)
      waiters -= 1
      if result == ETIMEDOUT { return holds(&value) }
    }
  }
}

extension UInt64 {
  fileprivate func multipliedClamped(by other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
