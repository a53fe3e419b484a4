import Glibc

/// A value that one thread waits for and another gives.
package final class Answer<Value: Sendable>: @unchecked Sendable {
  // Guarded by `mutex`.
  private var value: Value?
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let given = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(given, nil)
  }

  deinit {
    pthread_cond_destroy(given)
    pthread_mutex_destroy(mutex)
    given.deallocate()
    mutex.deallocate()
  }

  package func give(_ new: Value) {
    pthread_mutex_lock(mutex)
    value = new
    pthread_cond_broadcast(given)
    pthread_mutex_unlock(mutex)
  }

  /// Waits for as long as it takes.
  package func wait() -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let value { return value }
      pthread_cond_wait(given, mutex)
    }
  }

  /// Nil: it was not given in time.
  package func wait(milliseconds: Int) -> Value? {
    var until = timespec()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_sec += milliseconds / 1000
    until.tv_nsec += (milliseconds % 1000) * 1_000_000
    if until.tv_nsec >= 1_000_000_000 {
      until.tv_sec += 1
      until.tv_nsec -= 1_000_000_000
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while value == nil { if pthread_cond_timedwait(given, mutex, &until) != 0 { break } }
    return value
  }
}
