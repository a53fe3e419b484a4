/// What becomes of a line for a client that does not keep up, and whether that client is read from.
///
/// A value; all in bytes. When nothing waits, every line is taken, however long it is.
struct Quota {
  enum Urgency {
    /// Somebody's message: refused over the quota, and its sender is told.
    case message
    /// The answer to what this client asked: accepted up to twice the quota; beyond, the client is cut off.
    case answer
    /// A copy for watching: left out when a quarter of the quota waits.
    case copy
  }
  enum Verdict: Equatable { case take, refuse, cutOff }

  /// What may wait for one client.
  let queueBytes: Int
  /// The longest line.
  let frameBytes: Int

  /// `houseHasRoom`: all connections together are within `bus.total_bytes`. Where they are not, a client keeps getting answers until
  /// a quarter of the quota waits for it.
  @inline(__always)
  func verdict(_ urgency: Urgency, length: Int, waiting: Int, houseHasRoom: Bool = true) -> Verdict {
    if waiting == 0 { return .take }
    switch urgency {
    case .message: return waiting + length > queueBytes || !houseHasRoom ? .refuse : .take
    case .copy: return waiting + length > queueBytes / 4 || !houseHasRoom ? .refuse : .take
    case .answer: return waiting + length > (houseHasRoom ? 2 * queueBytes + frameBytes : queueBytes / 4) ? .cutOff : .take
    }
  }

  /// A client over its own quota is not read from until it has read.
  func isReadFrom(waiting: Int) -> Bool { waiting <= queueBytes }
}
