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

/// Mail that waits for a persona, in order, within a quota that is charged to the senders.
struct Mailbox: Sendable {
  private var mail = Deque<Mail>()
  private var shares = Shares()

  var count: Int { mail.count }
  var isEmpty: Bool { mail.isEmpty }
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
    mail.append(item)
    shares.take(item.line.count, item.sender)
  }

  mutating func pop() -> Mail? {
    guard let item = mail.popFirst() else { return nil }
    shares.giveBack(item.line.count, item.sender)
    return item
  }

  /// Empties it.
  mutating func takeAll() -> [Mail] {
    defer { self = Mailbox() }
    return mail.takeAll()
  }
}
