import FoundationEssentials
import Glibc
import Kernel

/// Where the model is, which protocol it speaks, and how a question is put to it. A value.
struct ModelServer: Sendable {
  enum Dialect: Sendable { case ollama, openai }

  let provider: LanguageConfiguration.Provider
  let dialect: Dialect
  /// As people know it.
  let address: String
  /// What paths are appended to.
  let base: String
  let socketPath: String?
  let defaultModel: String?
  let window: Int
  let keyVariable: String?
  /// Never to be shown.
  private let key: String?
  /// Why this server can never be asked as it is configured.
  let misconfigured: Failure?

  /// `localSocket`: where the kernel's own model server listens. `environment` gives the value of a variable.
  init(_ configuration: LanguageConfiguration, localSocket: String, environment: (String) -> String?) {
    provider = configuration.provider
    dialect = provider == .ollama ? .ollama : .openai
    defaultModel = configuration.model
    window = max(256, configuration.contextTokens)
    keyVariable = configuration.apiKeyVariable
    key = keyVariable.flatMap(environment).map { $0.trimmingWhitespace() }.flatMap { $0.isEmpty ? nil : $0 }

    let written: String =
      switch provider {
      case .local: "unix:\(localSocket):/v1"
      case .ollama: configuration.url ?? "http://127.0.0.1:11434"
      case .openai: configuration.url ?? "https://api.openai.com/v1"
      }
    var wrong: Failure?
    if let parts = Self.parse(written) {
      // "http://host:8080" means its usual path.
      base = "http\(parts.isSecure ? "s" : "")://\(parts.host)" + (parts.path.isEmpty && dialect == .openai ? "/v1" : parts.path)
      socketPath = parts.socketPath
      address = provider == .local ? localSocket : written
    } else {
      base = written
      socketPath = nil
      address = written
      wrong = Failure(
        .llmUnreachable,
        "[llm] url \"\(written)\" is no address: write http://HOST:PORT, https://HOST/v1 or unix:/PATH/TO.sock in personas.toml")
    }
    if wrong == nil, provider != .local {
      if let keyVariable, key == nil {
        wrong = Failure(
          .llmRefused,
          "the environment variable \(keyVariable), which [llm] api_key_env names, is not set: set it before batkernel starts, or remove api_key_env"
        )
      } else if key?.utf8.contains(where: { $0 < 32 || $0 == 127 }) == true {
        wrong = Failure(.llmRefused, "the key in the environment variable \(keyVariable!) has a line break or another control character")
      }
    }
    misconfigured = wrong
  }

  /// How many questions may be with it at a time: the local one has one slot.
  var slots: Int { provider == .local ? 1 : 4 }

  /// What is left free for the answer, in tokens.
  func reserve(for question: ChatQuestion) -> Int { min(question.maxTokens ?? min(1024, window / 4), window / 2) }

  func model(for question: ChatQuestion) -> String? { question.model ?? defaultModel ?? (provider == .local ? "local" : nil) }

  /// - Throws: what is wrong with the configuration, before any byte is sent.
  func request(_ question: ChatQuestion, _ prompt: Prompt, silenceMilliseconds: Int) throws(Failure) -> HTTPRequest {
    if let misconfigured { throw misconfigured }
    guard let model = model(for: question) else {
      let advice = provider == .ollama ? "set [llm] model in personas.toml to one of `ollama list`" : "set [llm] model in personas.toml"
      throw Failure(.llmNoModel, "no model is named for \(address): \(advice)")
    }
    var headers = ["Content-Type: application/json"]
    if let key, provider != .local { headers.append("Authorization: Bearer \(key)") }
    let body = dialect == .ollama ? ollamaBody(question, prompt, model) : openAIBody(question, prompt, model)
    return HTTPRequest(
      url: base + (dialect == .ollama ? "/api/chat" : "/chat/completions"), socketPath: socketPath, headers: headers, body: body,
      silenceMilliseconds: silenceMilliseconds)
  }

  func decoder() -> any AnswerDecoder { dialect == .ollama ? OllamaAnswer() : OpenAIAnswer() }

