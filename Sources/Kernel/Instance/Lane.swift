import Glibc
import Synchronization
import System

/// The one thread on which an instance's code runs: its mail and its jobs, one at a time.
///
/// Jobs (ends of requests, posted work, the steps of a life) are in order among themselves, mail too; between the two the lane takes
/// turns. Mail can be paused and taken back; jobs go on.
///
/// What waits here is bounded by whoever brings it: mail by the senders' shares of the mailbox, jobs that a persona posts by
/// `postLimit`, ends and pieces of requests by `PendingRequests`, steps by the event loop, which begins few at a time.
package final class Lane: @unchecked Sendable {
  package typealias Job = @Sendable () -> Void

  /// So many jobs that the persona has posted itself may wait.
  static let postLimit = 65_536

  /// Why a posted job was not taken.
  enum Refusal: Error { case closed, full }

  private enum Work {
    case job(Job)
    case mail(Mail)
    case end
  }
  private struct State {
    var jobs = Deque<(run: Job, isPosted: Bool)>()
    /// How many of the jobs are posted ones.
    var posted = 0
    var mail = Mailbox()
    var isPaused = true
    var isClosed = false
    /// It is mail's turn.
    var prefersMail = false
    /// When the call that is running now began, in nanoseconds; 0: none.
    var busySince: UInt64 = 0

    /// What is to be done next; nil: nothing yet.
    mutating func next() -> Work? {
      busySince = 0
      var item = prefersMail && !isPaused ? mail.pop() : nil
      let job = item == nil ? jobs.popFirst() : nil
      if item == nil, job == nil, !isPaused { item = mail.pop() }
      guard item != nil || job != nil else { return isClosed ? .end : nil }
      busySince = MachineClock.now()
      prefersMail = job != nil
      if job?.isPosted == true { posted -= 1 }
      return job.map { .job($0.run) } ?? item.map { .mail($0) }
    }
  }

  private let state = Monitor(State())
  private let receive: @Sendable (Mail) -> Void
  /// For `isCurrent`. Written once, by the thread itself, before anything runs there.
  private nonisolated(unsafe) var thread: pthread_t = 0
  /// The clock of the time on a processor that the thread has had; 0: it has not begun, or has ended.
  private let clock = Atomic<clockid_t>(0)

  /// Starts the thread. Mail is paused until `resume`.
  ///
  /// - Parameter author: whose code runs there, told if it crashes.
  /// - Throws: the system has no thread left.
  init(name: String, author: String? = nil, receive: @escaping @Sendable (Mail) -> Void) throws(Errno) {
    self.receive = receive
    try startThread(name: name, author: author) { [self] in run() }
  }

  /// A lane for jobs alone.
  package convenience init(name: String) throws(Errno) { try self.init(name: name) { _ in } }

  /// True on the lane's own thread.
  package var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Adds a job; false if the lane has ended and it will not run. Any thread.
  @discardableResult
  package func run(_ job: @escaping Job) -> Bool {
    state.withLock { state in
      if state.isClosed { return false }
      state.jobs.append((job, false))
      return true
    }
  }

  /// Adds a job of the persona's own. Any thread.
  func post(_ job: @escaping Job) -> Result<Void, Refusal> {
    state.withLock { state in
      if state.isClosed { return .failure(.closed) }
      if state.posted >= Self.postLimit { return .failure(.full) }
      state.posted += 1
      state.jobs.append((job, true))
      return .success(())
    }
  }

  /// Adds mail; false if the sender's share is full. Any thread.
  func offer(_ item: Mail, quota: Int) -> Bool { state.withLock { $0.mail.offer(item, quota: quota) } }

  /// Takes out what a sender that has gone left behind, but for its oldest grams. Any thread.
  func dropMail(of sender: UInt64) -> [Mail] { state.withLock { $0.mail.dropMail(of: sender) } }

  /// From now on no mail is begun; returns what has not been, in order.
  func pause() -> [Mail] {
    state.withLock { state in
      state.isPaused = true
      return state.mail.takeAll()
    }
  }

  /// Begins with this mail, which came before anything that is offered later.
  func resume(with first: [Mail]) {
    state.withLock { state in
      precondition(state.mail.isEmpty, "a lane is resumed with the mail that came first")
      for item in first { state.mail.append(item) }
      state.isPaused = false
    }
  }

  /// The thread ends after the jobs that are queued now.
  package func close() { state.withLock { $0.isClosed = true } }

  /// How much mail waits, and for how many nanoseconds the call that runs now has been running.
  func load(now: UInt64) -> (waiting: Int, busy: UInt64) {
    state.withLock { ($0.mail.count, $0.busySince == 0 ? 0 : now - min(now, $0.busySince)) }
  }

  /// A job is running or waits to be run. Any thread.
  package var isBusy: Bool { state.withLock { $0.busySince != 0 || !$0.jobs.isEmpty } }

  /// The time on a processor that the thread has had, in nanoseconds; 0 after its end. Any thread.
  var cpuTime: UInt64 {
    let clock = clock.load(ordering: .relaxed)
    var time = timespec()
    guard clock != 0, clock_gettime(clock, &time) == 0 else { return 0 }
    return UInt64(clamping: time.tv_sec) * 1_000_000_000 + UInt64(clamping: time.tv_nsec)
  }

  private func run() {
    thread = pthread_self()
    var clock: clockid_t = 0
    if pthread_getcpuclockid(thread, &clock) == 0 { self.clock.store(clock, ordering: .relaxed) }
    defer { self.clock.store(0, ordering: .relaxed) }
    while true {
      switch state.wait(until: { $0.next() }) {
      case .job(let job): job()
      case .mail(let mail): receive(mail)
      case .end: return
      }
    }
  }
}
