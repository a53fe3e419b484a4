import Kernel

/// The counters of `parlor stats`, as they stand in its JSON. Times in milliseconds.
struct LanguageStatistics: Codable, Sendable {
  struct Local: Codable, Sendable {
    /// "stopped", "starting", "ready", "restarting".
    var state: String
    var pid: Int32?
    /// How often it was started again after the first time.
    var restarts: Int
    var log: String?
  }

  /// One provider.
  struct Provider: Codable, Sendable {
    /// "local", "ollama", "openai".
    var provider: String
    var url: String
    var model: String?
    /// How often a question was sent to it, and sent to it again.
    var sent = 0
    var answered = 0
    var retries = 0
    /// How many questions went on to another one.
    var fallbacks = 0
    /// "closed": it is asked. "open": it has failed too often, and is not. "half-open": one question tries it.
    var breaker = "closed"
    var waiting = 0
    var running = 0
    var first_piece_ms = LanguageUsage.Latency()

    init(_ server: ModelServer) {
      provider = server.kind.rawValue
      url = server.address
      model = server.defaultModel
    }

    mutating func describe(_ server: ModelServer) {
      provider = server.kind.rawValue
      url = server.address
      model = server.defaultModel
    }
  }

  /// The tokens of today.
  struct Budget: Codable, Sendable {
    struct Share: Codable, Sendable {
      var spent: Int
      /// Nil: there is none.
      var limit: Int?
    }
    /// As in "2026-11-23".
    var day: String
    /// When the next day begins, in milliseconds since 1970.
    var new_ms: Int64
    var spent: Int
    var limit: Int?
    var personas: [String: Share]
  }

  /// Of `[llm]` itself.
  var provider: String
  var url: String
  var model: String?
  var requests = 0
  var answered = 0
  /// By the code of the failure.
  var failures: [String: Int] = [:]
  var prompt_tokens = 0
  var completion_tokens = 0
  /// For their turn, at all providers and for questions of the same conversation.
  var waiting = 0
  var running = 0
  /// Kept ones, also those of earlier days.
  var conversations = 0
  /// How often their file could not be read or written.
  var history_failures = 0
  /// Of older turns, made by the model.
  var summaries = 0
  /// From the question to the first piece of the answer, waiting included.
  var first_piece_ms = LanguageUsage.Latency()
  var local: Local?
  /// By name; `[llm]` itself is "default".
  var providers: [String: Provider] = [:]
  var personas: [String: LanguageUsage] = [:]
  /// Nil: nothing has been asked since the kernel was started.
  var budget: Budget?

  init(_ server: ModelServer) {
    provider = server.kind.rawValue
    url = server.address
    model = server.defaultModel
    providers[server.name] = Provider(server)
  }

  /// Changes what is counted for a persona, and for its generation (0: none is known).
  mutating func count(_ persona: String, generation: Int, _ change: (inout LanguageUsage) -> Void) {
    var usage = personas[persona] ?? LanguageUsage()
    change(&usage)
    if generation > 0 {
      var generations = usage.generations ?? [:]
      var own = generations["\(generation)"] ?? LanguageUsage()
      change(&own)
      generations["\(generation)"] = own
      if generations.count > LanguageUsage.generationsKept, let oldest = generations.keys.compactMap(Int.init).min() {
        generations["\(oldest)"] = nil
      }
      usage.generations = generations
    }
    personas[persona] = usage
  }
}
