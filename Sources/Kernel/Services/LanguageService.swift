/// The language model, as the kernel sees it; implemented in Services/LLM.
///
/// The kernel calls it on its event loop, so every method returns at once. Events come back on any
/// thread. It keeps the conversation histories, because they must outlive a persona's code.
public protocol LanguageService: AnyObject, Sendable {
  /// Starts to answer one question. Exactly one `.finished` follows, never inside this call, also
  /// after `cancel`; pieces come before it, in order.
  func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> LanguageCall

  /// Forgets one conversation of a persona. An unknown one is no error.
  func forget(persona: String, thread: String)

  /// Takes a changed `[llm]`; conversations stay. Questions that are with a model are not disturbed, unless
  /// it is a child of the kernel that goes away.
  func configure(_ configuration: LanguageConfiguration)

  /// Counters for `parlor stats`, one JSON object: see Services/LLM/LanguageStatistics.
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
  /// The system prompt of its part in personas.toml; the body's "system" stands above it.
  public var prompt: String
  /// What its part of personas.toml says of the model (model, temperature, max_tokens …).
  public var overrides: LanguageOverrides
  /// The JSON object that persona.h describes at `llm/1 chat`.
  public var body: [UInt8]

  public init(persona: String, prompt: String, overrides: LanguageOverrides = .init(), body: [UInt8]) {
    self.persona = persona
    self.prompt = prompt
    self.overrides = overrides
    self.body = body
  }
}

/// What a persona's part of personas.toml may set; the question's body stands above it.
public struct LanguageOverrides: Sendable, Equatable {
  public var model: String?
  public var temperature: Double?
  public var maxTokens: Int?

  public init(model: String? = nil, temperature: Double? = nil, maxTokens: Int? = nil) {
    self.model = model
    self.temperature = temperature
    self.maxTokens = maxTokens
  }
}

/// What comes back for one question.
public enum LanguageEvent: Sendable {
  /// A piece of the answer's text.
  case piece(String)
  /// The end: the JSON object that persona.h describes, or what went wrong.
  case finished(Result<[UInt8], Failure>)
}

/// What the model has done for one persona.
public struct LanguageUsage: Sendable, Equatable, Codable {
  public var requests = 0
  public var answered = 0
  public var prompt_tokens = 0
  public var completion_tokens = 0
  public init() {}
}
