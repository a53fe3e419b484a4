/// The turns of one conversation, and how much of it fits the model's window. A value.
struct Conversation {
  private(set) var turns: [(question: String, answer: String)] = []

  /// A turn is remembered when its answer is whole.
  mutating func remember(question: String, answer: String) { turns.append((question, answer)) }

  /// The messages to send: the system prompt, the newest turns that fit, and the question.
  ///
  /// Whole turns are left out, oldest first; `forgotten` counts them. `budget` and the estimate are in tokens.
  func messages(system: String, question: String, budget: Int, estimate: (String) -> Int) -> (messages: [Question.Message], forgotten: Int) {
    var left = budget - estimate(system) - estimate(question)
    var kept = 0
    for turn in turns.reversed() {
      left -= estimate(turn.question) + estimate(turn.answer)
      if left < 0 { break }
      kept += 1
    }
    var messages: [Question.Message] = []
    if !system.isEmpty { messages.append(.init(role: "system", content: system)) }
    for turn in turns.suffix(kept) {
      messages.append(.init(role: "user", content: turn.question))
      messages.append(.init(role: "assistant", content: turn.answer))
    }
    messages.append(.init(role: "user", content: question))
    return (messages, turns.count - kept)
  }
}

/// How many tokens a text has, by experience: bytes per token, corrected by what the server counts.
struct TokenEstimate {
  private(set) var bytesPerToken = 3.5

  func callAsFunction(_ text: String) -> Int { Int(Double(text.utf8.count) / bytesPerToken) + 4 }

  mutating func learn(bytes: Int, tokens: Int) {
    guard tokens >= 20, bytes >= 100 else { return }
    bytesPerToken = min(6, max(1, bytesPerToken * 0.7 + Double(bytes) / Double(tokens) * 0.3))
  }
}
