import Synchronization

/// What a serial thread runs; made on the thread, used and freed there.
///
/// A worker that only does jobs sleeps on the thread's own monitor. One that must also look after something else (sockets, a
/// library's own wait) brings its `sleep`, and a `wake` that ends it from any thread.
public struct SerialWorker<Job> {
  /// Gets all jobs that have queued up, in their order; called with none after a `sleep` that nothing was posted in.
  public var perform: ([Job]) -> Void
  /// Returns when there may be something to do. Nil: the thread sleeps until a job comes.
  public var sleep: (() -> Void)?
  /// Makes `sleep` return soon; a call before `sleep` begins counts, too. Any thread, until the worker has ended.
  public var wake: @Sendable () -> Void
  /// Called once, after the last job.
  public var end: () -> Void

  public init(
    perform: @escaping ([Job]) -> Void, sleep: (() -> Void)? = nil, wake: @escaping @Sendable () -> Void = {},
    end: @escaping () -> Void = {}
  ) {
    self.perform = perform
    self.sleep = sleep
    self.wake = wake
    self.end = end
  }
}

/// A thread that does jobs in their order, and begins with the first.
///
/// So what is never used costs nothing. `stop` lets it do what has been posted, and joins it; it must be called on another thread.
public final class SerialThread<Job: Sendable>: Sendable {
  /// Why a job was not taken.
  public enum Refusal: Error, Sendable, Equatable {
    case stopped, full
    /// The system has no thread left.
    case noThread(Errno)
  }

  private struct State {
    var jobs = Deque<Job>()
    var thread: JoinableThread?
    /// There while the worker lives.
    var wake: (@Sendable () -> Void)?
    var isStopped = false
  }

  private let state = Monitor(State())
  private let name: String
  private let limit: Int
  private let makeWorker: @Sendable () -> SerialWorker<Job>

  /// - Parameters:
  ///   - name: for debuggers, of at most 15 bytes.
  ///   - limit: so many jobs may wait; one more is refused.
  ///   - makeWorker: called on the thread.
  public init(name: String, limit: Int = .max, makeWorker: @escaping @Sendable () -> SerialWorker<Job>) {
    self.name = name
    self.limit = limit
    self.makeWorker = makeWorker
  }

  /// Any thread.
  ///
  /// - Parameter begins: false for a job that means nothing where the thread has not begun yet: it is dropped then.
  public func post(_ job: Job, begins: Bool = true) -> Result<Void, Refusal> {
    state.withLock { state in
      if state.isStopped { return .failure(.stopped) }
      if state.jobs.count >= limit { return .failure(.full) }
      if state.thread == nil {
        guard begins else { return .success(()) }
        if let refusal = begin(&state) { return .failure(refusal) }
      }
      state.jobs.append(job)
      state.wake?()
      return .success(())
    }
  }

  /// Starts the thread if it does not run: then a later job cannot be refused for want of one. Any thread.
  ///
  /// - Returns: false if it does not run.
  public func begin() -> Bool { state.withLock { !$0.isStopped && begin(&$0) == nil } }

  private func begin(_ state: inout State) -> Refusal? {
    guard state.thread == nil else { return nil }
    // It does not keep this object: `stop` joins it before the object goes.
    do throws(Errno) { state.thread = try JoinableThread(name: name) { [unowned self] in run() } } catch { return .noThread(error) }
    return nil
  }

  /// How many jobs wait to be taken.
  public var waiting: Int { state.withLock { $0.jobs.count } }

  /// Ends the thread when it has done every job, and waits for its end. Again is no error.
  public func stop() {
    let thread: JoinableThread? = state.withLock { state in
      guard !state.isStopped else { return nil }
      state.isStopped = true
      state.wake?()
      return state.thread
    }
    thread?.join()
  }

  deinit { stop() }

  private func run() {
    let worker = makeWorker()
    state.withLock { $0.wake = worker.wake }
    while true {
      let (jobs, isStopped) = take(isSleeping: worker.sleep == nil)
      if !jobs.isEmpty || worker.sleep != nil { worker.perform(jobs) }
      if isStopped { break }
      worker.sleep?()
    }
    state.withLock { $0.wake = nil }
    worker.end()
  }

  /// The jobs that wait, and whether they are the last.
  private func take(isSleeping: Bool) -> ([Job], Bool) {
    guard isSleeping else { return state.withLock { ($0.jobs.takeAll(), $0.isStopped) } }
    return state.wait { state in state.jobs.isEmpty && !state.isStopped ? nil : (state.jobs.takeAll(), state.isStopped) }
  }
}
