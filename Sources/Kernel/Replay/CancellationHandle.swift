import Glibc
import Synchronization

/// Ends a play early: its child process, and the questions that it has with the live model. Any thread.
public final class CancellationHandle: Sendable {
  private struct State {
    var isCancelled = false
    var child: pid_t?
    /// By number; nil: it is only just being asked.
    var calls: [Int: (any LanguageCall)?] = [:]
  }
  private let state = Mutex(State())

  public init() {}

  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Again, or after the end, is no error.
  public func cancel() {
    let calls = state.withLock { state in
      state.isCancelled = true
      // Still ours: it is taken out of here before it is waited for.
      if let child = state.child { kill(child, SIGKILL) }
      return state.calls
    }
    for call in calls.values { call?.cancel() }
  }

  func attach(_ child: pid_t) {
    state.withLock { state in
      state.child = child
      if state.isCancelled { kill(child, SIGKILL) }
    }
  }

  /// The child is about to be waited for, and what it had asked is of no use any more.
  func detach() {
    let calls = state.withLock { state in
      defer { (state.child, state.calls) = (nil, [:]) }
      return state.calls
    }
    for call in calls.values { call?.cancel() }
  }

  // MARK: Questions to the live model

  var hasQuestions: Bool { state.withLock { !$0.calls.isEmpty } }

  /// `start` begins to ask; the answer may come before it returns.
  func ask(_ question: Int, _ start: () -> any LanguageCall) {
    state.withLock { $0.calls[question] = .some(nil) }
    let call = start()
    let isTooLate = state.withLock { state in
      if state.calls[question] != nil { state.calls[question] = call }
      return state.isCancelled
    }
    if isTooLate { call.cancel() }
  }

  func answered(_ question: Int) { state.withLock { $0.calls[question] = nil } }

  /// Nobody waits for this question any more.
  func cancel(_ question: Int) { (state.withLock { $0.calls[question] } ?? nil)?.cancel() }
}
