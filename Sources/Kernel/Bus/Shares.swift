/// How much of a room each sender has taken, in bytes.
///
/// A sender may take up to half of what the others have left, so that one that floods fills its own share and everybody else still
/// gets through. A single message always fits an empty share.
struct Shares: Sendable {
  private var used: [UInt64: Int] = [:]
  /// What all have taken.
  private(set) var total = 0

  var isEmpty: Bool { used.isEmpty }

  /// False: the sender's share is full.
  func hasRoom(for bytes: Int, of sender: UInt64, quota: Int) -> Bool {
    let own = used[sender] ?? 0
    return own > 0 ? own + bytes <= (quota - (total - own)) / 2 : total + bytes <= 2 * quota
  }

  mutating func take(_ bytes: Int, _ sender: UInt64) {
    used[sender, default: 0] += bytes
    total += bytes
  }

  mutating func giveBack(_ bytes: Int, _ sender: UInt64) {
    let left = (used[sender] ?? 0) - bytes
    used[sender] = left <= 0 ? nil : left
    total -= bytes
  }
}
