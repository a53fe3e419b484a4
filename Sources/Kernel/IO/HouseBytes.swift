/// How much of what clients have sent, or have not read yet, is kept in the whole kernel. Event loop only.
///
/// Whoever keeps bytes of others takes them here and gives them back. The shares of single connections and mailboxes stop one party;
/// this stops many together.
final class HouseBytes {
  private(set) var used = 0
  /// `bus.total_bytes`
  var limit: Int

  /// An empty buffer of a queue that has been sent: the next queue begins with it. It counts, and stays as long as the kernel.
  var spare: OutQueue.Buffer?

  init(limit: Int) { self.limit = limit }

  func take(_ bytes: Int) { used += bytes }
  func giveBack(_ bytes: Int) { used -= bytes }
  /// Why there is no room.
  var reason: String { "\(used) bytes of all clients wait here, and bus.total_bytes is \(limit); send it again later" }
  func hasRoom(for bytes: Int) -> Bool { used + bytes <= limit }
}

/// A long line that several queues wait to send, kept once. Event loop only.
final class SharedLine {
  /// From so many bytes on it is worth it.
  static let shortest = 16 << 10

  let bytes: [UInt8]
  private let house: HouseBytes

  init(_ bytes: [UInt8], _ house: HouseBytes) {
    self.bytes = bytes
    self.house = house
    house.take(bytes.count)
  }

  deinit { house.giveBack(bytes.count) }
}
