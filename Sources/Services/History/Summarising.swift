import Kernel

/// How turns that do not fit the window any more become a few words: when the model is asked for it, and how. A value.
struct Summarising: Sendable {
  /// The model is asked once for so many turns, not for each.
  static let every = 4
  private static let system = """
    You keep the memory of a conversation. Write down in a few sentences what must not be forgotten of it: facts, names, decisions, \
    wishes, and what is still open. Write it as notes in the conversation's own language, without an introduction. Invent nothing.
    """

  let occasion: Summariser.Occasion
  /// How many turns it will stand for, from the first one on.
  let turns: Int
  /// What the model is asked.
  let request: ChatRequest

  /// The longest summary that is kept, in bytes: twice what the model was asked for.
  func longest(_ estimate: TokenEstimate) -> Int { Int(Double(2 * (request.maxTokens ?? 1)) * estimate.bytesPerToken) }

  /// Nil: too little has been left out since the last summary.
  ///
  /// - Parameters:
  ///   - turns: what is left out and not in `summary`; as many as the window holds are taken, at least one.
  ///   - window: in tokens.
  init?(
    of occasion: Summariser.Occasion, _ summary: Conversation.Summary?, _ turns: [Turn], window: Int
  ) {
    guard turns.count >= Self.every else { return nil }
    let answer = min(400, window / 8)
    // The estimate may be wrong by a quarter.
    let space = max(0, Int(Double(window - answer - 200) * occasion.estimate.bytesPerToken * 0.75))
    let summary = summary?.cut(to: space / 2)
    let room = space - (summary?.text.utf8.count ?? 0)
    var text = summary.map { "What you wrote down of what went before:\n\($0.text)\n\n" } ?? ""
    text += "What was said then:\n"
    var taken = 0
    var used = 0
    for turn in turns {
      var transcript = turn.map { "\n\($0.role.rawValue): \($0.content)\n" }.joined()
      if taken == 0, transcript.utf8.count > room {
        transcript = String(decoding: transcript.utf8.prefix(max(0, room)), as: UTF8.self) + "…\n"
      }
      if taken > 0, used + transcript.utf8.count > room { break }
      text += transcript
      used += transcript.utf8.count
      taken += 1
    }
    self.occasion = occasion
    self.turns = (summary?.turns ?? 0) + taken
    request = ChatRequest(text: text, system: Self.system, provider: occasion.provider, model: occasion.model, maxTokens: max(1, answer))
  }
}
