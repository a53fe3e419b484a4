import System
import Wire

/// One gram on its way to a persona.
struct Mail: Sendable {
  /// Names it at the router and in persona.h.
  var token: UInt64
  /// Who sent it: for the shares of the mailbox. 0 is the kernel.
  var sender: UInt64
  /// The line, and where its parts are.
  var line: [UInt8]
  var envelope: Envelope
  /// The sender's true name.
  var source: [UInt8]
  /// "#topic", "*", or empty.
  var topic: [UInt8] = []
  var trace: [UInt8] = []
  var hops: Int
  /// Nanoseconds of the monotonic clock; 0: none.
  var deadline: UInt64
  var wantsReply: Bool
  var wantsStream: Bool
}

/// Mail that waits for a persona, within a quota that is charged to the senders.
///
/// Senders take turns: of each one gram, its oldest. So one that has brought thousands holds up nobody who brings one. The grams of one
/// sender stay in order.
struct Mailbox: Sendable {
  /// So many grams of a sender that has gone are kept: what it said before it left counts, a flood does not.
  static let keptOfGone = 64

  private var queues: [UInt64: Deque<Mail>] = [:]
  /// The senders that have mail here, the next one first.
  private var turns = Deque<UInt64>()
  private var shares = Shares()
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }
  /// Bytes that wait.
  var bytes: Int { shares.total }

  /// False, and nothing is kept, if the sender's share is full.
  mutating func offer(_ item: Mail, quota: Int) -> Bool {
    guard shares.hasRoom(for: item.line.count, of: item.sender, quota: quota) else { return false }
    append(item)
    return true
  }

  /// Keeps it whatever the quota says: it has been accepted before.
  mutating func append(_ item: Mail) {
    if queues[item.sender] == nil { turns.append(item.sender) }
    queues[item.sender, default: Deque()].append(item)
    shares.take(item.line.count, item.sender)
    count += 1
  }

  mutating func pop() -> Mail? {
    guard let sender = turns.popFirst(), let item = queues[sender]?.popFirst() else { return nil }
    if queues[sender]?.isEmpty == false { turns.append(sender) } else { queues[sender] = nil }
    taken(item)
    return item
  }

  /// Empties it. In the order in which it came.
  mutating func takeAll() -> [Mail] {
    defer { self = Mailbox() }
    var all: [Mail] = []
    all.reserveCapacity(count)
    for queue in queues.values { all += queue }
    return queues.count > 1 ? all.sorted { $0.token < $1.token } : all
  }

  /// Takes out what a sender that has gone left behind, but for its oldest grams.
  mutating func dropMail(of sender: UInt64) -> [Mail] {
    var seen = 0
    let dropped =
      queues[sender]?.removeAll { _ in
        seen += 1
        return seen > Self.keptOfGone
      } ?? []
    for item in dropped { taken(item) }
    return dropped
  }

  private mutating func taken(_ item: Mail) {
    shares.giveBack(item.line.count, item.sender)
    count -= 1
  }
}
