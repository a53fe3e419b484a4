import FoundationEssentials
import Protocol
import Wire

/// What `llm/1 chat` was given, read once, on the thread of whoever asks, and shared by all who need it.
///
/// It says what the persona wrote and no more: what personas.toml adds is the language service's work.
public struct ChatRequest: Sendable {
  /// The answer's form.
  package enum Format: Equatable, Sendable {
    case json
    /// A JSON schema, byte for byte as the author wrote it.
    case schema([UInt8])
  }

  /// The next thing that the user says.
  package var text: String?
  /// The conversation's name, where it is not "main".
  package var thread: String?
  /// False: it neither reads nor extends a conversation.
  package var remembers = true
  /// In the place of the persona's own prompt.
  package var system: String?
  /// What goes to the model in the place of the conversation.
  package var messages: [ChatMessage]?
  package var provider: String?
  package var model: String?
  package var temperature: Double?
  package var maxTokens: Int?
  package var seed: Int?
  package var stop: [String] = []
  package var format: Format?
  /// Methods that the model may call: "BABS.observe", or "ALFRED.*" for all that ALFRED has.
  package var tools: [String] = []
  /// How often the model may call tools before it must answer.
  package var toolRounds = Self.usualToolRounds
  package static let usualToolRounds = 4
  /// Whose words the pieces are shown as, where they go to the asker of a gram; nil: the persona's own.
  package var speaker: String?

  /// One text, not remembered.
  package init(text: String, system: String? = nil, provider: String? = nil, model: String? = nil, maxTokens: Int? = nil) {
    (self.text, self.system, self.provider, self.model, self.maxTokens) = (text, system, provider, model, maxTokens)
    remembers = false
  }

  /// The name of the conversation that it reads and extends; nil: none.
  package var conversation: String? { messages == nil && remembers ? thread ?? "main" : nil }

  // MARK: Reading

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
    var speaker: String?
  }
  private static let keys = [
    "text", "thread", "remember", "system", "messages", "provider", "model", "temperature", "max_tokens", "seed", "stop", "format", "tools",
    "tool_rounds", "speaker",
  ]

  /// In bytes.
  private static let longestName = 256

  /// Foundation's decoder takes less than our reader does, such as half a surrogate pair: what it refuses is written as it likes it.
  private static func body(_ json: [UInt8]) throws -> Body {
    do { return try JSONDecoder().decode(Body.self, from: Data(json)) } catch {
      guard let value = try? JSON(parsing: json), value["temperature"]?.number?.isFinite != false else { throw error }
      return try JSONDecoder().decode(Body.self, from: Data(value.bytes))
    }
  }

  /// - Throws: `.invalid`, which names the persona and the key.
  package init(_ json: [UInt8], of persona: String) throws(Failure) {
    func invalid(_ why: String) -> Failure { Failure(.invalid, "llm chat of \(persona): \(why)") }
    let body: Body
    do { body = try Self.body(json) } catch { throw invalid(PayloadCoding.explain(error)) }
    let members = RawJSON.members(of: json)
    if let unknown = members.first(where: { !Self.keys.contains($0.key) }) {
      throw invalid("there is no key \"\(unknown.key)\"; it takes \(Self.keys.joined(separator: ", "))")
    }
    text = body.text
    thread = body.thread
    remembers = body.remember ?? true
    system = body.system
    messages = body.messages
    provider = body.provider
    model = body.model
    temperature = body.temperature
    maxTokens = body.max_tokens
    seed = body.seed
    stop = body.stop?.values ?? []
    tools = body.tools ?? []
    toolRounds = body.tool_rounds ?? Self.usualToolRounds
    speaker = body.speaker
    if let speaker, !(1...64).contains(speaker.utf8.count) {
      throw invalid("\"speaker\" has \(speaker.utf8.count) bytes; it must have 1 to 64")
    }
    for (key, name) in [("thread", thread), ("provider", provider), ("model", model)] {
      if let name, name.utf8.count > Self.longestName {
        throw invalid("\"\(key)\" has \(name.utf8.count) bytes; it may have \(Self.longestName)")
      }
    }
    if let temperature, !temperature.isFinite { throw invalid("\"temperature\" is no number that can be sent") }
    if let tokens = maxTokens, tokens < 1 { throw invalid("\"max_tokens\" is \(tokens); it must be 1 or more") }
    guard (1...32).contains(toolRounds) else { throw invalid("\"tool_rounds\" is \(toolRounds); it must be from 1 to 32") }
    if let value = members.last(where: { $0.key == "format" })?.value, !value.elementsEqual("null".utf8) {
      if value.elementsEqual("\"json\"".utf8) {
        format = .json
      } else if value.first == UInt8(ascii: "{") {
        format = .schema(Array(value))
      } else {
        throw invalid("\"format\" is neither \"json\" nor a JSON schema")
      }
    }
    guard text != nil || messages?.contains(where: { $0.role != .system }) == true else {
      throw invalid("there is neither \"text\" nor a message to answer")
    }
  }
}
