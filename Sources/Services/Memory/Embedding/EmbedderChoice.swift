import Kernel

/// What `[memory] embedder` in personas.toml asks for.
public enum EmbedderChoice: Sendable, Equatable {
  /// No vectors: words alone.
  case none
  /// The one that `./bat up` installs.
  case local
  case ollama(model: String)
  /// Any server that speaks OpenAI's protocol.
  case openai(model: String)

  /// - Throws: `.misconfigured`.
  public init(_ text: String) throws(EmbeddingError) {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    switch (parts.first, parts.count) {
    case ("none", 1): self = .none
    case ("local", 1): self = .local
    case ("ollama", 2): self = .ollama(model: parts[1])
    case ("openai", 2): self = .openai(model: parts[1])
    default:
      throw EmbeddingError(
        .misconfigured,
        "\"\(text)\" is no embedder: write \"local\", \"none\", \"ollama:MODEL\" or \"openai:MODEL\" in personas.toml")
    }
  }
}

extension MemoryConfiguration {
  /// The embedder that is asked for; nil: words alone.
  ///
  /// No server is asked for anything yet.
  public func makeEmbedder() throws(EmbeddingError) -> (any Embedder)? { try makeEmbedder(environment: environmentVariable) }

  func makeEmbedder(environment: (String) -> String?) throws(EmbeddingError) -> (any Embedder)? {
    func server(_ dialect: EmbeddingServer.Dialect, _ model: String) throws(EmbeddingError) -> HTTPEmbedder {
      HTTPEmbedder(
        try EmbeddingServer(dialect, model: model, url: url, apiKeyVariable: apiKeyVariable, environment: environment))
    }
    switch try EmbedderChoice(embedder) {
    case .none: return nil
    case .local: return try WordEmbedder.installed(environment: environment)
    case .ollama(let model): return try server(.ollama, model)
    case .openai(let model): return try server(.openai, model)
    }
  }
}
