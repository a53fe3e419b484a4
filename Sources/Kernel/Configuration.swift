/// What personas.toml says, as values. Reading and checking the file is batkernel's work.
public struct Configuration: Sendable, Equatable {
  /// The Unix socket to listen on.
  public var socketPath: String
  /// What must outlive the kernel is kept here: memories, conversations. Made, for the user alone, when it is needed. `data`
  public var dataFolder = "bat-data"
  /// Where the libraries of personas are looked for, in this order: `libNAME.so`, then `NAME.so`.
  public var pluginFolders: [String]
  public var log = LogConfiguration()
  public var limits = Limits()
  public var reload = ReloadConfiguration()
  public var language = LanguageConfiguration()
  public var memory = MemoryConfiguration()
  /// In the order of the file.
  public var personas: [PersonaConfiguration] = []

  /// Where the kernel keeps what it needs while it runs: the socket's folder.
  public var runtimeFolder: String { socketPath.lastIndex(of: "/").map { String(socketPath[..<$0]) } ?? "." }

  public init(socketPath: String, pluginFolders: [String]) {
    self.socketPath = socketPath
    self.pluginFolders = pluginFolders
  }
}

/// `[log]`
public struct LogConfiguration: Sendable, Equatable {
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error
    public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }
  public enum Format: String, Sendable, CaseIterable { case text, json }
  public var format = Format.text
  public var level = Level.info
  /// `[log.levels]`: by part ("bus", "io", "reload", "llm", "config", or a persona's name).
  public var levels: [String: Level] = [:]
  public init() {}
}

/// `[bus]`: what one participant may cost.
public struct Limits: Sendable, Equatable {
  /// The longest line, in bytes, newline included. `frame_bytes`
  public var frameBytes = 16 << 20
  /// What may wait for one connection that does not read, in bytes. Streamed text ahead of an answer may wait beside it, up to a
  /// quarter of this for each request; more ends the request with `queue_full`. `queue_bytes`
  public var queueBytes = 16 << 20
  /// What one persona may have that has not ended, waiting or begun, in bytes and 512 for each gram; no sender gets more than half of
  /// what is left, and beyond it is told `queue_full`. `mailbox_bytes`
  public var mailboxBytes = 64 << 20
  /// Through how many hands a message may go. `hops`
  public var hops = 8
  /// How long a request may take that names no deadline, in milliseconds. `deadline_ms`
  public var deadlineMilliseconds = 600_000
  /// How many requests of one connection, or of one persona's instance, may be open at a time, and how many a persona may have open on
  /// behalf of one gram; one more is answered with `queue_full`. `requests`
  public var requests = 4096
  /// What of all clients together may be kept, in bytes: lines that are not whole yet, grams that personas have and have not ended, and
  /// what waits for clients to read. Beyond, grams are refused with `queue_full`. `total_bytes`
  public var totalBytes = 512 << 20
  /// How many clients may be connected at a time; one more is turned away with `queue_full`. `connections`
  public var connections = 10_000
  public init() {}
}

/// `[reload]`
public struct ReloadConfiguration: Sendable, Equatable {
  /// Watch the libraries and reload what changes. `watch`
  public var watch = true
  /// How long a file must be quiet before it is taken for whole. `settle_ms`
  public var settleMilliseconds = 100
  /// How long create, load, start, save, stop and destroy together may take in rehearsal, and each in the kernel. `call_ms`
  public var callMilliseconds = 5000
  /// How long an old generation may go on with what it was asked before. `drain_ms`
  public var drainMilliseconds = 600_000
  /// How long a new generation is on trial: a failing health check brings the old one back. `trial_ms`
  public var trialMilliseconds = 5000
  /// How many of the last grams of each persona are kept in memory for `parlor capture` and shadows; 0: none. `record`
  public var recordedGrams = 32
  public init() {}
}

