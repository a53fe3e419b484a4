import Wire

/// One gram on its way to a persona.
struct Mail: Sendable {
  /// Names it at the bus and in persona.h.
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
///
/// A sender may take up to half of what the others have left, so that one that floods fills its own
/// share and everybody else still gets through. A single message always fits an empty share.
struct Mailbox: Sendable {
  private var mail: [Mail?] = []
  private var head = 0
  private var used: [UInt64: Int] = [:]
  /// Bytes that wait.
  private(set) var bytes = 0

  var count: Int { mail.count - head }
  var isEmpty: Bool { head == mail.count }

  /// False, and nothing is kept, if the sender's share is full.
  mutating func offer(_ item: Mail, quota: Int) -> Bool {
    let own = used[item.sender] ?? 0
    if own > 0, own + item.line.count > (quota - (bytes - own)) / 2 { return false }
    if own == 0, bytes + item.line.count > 2 * quota { return false }
    append(item)
    return true
  }

  /// Keeps it whatever the quota says: it has been accepted before.
  mutating func append(_ item: Mail) {
    mail.append(item)
    bytes += item.line.count
    used[item.sender, default: 0] += item.line.count
  }

  mutating func pop() -> Mail? {
    guard head < mail.count, let item = mail[head] else { return nil }
    mail[head] = nil
    head += 1
    if head == mail.count {
      mail.removeAll(keepingCapacity: head < 1024)
      head = 0
    } else if head > 1024, head > mail.count / 2 {
      mail.removeFirst(head)
      head = 0
    }
    bytes -= item.line.count
    let left = used[item.sender]! - item.line.count
    used[item.sender] = left == 0 ? nil : left
    return item
  }

  /// Empties it.
  mutating func takeAll() -> [Mail] {
    let all = mail[head...].map { $0! }
    self = Mailbox()
    return all
  }
}
