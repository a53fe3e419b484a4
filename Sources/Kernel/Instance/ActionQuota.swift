import Synchronization

/// How much of what one instance wants of the event loop may wait for it: an instance that asks for more than the loop can do, or a
/// candidate whose wishes are held back, fills its own share and nothing else. Any thread.
final class ActionQuota: Sendable {
  /// So many actions may wait.
  static let actions = 65_536
  /// And so many bytes in them. A single action of any size fits when nothing else waits.
  static let bytes = 64 << 20

  private let used = Mutex((actions: 0, bytes: 0))

  /// False: the share is full.
  func take(_ bytes: Int) -> Bool {
    used.withLock { used in
      guard used.actions < Self.actions, used.bytes + bytes <= Self.bytes || used.actions == 0 else { return false }
      used.actions += 1
      used.bytes += bytes
      return true
    }
  }

  /// What was taken has been done.
  func giveBack(_ bytes: Int) {
    used.withLock { used in
      used.actions -= 1
      used.bytes -= bytes
    }
  }
}
