import Kernel

/// What of a conversation goes to the model: the system prompt with the summary of what went before, and the question always;
/// and the earlier turns, if
/// they all fit. If not, the newest that fill three quarters of the room, so that the next questions begin with
/// the same words (servers keep what they have read already). No turn goes in parts.
struct Prompt: Equatable {
  var messages: [ChatMessage]
  /// How many of the earlier turns were left out.
  var forgotten: Int
  /// How many of them went in.
  var kept: Int
  /// In tokens.
  var estimated: Int
  /// For how many turns before those the summary stands; 0: there is none.
  var summarised: Int

  /// `window` and `reserve` (the room for the answer) in tokens; `atMost` earlier turns.
  init(
    system: String, summary: Conversation.Summary? = nil, earlier: [Turn], question: [ChatMessage], estimate: TokenEstimate, window: Int,
    reserve: Int, atMost: Int = .max
  ) {
    // One system message: the templates of some models take no second one.
    let heads = [system, summary?.message ?? ""].filter { !$0.isEmpty }
    let head = heads.isEmpty ? [] : [ChatMessage(role: .system, content: heads.joined(separator: "\n\n"))]
    summarised = summary?.turns ?? 0
    estimated = estimate.tokens(head) + estimate.tokens(question)
    let costs = earlier.map { estimate.tokens($0) }
    let room = max(0, window - reserve - estimated)
    let fitsWhole = earlier.count <= atMost && costs.reduce(0, +) <= room
    let limit = fitsWhole ? room : room / 4 * 3
    var kept = 0
    var used = 0
    for cost in costs.reversed() {
      guard kept < atMost, used + cost <= limit else { break }
      used += cost
      kept += 1
    }
    estimated += used
    messages = head + earlier.suffix(kept).flatMap { $0 } + question
    forgotten = earlier.count - kept
    self.kept = kept
  }

  var bytes: Int { messages.reduce(0) { $0 + $1.bytes } }
}
