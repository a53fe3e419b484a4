import Protocol

/// The language model, as the kernel sees it; implemented in Services/Chat.
///
/// The kernel calls it on its event loop, so every method returns at once. Events come back on any
/// thread. It keeps the conversation histories, because they must outlive a persona's code.
public protocol LanguageService: AnyObject, Sendable {
  /// Starts to answer one question. Exactly one `.finished` follows, never inside this call, also
  /// after `cancel`; pieces come before it, in order.
  func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> LanguageCall

  /// Forgets one conversation of a persona. An unknown one is no error.
  func forget(persona: String, thread: String)

  /// Looks into the kept conversations, or forgets them; a JSON object (docs/HISTORY.md). `onEnd` is called once, on any
  /// thread, never inside this call.
  func history(_ request: HistoryRequest, onEnd: @escaping @Sendable (Result<[UInt8], Failure>) -> Void)

  /// Takes a changed `[llm]`; conversations stay. Questions that are with a model are not disturbed, unless
  /// it is a child of the kernel that goes away.
  func configure(_ configuration: LanguageConfiguration)

  /// What models the providers have, or the one named: `{"providers":[{"name","provider","url","model","models":[…]}]}`; one that
  /// does not tell has "error" instead of "models". `done` is called once, on any thread.
  func models(of provider: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void)

  /// Counters for `parlor stats`, one JSON object: see Services/Chat/LanguageStatistics.
  func statistics() -> [UInt8]

  /// What the model has done for one persona since the kernel was started.
  func usage(of persona: String) -> LanguageUsage

  /// Ends every call with `.retired`, stops the child processes, and returns when they are gone.
  /// Called once, off the event loop.
  func stop()
}

/// A request in flight, for cancelling it.
public protocol LanguageCall: Sendable {
  /// Closes the connection to the model. The call ends with `.cancelled`, unless it has ended. Any thread.
  func cancel()
}

/// One question of a persona to the model.
public struct LanguageQuestion: Sendable {
  /// The persona's name: histories, budgets and log lines are kept by it.
  public var persona: String
  /// The system prompt of its part in personas.toml; the request's "system" stands above it.
  public var prompt: String
  /// What its part of personas.toml says of the model (model, temperature, max_tokens …).
  public var overrides: LanguageOverrides
  /// What the persona asks.
  public var request: ChatRequest
  /// Which generation of the persona asks; 0: none is known. For the counters.
  public var generation = 0
  /// A person waits for what this is asked for: it goes before what nobody waits for.
  public var isInteractive = true
  /// When nobody wants the answer any more, in milliseconds of the monotonic clock.
  public var deadline: Int64?
  /// What the model may call while it answers.
  public var tools: [LanguageTool] = []
  /// Calls a tool, by its name, with a JSON object; `done` gets the JSON of the reply. On any thread, `done` on any thread,
  /// once. What is still called when the question ends is cancelled by whoever asked.
  public var onToolCall: ToolCaller?

  public typealias ToolCaller =
    @Sendable (_ tool: String, _ arguments: [UInt8], _ done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) -> Void

  public init(persona: String, prompt: String, overrides: LanguageOverrides = .init(), request: ChatRequest) {
    self.persona = persona
    self.prompt = prompt
    self.overrides = overrides
    self.request = request
  }
}

/// A method of another persona that the model may call.
public struct LanguageTool: Sendable, Equatable {
  /// As in "BABS.observe".
  public var name: String
  /// What it does, one line.
  public var summary: String
  /// The JSON schema of what it takes, as its author wrote it; nil: any object.
  public var takes: String?

  public init(name: String, summary: String, takes: String? = nil) {
    self.name = name
    self.summary = summary
    self.takes = takes
  }
}

/// What a persona's part of personas.toml may set; what the question says stands above it.
public struct LanguageOverrides: Sendable, Equatable {
  public var model: String?
  public var temperature: Double?
  public var maxTokens: Int?
  /// The provider's name; nil: `[llm]` itself. `llm`
  public var provider: String?
  /// Whom to ask when that one cannot answer; nil: what `[llm]` says. `fallbacks`
  public var fallbacks: [String]?
  /// What one question may cost, prompt and answer together, in tokens; nil: as much as the window holds. `tokens_per_question`
  public var tokensPerQuestion: Int?
  /// What the persona may spend on a day of the user's calendar. `tokens_per_day`
  public var tokensPerDay: Int?

  public init(
    model: String? = nil, temperature: Double? = nil, maxTokens: Int? = nil, provider: String? = nil, fallbacks: [String]? = nil
  ) {
    self.provider = provider
    self.fallbacks = fallbacks
    self.model = model
    self.temperature = temperature
    self.maxTokens = maxTokens
  }
}

/// What comes back for one question.
public enum LanguageEvent: Sendable {
  /// A piece of the answer's text.
  case piece(String)
  /// A line that tells what the model thinks before it answers: to be shown, and no part of the answer.
  case thought(String)
  /// The end: the JSON object that persona.h describes, or what went wrong.
  case finished(Result<[UInt8], Failure>)
}

/// What the model has done for one persona, or for one of its generations. Times in milliseconds.
public struct LanguageUsage: Sendable, Equatable, Codable {
  /// The last one, and the middle one of the last 128.
  public struct Latency: Sendable, Equatable, Codable {
    public private(set) var last: Int?
    public private(set) var p50: Int?
    private var recent: [Int] = []

    private enum CodingKeys: String, CodingKey { case last, p50 }

    public init() {}

    public mutating func add(_ milliseconds: Int) {
      recent = recent.suffix(127) + [milliseconds]
      last = milliseconds
      p50 = recent.sorted()[recent.count / 2]
    }
  }

  /// Of how many generations the counters are kept.
  public static let generationsKept = 8

  public var requests = 0
  public var answered = 0
  public var prompt_tokens = 0
  public var completion_tokens = 0
  /// From the question to the first piece of the answer, waiting included.
  public var first_piece_ms = Latency()
  /// How fast answers come, from their first piece to their end; nil: nothing has been measured.
  public private(set) var tokens_per_s: Double?
  /// By number, of the last ones; nil within a generation.
  public var generations: [String: LanguageUsage]?
  private var answeringMilliseconds = 0
  private var answeringTokens = 0

  private enum CodingKeys: String, CodingKey {
    case requests, answered, prompt_tokens, completion_tokens, first_piece_ms, tokens_per_s, generations
  }

  public init() {}

  /// So many tokens came in that time after the first piece.
  public mutating func addRate(tokens: Int, milliseconds: Int) {
    guard tokens > 1, milliseconds > 0 else { return }
    answeringTokens += tokens
    answeringMilliseconds += milliseconds
    tokens_per_s = (Double(answeringTokens) * 10_000 / Double(answeringMilliseconds)).rounded() / 10
  }
}
