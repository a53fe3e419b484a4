import Kernel
import Protocol

/// Makes the prompts of one question: how much of its conversation goes along, and what the answer may cost. A value.
struct PromptBuilder: Sendable {
  /// One prompt as it is sent.
  struct Draft: Sendable {
    var prompt: Prompt
    /// The question, with the tokens that its answer may have.
    var question: ChatQuestion
    var need: Budget.Need
  }

  /// The conversation as it was when the question was asked; nil: none, or it is not read yet.
  private(set) var conversation: Conversation?
  private(set) var estimate = TokenEstimate()
  /// How many tokens prompt and answer may have: the model's window, or less where the question may not cost as much.
  private(set) var window = 0
  /// The last prompt.
  private(set) var prompt: Prompt?
  /// What earlier rounds and repairs have cost.
  private(set) var spent = 0
  private var hasEstimate = false
  /// How many times it was sent again with less of the history, because the server found it too long.
  private var refits = 0

  mutating func open(_ conversation: Conversation?) {
    self.conversation = conversation
    guard let conversation else { return }
    estimate = conversation.estimate
    hasEstimate = true
  }

  /// The question goes to another provider.
  mutating func beginLeg() {
    refits = 0
    prompt = nil
  }

  mutating func spend(_ tokens: Int) { spent += tokens }

  /// - Parameters:
  ///   - tail: what goes behind the question: calls and their results, an answer that is to be mended.
  ///   - learnt: what is known of the model's tokens, for a question without a conversation.
  /// - Throws: `.llmTooLong` or `.llmBudget`: it cannot be sent.
  mutating func draft(
    _ question: ChatQuestion, _ tail: [ChatMessage], for server: ModelServer, learnt: TokenEstimate
  ) throws(Failure) -> Draft {
    if !hasEstimate { (estimate, hasEstimate) = (learnt, true) }
    let atMost =
      switch refits {
      case 0: Int.max
      case 1: (prompt?.kept ?? 0) / 2
      default: 0
      }
    let allowance = question.tokenLimit.map { max(0, $0 - spent) }
    window = min(server.window, allowance ?? .max)
    // One that was made for a larger window, or is longer than it should be, may not take the question's place.
    let summary = conversation?.usableSummary?.cut(to: Int(Double(min(800, window / 4)) * estimate.bytesPerToken))
    let prompt = Prompt(
      system: question.system, summary: summary, earlier: conversation?.turns ?? question.earlier,
      question: question.messages + tail, estimate: estimate, window: window, reserve: min(server.reserve(for: question), window / 2),
      atMost: atMost)
    self.prompt = prompt
    // At 5 bytes a token there is no doubt; nearer than that the server decides.
    if prompt.kept == 0, prompt.bytes / 5 > server.window { throw server.tooLong(nil, server.model(for: question) ?? "?", prompt) }
    var question = question
    if let allowance { question.maxTokens = min(server.maxTokens(for: question) ?? .max, max(1, allowance - prompt.estimated)) }
    let need = Budget.Need(
      persona: question.persona, reading: prompt.estimated,
      answering: TokenEstimate.possible(server.maxTokens(for: question) ?? server.reserve(for: question)))
    if let limit = question.tokenLimit, let allowance, prompt.estimated >= allowance {
      throw Budget.tooDear(need, limit: limit, spent: spent)
    }
    return Draft(prompt: prompt, question: question, need: need)
  }

  /// The server found the last prompt too long.
  mutating func refit(_ error: ServerError) {
    refits += 1
    if let tokens = error.promptTokens, let prompt {
      estimate.learn(bytes: prompt.bytes, messages: prompt.messages.count, tokens: tokens)
    } else {
      estimate.shrink()
    }
  }

  /// Learns from the server's count of the last prompt.
  ///
  /// - Returns: false: the server has dropped the front of the prompt without saying so.
  mutating func learn(_ tokens: Int, from server: ModelServer) -> Bool {
    guard let prompt else { return true }
    // Ollama fills the window and drops the rest; then the count says nothing of our prompt's length.
    if server.dialect == .ollama, tokens >= server.window - 1 || tokens * 2 < prompt.estimated - 64 {
      estimate.shrink()
      return false
    }
    estimate.learn(bytes: prompt.bytes, messages: prompt.messages.count, tokens: tokens)
    return true
  }

  /// What of the conversation did not go along, in turns.
  var forgotten: Int { (conversation?.dropped ?? 0) + (prompt?.forgotten ?? 0) }

  /// What a response has cost, in tokens. Where the server has not counted we estimate; of what brought no word and no count
  /// nobody knows, and it costs nothing.
  ///
  /// `bytes`: of text, of thoughts and of calls that are written as text.
  func cost(of answer: Answer, bytes: Int) -> Int {
    if bytes == 0, answer.promptTokens == nil { return 0 }
    return (answer.promptTokens ?? prompt?.estimated ?? 0)
      + (answer.completionTokens ?? estimate.tokens(bytes: bytes, messages: 0))
  }
}