/// `[llm]`: the provider that personas have if they name none, and who else there is.
public struct LanguageConfiguration: Sendable, Equatable {
  /// What `[llm]` itself says. Its name is "default".
  public var standard = ProviderConfiguration()
  /// `[llm.providers.NAME]`
  public var providers: [String: ProviderConfiguration] = [:]
  /// Whom to ask when a provider cannot answer, for personas that say nothing of it: "NAME" or "NAME/model". `fallbacks`
  public var fallbacks: [String] = []
  /// What all personas together may spend on a day of the user's calendar, in tokens; nil: no limit. `tokens_per_day`
  public var tokensPerDay: Int?
  /// Older turns that do not fit the window are summarised by the model. `summarise`
  public var summarises = true
  /// `[llm.local]`: the model server that the kernel starts as its child.
  public var local = LocalModelConfiguration()
  public init() {}

  /// What `[llm]` itself is called where providers are named.
  public static let standardName = "default"
  /// The kernel's own model, which needs no table of its own to be named.
  public static let localName = "local"

  /// The one name of a provider that may have two: "local" is "default" where `[llm]` is the local model.
  public func canonical(_ name: String) -> String { name == Self.localName && standard.kind == .local ? Self.standardName : name }

  /// Nil: there is none of that name.
  public func provider(_ name: String) -> ProviderConfiguration? {
    let name = canonical(name)
    if name == Self.standardName { return standard }
    return providers[name] ?? (name == Self.localName ? ProviderConfiguration() : nil)
  }

  /// What may be named, for people.
  public var providerNames: [String] { Set(providers.keys).union([Self.standardName, Self.localName]).sorted() }
}

/// One place where a model answers: `[llm]` or `[llm.providers.NAME]`.
public struct ProviderConfiguration: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable { case local, ollama, openai }
  /// `provider`
  public var kind = Kind.local
  /// Where the server is, e.g. http://127.0.0.1:11434 (ollama) or http://127.0.0.1:8080/v1 (openai). `url`
  public var url: String?
  /// `model`
  public var model: String?
  /// The environment variable that holds the key for an OpenAI-compatible server. `api_key_env`
  public var apiKeyVariable: String?
  /// Or the file that holds it, which nobody else may read. `api_key_file`
  public var apiKeyFile: String?
  /// The model's window in tokens; histories are trimmed to it, and Ollama is told. `context_tokens`
  public var contextTokens = 4096
  /// `temperature`, `max_tokens`: for questions and personas that say nothing of it.
  public var temperature: Double?
  public var maxTokens: Int?
  /// No byte from the server for so long ends the request. `silence_ms`
  public var silenceMilliseconds = 120_000
  /// How many questions may be with it at a time; nil: one at the local model, four elsewhere. `parallel`
  public var parallel: Int?
  /// How often a question is sent again that failed before its first word. `retries`
  public var retries = 2
  public init() {}
}

/// `[llm.local]`
public struct LocalModelConfiguration: Sendable, Equatable {
  /// The command and its arguments; the socket's path is appended. Empty: what `./bat up` installed. `command`
  public var command: [String] = []
  /// Where its output goes. Default: beside the kernel's socket, `model.log`. `log`
  public var logPath: String?
  public init() {}
}

/// `[memory]`
public struct MemoryConfiguration: Sendable, Equatable {
  /// What makes vectors of texts: `embedder = "local"`, "none" (words alone), "ollama:MODEL" or "openai:MODEL".
  public var embedder = "local"
  /// Where the embedder's server is, as in [llm]. `url`
  public var url: String?
  /// The environment variable that holds its key. `api_key_env`
  public var apiKeyVariable: String?
  public init() {}
}

/// `[persona.NAME]`
public struct PersonaConfiguration: Sendable, Equatable {
  /// The name that it is addressed by.
  public var name: String
  /// The library's name or path; default: the persona's name. `library`
  public var library: String
  public var summary: String?
  public var prompt: String
  public var language: LanguageOverrides
  /// The whole table as JSON, with "name" added: what create() is given.
  public var json: [UInt8]

  public init(
    name: String, library: String, summary: String? = nil, prompt: String = "",
    language: LanguageOverrides = .init(), json: [UInt8]
  ) {
    self.name = name
    self.library = library
    self.summary = summary
    self.prompt = prompt
    self.language = language
    self.json = json
  }
}
