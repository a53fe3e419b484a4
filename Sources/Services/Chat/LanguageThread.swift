import CCurl
import Glibc
import Kernel
import Protocol
import Synchronization
import System

/// What the language thread is asked to do.
enum LanguageJob: Sendable {
  case ask(UInt64, LanguageQuestion, @Sendable (LanguageEvent) -> Void)
  case cancel(UInt64)
  case forget(ThreadKey)
  case history(HistoryRequest, @Sendable (Result<[UInt8], Failure>) -> Void)
  case configure(LanguageConfiguration)
  case toolEnded(UInt64, round: Int, index: Int, Result<[UInt8], Failure>)
  case models(String?, @Sendable (Result<[UInt8], Failure>) -> Void)
  case stop
}

/// The way to the language thread, which begins with the first job that needs it.
final class LanguageThread: Sendable {
  private struct State {
    var jobs: [LanguageJob] = []
    var thread: JoinableThread?
    /// There as long as the thread may be woken.
    var waker: Waker?
    var isStopped = false
  }

  /// The one thing about a multi handle that any thread may do while it exists.
  struct Waker: @unchecked Sendable {
    let multi: UnsafeMutableRawPointer
    func wake() { curl_multi_wakeup(multi) }
  }

  private let state = Mutex(State())
  private let body: @Sendable (LanguageThread) -> Void

  /// `body` is the whole life of the thread: it calls `open`, `take` until a `.stop` comes, and `close`.
  init(body: @escaping @Sendable (LanguageThread) -> Void) { self.body = body }

  /// - Parameter begins: false for a job that means nothing where nothing has been asked yet.
  /// - Returns: false if the thread has been stopped.
  @discardableResult
  func post(_ job: LanguageJob, begins: Bool = true) -> Bool {
    state.withLock { state in
      guard !state.isStopped else { return false }
      if state.thread == nil {
        guard begins else { return true }
        state.thread = JoinableThread(name: "llm") { [self] in body(self) }
      }
      state.jobs.append(job)
      state.waker?.wake()
      return true
    }
  }

  /// Ends the thread and waits for its end.
  func stop() {
    let thread: JoinableThread? = state.withLock { state in
      guard !state.isStopped else { return nil }
      state.isStopped = true
      state.jobs.append(.stop)
      state.waker?.wake()
      return state.thread
    }
    thread?.join()
  }

  func open(_ waker: Waker) { state.withLock { $0.waker = waker } }

  func take() -> [LanguageJob] {
    state.withLock { state in
      defer { state.jobs = [] }
      return state.jobs
    }
  }

  func close() { state.withLock { $0.waker = nil } }
}

/// Once in a process, by the first who needs it: it takes a few milliseconds.
let curlIsReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

/// The life of the language thread.
func runLanguageThread(
  _ thread: LanguageThread, _ configuration: LanguageConfiguration, runtimeFolder: String, dataFolder: String?,
  clock: @escaping @Sendable () -> Int64, statistics: StatisticsBoard, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
) {
  guard curlIsReady, let multi = curl_multi_init() else { preconditionFailure("libcurl does not begin") }
  let http = HTTPClient(multi: multi)
  let histories = Histories(folder: dataFolder, clock: clock, note: log)
  let desk = ChatEngine(
    configuration, runtimeFolder: runtimeFolder, histories: histories, spending: Spending(histories, clock: clock), http: http,
    statistics: statistics,
    post: { thread.post($0, begins: false) }, note: log)
  thread.open(LanguageThread.Waker(multi: multi))
  while true {
    for job in thread.take() {
      switch job {
      case .ask(let id, let question, let onEvent): desk.ask(id, question, onEvent: onEvent)
      case .cancel(let id): desk.cancel(id)
      case .forget(let key): desk.forget(key)
      case .history(let order, let onEnd): desk.history(order, onEnd: onEnd)
      case .configure(let configuration): desk.configure(configuration)
      case .toolEnded(let id, let round, let index, let result): desk.toolEnded(id, round: round, index: index, result)
      case .models(let provider, let done): desk.models(of: provider, done: done)
      case .stop:
        desk.stop()
        thread.close()
        curl_multi_cleanup(multi)
        return
      }
    }
    http.perform()
    desk.runTimers()
    desk.publish()
    let pause = desk.nextTimer.map { max(0, min($0 - MachineClock.nowMilliseconds(), 60_000)) } ?? 60_000
    if http.wait(milliseconds: Int32(pause), descriptor: desk.local?.descriptor) { desk.local?.readOutput() }
  }
}
