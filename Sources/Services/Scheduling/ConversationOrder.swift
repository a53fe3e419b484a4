/// One conversation of one persona.
struct ThreadKey: Hashable, Sendable {
  var persona: String
  var thread: String
}

/// Never two questions of one conversation together: each must know the answer before it.
struct ConversationOrder {
  typealias ID = UInt64

  /// The first is at work, the others wait for it, in their order.
  private var queues: [ThreadKey: [ID]] = [:]

  var waitingCount: Int { queues.values.reduce(0) { $0 + $1.count - 1 } }

  /// - Returns: true if it may begin; else it waits until `leave` names it.
  mutating func enter(_ id: ID, _ key: ThreadKey) -> Bool {
    queues[key, default: []].append(id)
    return queues[key]?.first == id
  }

  /// The question has ended, at work or not.
  /// - Returns: the one that may begin now.
  mutating func leave(_ id: ID, _ key: ThreadKey) -> ID? {
    guard var queue = queues[key], let place = queue.firstIndex(of: id) else { return nil }
    queue.remove(at: place)
    queues[key] = queue.isEmpty ? nil : queue
    return place == 0 ? queue.first : nil
  }
}
