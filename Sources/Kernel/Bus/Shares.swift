/// How much of a room each sender has taken, in bytes and in pieces.
///
/// A sender may take up to half of what the others have left, so that one that floods fills its own share and everybody else still
/// gets through. A single message always fits an empty share.
struct Shares: Sendable {
  private var used: [UInt64: (bytes: Int, count: Int)] = [:]
  /// What all have taken.
  private(set) var total = 0

  var isEmpty: Bool { used.isEmpty }

  /// False: the sender's share is full.
  func hasRoom(for bytes: Int, of sender: UInt64, quota: Int) -> Bool {
    let own = used[sender]?.bytes ?? 0
    return own > 0 ? own + bytes <= (quota - (total - own)) / 2 : total + bytes <= 2 * quota
  }

  /// How many pieces a sender has there.
  func count(of sender: UInt64) -> Int { used[sender]?.count ?? 0 }

  mutating func take(_ bytes: Int, _ sender: UInt64) {
    let own = used[sender] ?? (0, 0)
    used[sender] = (own.bytes + bytes, own.count + 1)
    total += bytes
  }

  mutating func giveBack(_ bytes: Int, _ sender: UInt64) {
    guard let own = used[sender] else { return }
    used[sender] = own.count <= 1 ? nil : (own.bytes - bytes, own.count - 1)
    total -= bytes
  }
}
