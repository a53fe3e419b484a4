import Kernel
import Protocol

/// One question to the model: what was asked, completed by personas.toml. A value.
struct ChatQuestion: Sendable {
  var persona: String
  /// Nil: it neither reads nor extends a history.
  var thread: ThreadKey?
  var system: String
  /// The turns that come with the question instead of the history.
  var earlier: [Turn] = []
  /// What is asked: the last messages, which always go to the model.
  var messages: [ChatMessage]
  /// The provider's name; nil: the persona's.
  var provider: String?
  var model: String?
  /// Nil: the provider's.
  var temperature: Double?
  var maxTokens: Int?
  var seed: Int?
  var stop: [String] = []
  var format: ChatRequest.Format?
  /// What the answer is checked by; there if `format` is.
  var form: AnswerForm?
  /// What it may call while it answers.
  var tools: Toolset
  /// How often the model may call tools before it must answer.
  var toolRounds: Int
  /// What it may cost, prompt and answer together, in tokens; nil: as much as the window holds.
  var tokenLimit: Int?

  /// - Throws: `.invalid` for a schema by which no answer can be checked.
  init(_ asked: LanguageQuestion) throws(Failure) {
    let (request, overrides) = (asked.request, asked.overrides)
    persona = asked.persona
    thread = request.conversation.map { ThreadKey(persona: asked.persona, thread: $0) }
    provider = request.provider
    model = request.model
    temperature = request.temperature ?? overrides.temperature
    maxTokens = request.maxTokens ?? overrides.maxTokens
    seed = request.seed
    stop = request.stop
    tools = Toolset(asked.tools)
    toolRounds = request.toolRounds
    tokenLimit = overrides.tokensPerQuestion

    format = request.format
    do throws(JSONSchema.Malformed) {
      form = try format.map { (format) throws(JSONSchema.Malformed) in try AnswerForm(format) }
    } catch {
      throw Failure(.invalid, "llm chat of \(persona): \"format\" is a schema by which no answer can be checked: \(error)")
    }

    var given = (request.messages ?? [])[...]
    var heads: [String] = []
    while let first = given.first, first.role == .system { heads.append(given.removeFirst().content) }
    system = request.system ?? (heads.isEmpty ? asked.prompt : heads.joined(separator: "\n\n"))
    if let text = request.text { given.append(ChatMessage(role: .user, content: text)) }
    var turns: [Turn] = []
    for message in given {
      if message.role == .user || turns.isEmpty { turns.append([message]) } else { turns[turns.count - 1].append(message) }
    }
    messages = turns.popLast() ?? []
    earlier = turns
  }
}
