/// The histories, kept in memory by persona and thread, so that they outlive a persona's code.
///
/// A turn is added when its answer is there, never before. What did not fit the window any more stays forgotten;
/// the conversation that was used the longest ago goes when there are more than `limit`.
struct Conversations {
  struct Conversation {
    /// Tells a conversation from one of the same name after `forget`.
    let serial: UInt64
    var turns: [Turn] = []
    /// How many turns have been forgotten.
    var dropped = 0
    var estimate: TokenEstimate
    fileprivate(set) var used: UInt64 = 0
  }

  /// How many conversations are kept.
  let limit: Int
  private var kept: [ThreadKey: Conversation] = [:]
  private var clock: UInt64 = 0

  init(limit: Int = 4096) { self.limit = limit }

  var count: Int { kept.count }

  /// The conversation, made if there is none.
  mutating func open(_ key: ThreadKey, estimate: TokenEstimate) -> Conversation {
    clock += 1
    if kept[key] == nil {
      if kept.count >= limit, let oldest = kept.min(by: { $0.value.used < $1.value.used })?.key { kept[oldest] = nil }
      kept[key] = Conversation(serial: clock, estimate: estimate)
    }
    kept[key]!.used = clock
    return kept[key]!
  }

  /// Adds a turn that has been answered, and drops the `forgetting` oldest ones that did not go with the question;
  /// nothing happens if the conversation was forgotten meanwhile.
  mutating func append(_ turn: Turn, to key: ThreadKey, serial: UInt64, forgetting: Int, estimate: TokenEstimate) {
    guard var conversation = kept[key], conversation.serial == serial else { return }
    conversation.turns.removeFirst(forgetting)
    conversation.dropped += forgetting
    conversation.turns.append(turn)
    conversation.estimate = estimate
    kept[key] = conversation
  }

  /// What was learnt of the length of tokens, though there is no turn to add.
  mutating func learn(_ estimate: TokenEstimate, for key: ThreadKey) { kept[key]?.estimate = estimate }

  mutating func forget(_ key: ThreadKey) { kept[key] = nil }
}
