import Synchronization

/// The grams that an instance was given and that have not been answered, by token. Any thread.
final class OpenTokens: Sendable {
  private let tokens = Mutex<Set<UInt64>>([])

  func open(_ token: UInt64) { tokens.withLock { _ = $0.insert(token) } }
  /// True for the one who closes it.
  func close(_ token: UInt64) -> Bool { tokens.withLock { $0.remove(token) != nil } }
  func contains(_ token: UInt64) -> Bool { tokens.withLock { $0.contains(token) } }
}
