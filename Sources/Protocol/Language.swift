import Wire

/// The language models that personas can be answered by.
public enum Models {
  public struct Provider: Codable, Sendable, Equatable {
    /// As in personas.toml.
    public var name: String
    /// "local", "ollama" or "openai".
    public var provider: String
    public var url: String
    /// The one that is asked if nobody says otherwise.
    public var model: String?
    public var models: [String]?
    /// In the place of `models`: why it does not tell.
    public var error: String?
    public init(name: String, provider: String, url: String, model: String? = nil, models: [String]? = nil, error: String? = nil) {
      self.name = name
      self.provider = provider
      self.url = url
      self.model = model
      self.models = models
      self.error = error
    }
  }

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "models.list",
      "which models each provider has, `model` being the one that is asked if nobody says otherwise; one that does not tell has `error` in the place of `models`",
      takes: #"optional `{"provider"}`"#, gives: #"`{"providers":[{"name","provider","url","model","models":["…"]}]}`"#)
    public struct Reply: Codable, Sendable, Equatable {
      public var providers: [Provider]
      public init(providers: [Provider]) { self.providers = providers }
    }
    public var provider: String?
    public init(provider: String? = nil) { self.provider = provider }
  }
}

/// The conversations that the kernel keeps for personas: docs/HISTORY.md.
public enum History {
  /// A conversation whose name begins so is one question of a script or of `parlor ask`: it goes when nobody has used it for `askDays`.
  public static let askPrefix = "ask:"
  public static let askDays = 30

  /// One conversation.
  public struct Thread: Codable, Sendable, Equatable {
    public var persona, thread: String
    public var turns, bytes, summarised_turns, left_out_turns: Int
    /// Milliseconds since 1970.
    public var began_ms, used_ms: Int64
    public init(
      persona: String, thread: String, turns: Int, bytes: Int, summarised_turns: Int, left_out_turns: Int, began_ms: Int64, used_ms: Int64
    ) {
      self.persona = persona
      self.thread = thread
      self.turns = turns
      self.bytes = bytes
      self.summarised_turns = summarised_turns
      self.left_out_turns = left_out_turns
      self.began_ms = began_ms
      self.used_ms = used_ms
    }
  }
  public struct Message: Codable, Sendable, Equatable {
    public var role, content: String
    public init(role: String, content: String) {
      self.role = role
      self.content = content
    }
  }
  public struct Turn: Codable, Sendable, Equatable {
    public var number: Int
    /// Milliseconds since 1970.
    public var at_ms: Int64
    public var messages: [Message]
    public var provider, model, finish: String?
    public var prompt_tokens, completion_tokens: Int?
    public init(
      number: Int, at_ms: Int64, messages: [Message], provider: String? = nil, model: String? = nil, finish: String? = nil,
      prompt_tokens: Int? = nil, completion_tokens: Int? = nil
    ) {
      self.number = number
      self.at_ms = at_ms
      self.messages = messages
      self.provider = provider
      self.model = model
      self.finish = finish
      self.prompt_tokens = prompt_tokens
      self.completion_tokens = completion_tokens
    }
  }

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "history.list", "the kept conversations, the one used last first ([HISTORY.md](HISTORY.md))", takes: #"optional `{"persona"}`"#,
      gives: #"`{"threads":[{"persona","thread","turns","bytes","summarised_turns","left_out_turns","began_ms","used_ms"}]}`"#,
      callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var threads: [Thread]
      public init(threads: [Thread]) { self.threads = threads }
    }
    public var persona: String?
    public init(persona: String? = nil) { self.persona = persona }
  }

  public struct Get: KernelMethod {
    public static let method = MethodDescription(
      "history.get", "what was said in one, oldest first", takes: #"`{"persona"}`, optional `"thread"` (`main`), `"last"`"#,
      gives:
        #"`{"persona","thread","total_turns","summary",…,"turns":[{"number","at_ms","messages":[{"role","content"}],"provider","model","finish","prompt_tokens","completion_tokens"}]}`"#,
      callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var persona, thread: String
      public var total_turns, bytes, summarised_turns, left_out_turns: Int
      public var began_ms, used_ms: Int64
      /// Of the first `summarised_turns`.
      public var summary: String?
      public var turns: [Turn]
      public init(of thread: Thread, summary: String?, turns: [Turn]) {
        persona = thread.persona
        self.thread = thread.thread
        total_turns = thread.turns
        bytes = thread.bytes
        summarised_turns = thread.summarised_turns
        left_out_turns = thread.left_out_turns
        began_ms = thread.began_ms
        used_ms = thread.used_ms
        self.summary = summary
        self.turns = turns
      }
    }
    public var persona: String
    public var thread: String?
    public var last: Int?
    public init(persona: String, thread: String? = nil, last: Int? = nil) {
      self.persona = persona
      self.thread = thread
      self.last = last
    }
  }

  public struct Export: KernelMethod {
    public enum Format: String, Codable, Sendable, CaseIterable { case json, markdown }
    public static let method = MethodDescription(
      "history.export", "the same as a text to keep", takes: #"as `get`, and `"format"`: `json` or `markdown`"#,
      gives: #"`{"persona","thread","format","text"}`"#, callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var persona, thread: String
      public var format: Format
      public var text: String
      public init(persona: String, thread: String, format: Format, text: String) {
        self.persona = persona
        self.thread = thread
        self.format = format
        self.text = text
      }
    }
    public var persona: String
    public var thread: String?
    public var last: Int?
    public var format: Format?
    public init(persona: String, thread: String? = nil, last: Int? = nil, format: Format? = nil) {
      self.persona = persona
      self.thread = thread
      self.last = last
      self.format = format
    }
  }

  public struct Forget: KernelMethod {
    public static let method = MethodDescription(
      "history.forget", "remove one conversation, or all of a persona's", takes: #"`{"persona"}`, optional `"thread"`"#,
      gives: #"`{"threads":1,"turns":12}`"#, callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var threads, turns: Int
      public init(threads: Int, turns: Int) {
        self.threads = threads
        self.turns = turns
      }
    }
    public var persona: String
    public var thread: String?
    public init(persona: String, thread: String? = nil) {
      self.persona = persona
      self.thread = thread
    }
  }
}