  /// The text without the key, should a server have quoted it.
  func redacted(_ text: String) -> String {
    guard let key, key.utf8.count >= 4 else { return text }
    return text.replacing(key, with: "…")
  }

  // MARK: Bodies

  private struct OllamaBody: Encodable {
    struct Options: Encodable {
      var temperature: Double?
      var seed: Int?
      var num_predict: Int?
      var num_ctx: Int
      var stop: [String]?
    }
    var model: String
    var stream = true
    var messages: [ChatMessage]
    var options: Options
  }

  private func ollamaBody(_ question: ChatQuestion, _ prompt: Prompt, _ model: String) -> [UInt8] {
    let body = Self.encode(
      OllamaBody(
        model: model, messages: prompt.messages,
        options: .init(
          temperature: question.temperature, seed: question.seed, num_predict: question.maxTokens, num_ctx: window,
          stop: question.stop.isEmpty ? nil : question.stop)))
    return switch question.format {
    case nil: body
    case .json: RawJSON.adding("format", "\"json\"".utf8, to: body)
    case .schema(let schema): RawJSON.adding("format", schema, to: body)
    }
  }

  private struct OpenAIBody: Encodable {
    struct StreamOptions: Encodable { var include_usage = true }
    var model: String
    var stream = true
    var stream_options = StreamOptions()
    var messages: [ChatMessage]
    var temperature: Double?
    var max_tokens: Int?
    var max_completion_tokens: Int?
    var seed: Int?
    var stop: [String]?
  }

  /// What the local toy may say when nobody says how much: left alone it sometimes never ends.
  static let localMaxTokens = 512

  private func openAIBody(_ question: ChatQuestion, _ prompt: Prompt, _ model: String) -> [UInt8] {
    // OpenAI's own newer models refuse max_tokens; other servers know nothing else.
    let isOpenAIItself = base.hasPrefix("https://api.openai.com/")
    let maxTokens = question.maxTokens ?? (provider == .local ? Self.localMaxTokens : nil)
    let body = Self.encode(
      OpenAIBody(
        model: model, messages: prompt.messages, temperature: question.temperature, max_tokens: isOpenAIItself ? nil : maxTokens,
        max_completion_tokens: isOpenAIItself ? maxTokens : nil, seed: question.seed, stop: question.stop.isEmpty ? nil : question.stop))
    return switch question.format {
    case nil: body
    case .json: RawJSON.adding("response_format", #"{"type":"json_object"}"#.utf8, to: body)
    case .schema(let schema):
      RawJSON.adding(
        "response_format", Array(#"{"type":"json_schema","json_schema":{"name":"answer","schema":"#.utf8) + schema + Array("}}".utf8),
        to: body)
    }
  }

  private static func encode(_ body: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(body) else { preconditionFailure("strings and finite numbers can be encoded") }
    return Array(data)
  }

  // MARK: Addresses

  private struct Parts {
    var isSecure = false
    var host: String
    var path = ""
    var socketPath: String?
  }

  /// "http://host:port/path", "https://…", "unix:/path/to.sock", "unix:/path/to.sock:/path".
  private static func parse(_ url: String) -> Parts? {
    guard !url.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else { return nil }
    var url = url[...]
    while url.last == "/" { url.removeLast() }
    if url.hasPrefix("unix:") {
      var path = url.dropFirst("unix:".count)
      if path.hasPrefix("//") { path = path.dropFirst(2) }
      guard path.first == "/" else { return nil }
      guard let colon = path.lastIndex(of: ":"), path[path.index(after: colon)...].hasPrefix("/") else {
        return Parts(host: "localhost", socketPath: String(path))
      }
      return Parts(host: "localhost", path: String(path[path.index(after: colon)...]), socketPath: String(path[..<colon]))
    }
    let isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://") else { return nil }
    let rest = url.dropFirst(isSecure ? 8 : 7)
    let host = rest.prefix { $0 != "/" }
    guard !host.isEmpty else { return nil }
    return Parts(isSecure: isSecure, host: String(host), path: String(rest.dropFirst(host.count)))
  }
}

extension String {
  fileprivate func trimmingWhitespace() -> String {
    var text = self[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
