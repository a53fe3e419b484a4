import Glibc
import System

/// The one thread on which a generation's code runs: its mail and its jobs, one at a time.
///
/// Jobs (completions, posted work, the steps of a life) are in order among themselves, mail too;
/// between the two the lane takes turns. Mail can be paused and taken back; jobs go on.
package final class Lane: @unchecked Sendable {
  package typealias Job = @Sendable () -> Void

  // Guarded by `mutex`.
  private var jobs: [Job?] = []
  private var jobHead = 0
  private var mail = Mailbox()
  private var paused = true
  private var closed = false
  private var waiting = false
  /// When the call that is running now began, in nanoseconds; 0: none.
  private var busySince: UInt64 = 0

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private let receive: @Sendable (Mail) -> Void
  /// The thread, for `isCurrent`. Written once, by the thread itself, before anything runs there.
  private nonisolated(unsafe) var thread: pthread_t = 0

  /// Starts the thread. Mail is paused until `resume`.
  init(name: String, receive: @escaping @Sendable (Mail) -> Void) {
    self.receive = receive
    mutex = .allocate(capacity: 1)
    wake = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    startThread(name: name) { [self] in run() }
  }

  /// A lane for jobs alone.
  package convenience init(name: String) { self.init(name: name) { _ in } }

  deinit {
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(mutex)
    wake.deallocate()
    mutex.deallocate()
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// True on the lane's own thread.
  package var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Adds a job; false if the lane has ended and it will not run. Any thread.
  @discardableResult
  package func run(_ job: @escaping Job) -> Bool {
    locked {
      if closed { return false }
      jobs.append(job)
      if waiting { pthread_cond_signal(wake) }
      return true
    }
  }

  /// Adds mail; false if the sender's share is full. Any thread.
  func offer(_ item: Mail, quota: Int) -> Bool {
    locked {
      guard mail.offer(item, quota: quota) else { return false }
      if waiting, !paused { pthread_cond_signal(wake) }
      return true
    }
  }

  /// From now on no mail is begun; returns what has not been, in order.
  func pause() -> [Mail] {
    locked {
      paused = true
      return mail.takeAll()
    }
  }

  /// Begins with this mail, which came before anything that is offered later.
  func resume(with first: [Mail]) {
    locked {
      precondition(mail.isEmpty, "a lane is resumed with the mail that came first")
      for item in first { mail.append(item) }
      paused = false
      pthread_cond_signal(wake)
    }
  }

  /// The thread ends after the jobs that are queued now.
  package func close() {
    locked {
      closed = true
      pthread_cond_signal(wake)
    }
  }

  /// How much mail waits, and for how many nanoseconds the call that runs now has been running.
  func load(now: UInt64) -> (waiting: Int, busy: UInt64) {
    locked { (mail.count, busySince == 0 ? 0 : now - min(now, busySince)) }
  }

  /// A job is running or waits to be run. Any thread.
  package var isBusy: Bool { locked { busySince != 0 || jobHead < jobs.count } }

  private func run() {
    thread = pthread_self()
    var preferMail = false
    pthread_mutex_lock(mutex)
    while true {
      var job: Job?
      var item: Mail?
      if preferMail, !paused { item = mail.pop() }
      if item == nil, jobHead < jobs.count {
        job = jobs[jobHead]
        jobs[jobHead] = nil
        jobHead += 1
        if jobHead == jobs.count {
          jobs.removeAll(keepingCapacity: jobHead < 1024)
          jobHead = 0
        }
      }
      if item == nil, job == nil, !paused { item = mail.pop() }
      if job == nil, item == nil {
        if closed { break }
        waiting = true
        pthread_cond_wait(wake, mutex)
        waiting = false
        continue
      }
      busySince = MachineClock.now()
      pthread_mutex_unlock(mutex)
      preferMail = job != nil
      if let job { job() } else if let item { receive(item) }
      job = nil
      item = nil
      pthread_mutex_lock(mutex)
      busySince = 0
    }
    pthread_mutex_unlock(mutex)
  }
}
