import Kernel
import Wire

/// What has come of one question so far: the text of the round under way, and what the rounds before it left behind. A value.
struct AnswerProgress: Sendable {
  /// Of the round under way.
  private(set) var text = ""
  /// What the model said in the rounds before, when it called tools.
  private(set) var said = ""
  /// What goes to the model behind the question: the calls that it made, and what came of them.
  private(set) var rounds: [ChatMessage] = []
  /// An answer that did not have the form, and what the model was told of it.
  private(set) var repair: [ChatMessage] = []
  /// How many rounds of calls there have been.
  private(set) var roundCount = 0
  /// What was called, for the result.
  private(set) var reports: [JSON] = []
  /// A piece has come, in whatever round.
  private(set) var hasBegun = false
  /// Of all rounds together; nil: the server has not counted.
  private(set) var promptTokens: Int?
  private(set) var completionTokens: Int?
  /// How many bytes have come in the round under way, thoughts and all.
  private(set) var received = 0
  private var hold = CallHold()
  private var thought = ThoughtStatus()
  /// Something of the round under way has been shown.
  private var hasShown = false

  /// Nothing has come that somebody could have seen, and nothing has been done.
  var isUntouched: Bool { !hasBegun && roundCount == 0 }

  mutating func beginRound() {
    (text, received) = ("", 0)
    (hold, thought, hasShown) = (CallHold(), ThoughtStatus(), false)
  }

  /// `mayCall`: a call that is written as text is held back.
  /// - Returns: what to show of it.
  mutating func add(_ piece: String, mayCall: Bool) -> String {
    hasBegun = true
    text += piece
    received += piece.utf8.count
    return show(mayCall ? hold.add(piece) : piece)
  }

  /// The round has ended, and what was held back was no call: it is to be shown.
  mutating func release() -> String { show(hold.end()) }

  /// The first piece after a round of calls begins a new paragraph.
  private mutating func show(_ piece: String) -> String {
    if piece.isEmpty { return "" }
    defer { hasShown = true }
    return hasShown || said.isEmpty ? piece : "\n\n" + piece
  }

  /// - Returns: the lines to show of what the model thinks.
  mutating func think(_ piece: String) -> [String] {
    received += piece.utf8.count
    return thought.add(piece)
  }

  /// Takes thoughts and calls that are written into it out of the text of a round that has ended.
  /// - Returns: the calls.
  mutating func takeCalls(_ tools: Toolset) -> [ToolCall] {
    if let answer = ThoughtFilter.behindLoneEnd(text) { text = answer }
    guard let written = WrittenCalls.read(text, tools) else { return [] }
    text = written.said
    hold = CallHold()
    return written.calls
  }

  mutating func count(_ answer: Answer) {
    if let tokens = answer.promptTokens { promptTokens = (promptTokens ?? 0) + tokens }
    if let tokens = answer.completionTokens { completionTokens = (completionTokens ?? 0) + tokens }
  }

  mutating func beginCalls(_ calls: [ToolCall]) {
    rounds.append(ChatMessage(role: .assistant, content: text, toolCalls: calls))
    said += (said.isEmpty || text.isEmpty ? "" : "\n\n") + text
    roundCount += 1
  }

  /// `limit`: how many bytes of one result the model is told.
  mutating func end(_ round: ToolRound, limit: Int) {
    reports += round.report
    rounds += round.messages(limit: limit)
  }

  mutating func mend(_ violations: AnswerForm.Violations) { repair = AnswerForm.repair(text, violations) }

  /// All that was said. Where a form was asked for it is that of the last round alone.
  func wholeText(hasForm: Bool) -> String { said.isEmpty || hasForm ? text : text.isEmpty ? said : said + "\n\n" + text }
}
