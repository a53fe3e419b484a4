import FoundationEssentials
import Kernel
import Protocol

/// One question to the model, read from what `llm/1 chat` was given and completed by personas.toml.
struct ChatQuestion: Sendable {
  /// The answer's form.
  enum Format: Equatable, Sendable {
    case json
    /// A JSON schema, byte for byte as the author wrote it.
    case schema([UInt8])
  }

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
  var format: Format?
  /// What the answer is checked by; there if `format` is.
  var form: AnswerForm?
  /// What it may call while it answers.
  var tools: Toolset
  /// How often the model may call tools before it must answer.
  var toolRounds = ChatQuestion.usualToolRounds
  static let usualToolRounds = 4

  private struct Strings: Decodable {
    var values: [String]
    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      values = try (try? [value.decode(String.self)]) ?? value.decode([String].self)
    }
  }
  private struct Body: Decodable {
    var text: String?
    var thread: String?
    var remember: Bool?
    var system: String?
    var messages: [ChatMessage]?
    var provider: String?
    var model: String?
    var temperature: Double?
    var max_tokens: Int?
    var seed: Int?
    var stop: Strings?
    var tools: [String]?
    var tool_rounds: Int?
  }
  private static let keys = [
    "text", "thread", "remember", "system", "messages", "provider", "model", "temperature", "max_tokens", "seed", "stop", "format", "tools",
    "tool_rounds",
  ]

  /// - Throws: `.invalid`, which names the key.
  init(_ question: LanguageQuestion) throws(Failure) {
    let body: Body
    do {
      body = try JSONDecoder().decode(Body.self, from: Data(question.body))
    } catch {
      throw Failure(.invalid, "llm chat of \(question.persona): \(Self.explain(error))")
    }
    func invalid(_ why: String) -> Failure { Failure(.invalid, "llm chat of \(question.persona): \(why)") }
    let members = RawJSON.members(of: question.body)
    if let unknown = members.first(where: { !Self.keys.contains($0.key) }) {
      throw invalid("there is no key \"\(unknown.key)\"; it takes \(Self.keys.joined(separator: ", "))")
    }

    persona = question.persona
    tools = Toolset(question.tools)
    provider = body.provider
    model = body.model
    temperature = body.temperature ?? question.overrides.temperature
    maxTokens = body.max_tokens ?? question.overrides.maxTokens
    seed = body.seed
    stop = body.stop?.values ?? []
    if let tokens = maxTokens, tokens < 1 { throw invalid("\"max_tokens\" is \(tokens); it must be 1 or more") }

    toolRounds = body.tool_rounds ?? Self.usualToolRounds
    guard (1...32).contains(toolRounds) else { throw invalid("\"tool_rounds\" is \(toolRounds); it must be from 1 to 32") }

    if let value = members.last(where: { $0.key == "format" })?.value, !value.elementsEqual("null".utf8) {
      if value.elementsEqual("\"json\"".utf8) {
        format = .json
      } else if value.first == UInt8(ascii: "{") {
        format = .schema(Array(value))
      } else {
        throw invalid("\"format\" is neither \"json\" nor a JSON schema")
      }
      do throws(JSONSchema.Malformed) { form = try format.map { (format) throws(JSONSchema.Malformed) in try AnswerForm(format) } } catch {
        throw invalid("\"format\" is a schema by which no answer can be checked: \(error)")
      }
    }

    var given = (body.messages ?? [])[...]
    var heads: [String] = []
    while let first = given.first, first.role == .system { heads.append(given.removeFirst().content) }
    system = body.system ?? (heads.isEmpty ? question.prompt : heads.joined(separator: "\n\n"))
    if let text = body.text { given.append(ChatMessage(role: .user, content: text)) }
    guard !given.isEmpty else { throw invalid("there is neither \"text\" nor a message to answer") }
    var turns: [Turn] = []
    for message in given {
      if message.role == .user || turns.isEmpty { turns.append([message]) } else { turns[turns.count - 1].append(message) }
    }
    messages = turns.removeLast()
    earlier = turns
    if body.messages == nil, body.remember ?? true {
      thread = ThreadKey(persona: question.persona, thread: body.thread ?? "main")
    }
  }

  private static func explain(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String {
      "\"" + path.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }.joined(separator: ".") + "\""
    }
    switch error {
    case DecodingError.typeMismatch(let type, let context) where !context.codingPath.isEmpty:
      return "\(place(context.codingPath)) is not \(name(of: type))"
    case DecodingError.valueNotFound(let type, let context): return "\(place(context.codingPath)) is null, not \(name(of: type))"
    case DecodingError.keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
      return "\(place(context.codingPath)): \(context.debugDescription)"
    default: return "the question is no JSON object"
    }
  }

  private static func name(of type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is Int.Type: "a whole number"
    case is Double.Type: "a number"
    case is [ChatMessage].Type, is [String].Type, is [any Decodable].Type: "an array"
    default: "what it should be"
    }
  }
}
