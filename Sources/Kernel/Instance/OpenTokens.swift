import Synchronization

/// The grams that an instance was given and that have not been answered, by token. Any thread.
final class OpenTokens: Sendable {
  private struct State {
    /// Whether receive() has been called for it.
    var isBegun: [UInt64: Bool] = [:]
    /// Begun, and nobody waits for them any more; the lane has not dealt with that yet.
    var withdrawn: Set<UInt64> = []
  }
  private let state = Mutex(State())

  func open(_ token: UInt64) { state.withLock { $0.isBegun[token] = false } }
  /// True for the one who closes it.
  func close(_ token: UInt64) -> Bool { state.withLock { $0.isBegun.removeValue(forKey: token) != nil } }
  func contains(_ token: UInt64) -> Bool { state.withLock { $0.isBegun[token] != nil } }

  /// receive() is going to be called. False: the token has been closed.
  func begin(_ token: UInt64) -> Bool {
    state.withLock { state in
      guard state.isBegun[token] != nil else { return false }
      state.isBegun[token] = true
      return true
    }
  }

  /// Closes the token because nobody waits. True: it was begun, and `takeWithdrawn` must be called for it on the lane.
  func withdraw(_ token: UInt64) -> Bool {
    state.withLock { state in
      guard state.isBegun.removeValue(forKey: token) == true else { return false }
      state.withdrawn.insert(token)
      return true
    }
  }

  /// True the first time after `withdraw`. Lane only.
  func takeWithdrawn(_ token: UInt64) -> Bool { state.withLock { $0.withdrawn.remove(token) != nil } }
}
