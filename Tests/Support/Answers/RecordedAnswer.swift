/// An answer of a model server, byte for byte in the shape in which public reports and servers' own sources show it, and what it says.
///
/// The table is read by the tests of the decoder and is the corpus of the fuzzer. What once went wrong is kept in it.
public struct RecordedAnswer: Sendable {
  /// What becomes of it when its body ends as HTTP says that it should.
  public enum End: Equatable, Sendable {
    case whole
    /// It ended before its last word.
    case cutOff
    /// The server told of an error, with these words in it.
    case failed(String)
    /// It is no answer.
    case garbled
  }

  /// What is odd about it.
  public var name: String
  /// Who sends such answers: a server, a provider or a proxy.
  public var server: String
  public var body: [UInt8]
  public var text: String
  public var thought: String
  /// As `name {arguments}`, each.
  public var calls: [String]
  public var finish: String?
  /// Of the prompt and of the answer.
  public var tokens: [Int?]
  public var end: End

  public init(
    _ name: String, _ server: String, bytes: [UInt8], _ text: String = "", thought: String = "", calls: [String] = [],
    finish: String? = "stop",
    tokens: [Int?] = [nil, nil], end: End = .whole
  ) {
    (self.name, self.server, body, self.text, self.thought, self.calls) = (name, server, bytes, text, thought, calls)
    (self.finish, self.tokens, self.end) = (end == .whole ? finish : nil, tokens, end)
  }

  public init(
    _ name: String, _ server: String, _ body: String, _ text: String = "", thought: String = "", calls: [String] = [],
    finish: String? = "stop",
    tokens: [Int?] = [nil, nil], end: End = .whole
  ) {
    self.init(
      name, server, bytes: Array(body.utf8), text, thought: thought, calls: calls, finish: finish, tokens: tokens, end: end)
  }

  public static let all = ends + framings + contents + toolCalls + characters + failures + ollama

  // MARK: What is the same everywhere

  /// An event of an event stream.
  static func event(_ json: String) -> String { "data: \(json)\n\n" }
  /// A piece of text, JSON-escaped.
  static func say(_ text: String) -> String {
    event(
      #"{"id":"c-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":null}]}"#
    )
  }
  static func delta(_ members: String) -> String { event(#"{"choices":[{"index":0,"delta":{\#(members)},"finish_reason":null}]}"#) }
  static func calls(_ pieces: String) -> String { delta(#""tool_calls":[\#(pieces)]"#) }
  static func finish(_ word: String) -> String { event(#"{"choices":[{"index":0,"delta":{},"finish_reason":"\#(word)"}]}"#) }
  static let stop = finish("stop")
  static let callsEnd = finish("tool_calls")
  static let done = event("[DONE]")
  static let hello = say("Hel") + say("lo")
}
