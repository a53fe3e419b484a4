import Synchronization
import System

/// What the chat thread is to do. Its own objects are the engine's.
typealias ChatJob = @Sendable (ChatEngine) -> Void

/// The way back to the chat thread, for what was done on other threads. Any thread.
final class ChatInbox: Sendable {
  private struct State {
    /// Nil before the thread is there, and after its end.
    var thread: SerialThread<ChatJob>?
    /// What came when the thread took nothing any more; nil: nobody wants it.
    var late: [ChatJob]? = []
  }
  private let state = Mutex(State())

  /// Keeps the thread alive until `close`.
  func open(_ thread: SerialThread<ChatJob>) { state.withLock { $0.thread = thread } }
  func close() { state.withLock { $0 = State(thread: nil, late: nil) } }

  func post(_ job: @escaping ChatJob) {
    let thread = state.withLock { $0.thread }
    if case .success? = thread?.post(job, begins: false) { return }
    state.withLock { $0.late?.append(job) }
  }

  /// For the thread's end: what came since it takes nothing any more. What comes after this is dropped.
  func takeLate() -> [ChatJob] {
    state.withLock { state in
      defer { state.late = nil }
      return state.late ?? []
    }
  }
}
