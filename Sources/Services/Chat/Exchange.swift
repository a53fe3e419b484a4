import Kernel
import Protocol
import System
import Wire

/// One question from its arrival to its end. For the language thread.
final class Exchange {
  typealias OnEvent = @Sendable (LanguageEvent) -> Void

  let id: UInt64
  /// Its model is that of the leg on which it is.
  var question: ChatQuestion
  let order: LanguageQuestion
  let route: Route
  let onEvent: OnEvent
  let askedAt = MachineClock.nowMilliseconds()

  /// The place in `route.legs`.
  var leg = 0
  /// Why the legs before this one did not answer.
  var failures: [Failure] = []
  /// Where it waits or is asked; nil: it waits for another question of its conversation.
  var provider: Provider?
  /// As it was when the question was sent; a change of configuration meets later questions.
  var server: ModelServer?
  var decoder: any AnswerDecoder = OllamaAnswer()
  var transfer: HTTPClient.ID?
  var backoff = Backoff(limit: 0)
  /// It has failed, and is sent again then. It keeps its slot meanwhile: others would meet the same server.
  var retryAt: Milliseconds?
  var prompt: Prompt?
  /// The conversation as it was when the question was sent.
  var conversation: Conversation?
  /// It is the kernel's own question, for this summary.
  var summarising: Summarising?
  var estimate = TokenEstimate()
  /// How many times it was sent again with less of the history, because the server found it too long.
  var refits = 0
  var hasReconnected = false
  /// An answer that did not have the form, and what was said of it.
  var repair: [ChatMessage] = []
  var repairs = 0
  /// The answer, if a form was asked for and it has it.
  var json: JSON?
  /// Of the answer, or of the round of it that is under way.
  var text = ""
  /// What it said before it called tools, in the rounds before.
  var said = ""
  /// What goes to the model behind the question: what it called, and what came of it.
  var rounds: [ChatMessage] = []
  /// How many rounds of calls there have been.
  var roundCount = 0
  /// The calls that are out, or those that were.
  var toolRound: ToolRound?
  var reports: [JSON] = []
  /// What its rounds before this one have cost, counted or estimated.
  var spent = 0
  /// How many tokens its prompt and answer may have: the model's window, or less where the persona may not spend as much.
  var window = 0
  var promptTokens: Int?
  var completionTokens: Int?
  var firstPieceAt: Milliseconds?
  /// Of this round.
  var roundPieceAt: Milliseconds?
  var errorBody: [UInt8] = []
  var fault: AnswerFault?

  init(id: UInt64, _ order: LanguageQuestion, _ question: ChatQuestion, _ route: Route, onEvent: @escaping OnEvent) {
    self.id = id
    self.order = order
    self.question = question
    self.route = route
    self.onEvent = onEvent
  }

  /// Nothing of an answer has come that somebody could have seen, and nothing has been done.
  var isUntouched: Bool { firstPieceAt == nil && roundCount == 0 }
  var mayCallTools: Bool { roundCount < question.toolRounds }
  /// All that it has said. A form is that of the last round alone.
  var wholeText: String { said.isEmpty || question.format != nil ? text : text.isEmpty ? said : said + "\n\n" + text }

  /// The end of a question that nobody could answer, with what each of them said.
  func whole(_ last: Failure) -> Failure {
    guard let first = failures.first else { return last }
    let others = failures.dropFirst().map(\.message) + (failures.last == last ? [] : [last.message])
    return Failure(first.code, ([first.message] + others.map { "and instead of it: " + $0 }).joined(separator: "; "))
  }

  func resetAnswer(for server: ModelServer) {
    self.server = server
    transfer = nil
    retryAt = nil
    decoder = server.decoder()
    text = ""
    roundPieceAt = nil
    errorBody = []
    fault = nil
  }
}
