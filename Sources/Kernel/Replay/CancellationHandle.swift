import Glibc
import Synchronization

/// Ends a play early: its child process, and the questions that it has with the live model. Any thread.
public final class CancellationHandle: Sendable {
  private struct State {
    var isDown = false
    var child: pid_t?
    /// By number; nil: it is only just being asked.
    var calls: [Int: (any LanguageCall)?] = [:]
  }
  private let state = Mutex(State())

  public init() {}

  public var isDown: Bool { state.withLock { $0.isDown } }

  /// Again, or after the end, is no error.
  public func fall() {
    let calls = state.withLock { state in
      state.isDown = true
      // Still ours: it is taken out of here before it is waited for.
      if let child = state.child { kill(child, SIGKILL) }
      return state.calls
    }
    for call in calls.values { call?.cancel() }
  }

  func rise(on child: pid_t) {
    state.withLock { state in
      state.child = child
      if state.isDown { kill(child, SIGKILL) }
    }
  }

  /// The child has ended, and what it had asked is of no use any more.
  func close() {
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
    let isDown = state.withLock { state in
      if state.calls[question] != nil { state.calls[question] = call }
      return state.isDown
    }
    if isDown { call.cancel() }
  }

  func answered(_ question: Int) { state.withLock { $0.calls[question] = nil } }

  /// Nobody waits for it any more.
  func cancel(_ question: Int) { (state.withLock { $0.calls[question] } ?? nil)?.cancel() }
}
