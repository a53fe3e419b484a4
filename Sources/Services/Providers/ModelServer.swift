import Glibc
import Kernel
import Protocol

/// Where the model is, which protocol it speaks, and how a question is put to it. A value.
struct ModelServer: Sendable {
  enum Dialect: Sendable { case ollama, openai }

  /// Its name in personas.toml: "default" is `[llm]` itself.
  let name: String
  let kind: ProviderConfiguration.Kind
  let dialect: Dialect
  /// As people know it.
  let address: String
  /// What paths are appended to.
  let base: String
  let socketPath: String?
  let defaultModel: String?
  let window: Int
  let key: ServerKey
  /// Why this server can never be asked as it is configured.
  let misconfigured: Failure?
  private let configuration: ProviderConfiguration

  /// Where in personas.toml it stands.
  var section: String { Self.section(name) }
  static func section(_ name: String) -> String { name == LanguageConfiguration.standardName ? "llm" : "llm.providers.\(name)" }

  /// `localSocket`: where the kernel's own model server listens. `environment` gives the value of a variable.
  init(
    name: String = LanguageConfiguration.standardName, _ configuration: ProviderConfiguration, localSocket: String,
    environment: (String) -> String?
  ) {
    self.name = name
    self.configuration = configuration
    kind = configuration.kind
    dialect = kind == .ollama ? .ollama : .openai
    defaultModel = configuration.model
    window = max(256, configuration.contextTokens)
    key =
      configuration.apiKeyFile.map { ServerKey(file: $0) } ?? ServerKey(variable: configuration.apiKeyVariable, environment: environment)

    let written: String =
      switch kind {
      case .local: "unix:\(localSocket):/v1"
      case .ollama: configuration.url ?? "http://127.0.0.1:11434"
      case .openai: configuration.url ?? "https://api.openai.com/v1"
      }
    var wrong: Failure?
    let section = Self.section(name)
    // "http://host:8080" means its usual path.
    if let found = ServerAddress(written, usualPath: dialect == .openai ? "/v1" : "") {
      base = found.base
      socketPath = found.socketPath
      address = kind == .local ? localSocket : written
    } else {
      base = written
      socketPath = nil
      address = written
      wrong = Failure(.llmUnreachable, "[\(section)] url \"\(written)\" is no address: write \(ServerAddress.forms) in personas.toml")
    }
    if wrong == nil, kind != .local, let obstacle = key.obstacle(section: section) { wrong = Failure(.llmRefused, obstacle) }
    misconfigured = wrong
  }

  /// How many questions may be with it at a time: the local one has one slot.
  var slots: Int { configuration.parallel ?? (kind == .local ? 1 : 4) }
  var silenceMilliseconds: Int { configuration.silenceMilliseconds }
  var retries: Int { kind == .local ? 0 : configuration.retries }

  /// What is left free for the answer, in tokens.
  func reserve(for question: ChatQuestion) -> Int { min(maxTokens(for: question) ?? min(1024, window / 4), window / 2) }

  /// How long the answer may be; nil: as long as the server likes.
  func maxTokens(for question: ChatQuestion) -> Int? {
    question.maxTokens ?? configuration.maxTokens ?? (kind == .local ? Self.localMaxTokens : nil)
  }

  func model(for question: ChatQuestion) -> String? { question.model ?? defaultModel ?? (kind == .local ? "local" : nil) }

  private var headers: [String] { kind == .local ? [] : [key.header].compactMap { $0 } }

  /// Asks which models there are.
  func modelsRequest() throws(Failure) -> HTTPRequest {
    if let misconfigured { throw misconfigured }
    return HTTPRequest(
      url: base + (dialect == .ollama ? "/api/tags" : "/models"), socketPath: socketPath, headers: headers, connectMilliseconds: 3000,
      silenceMilliseconds: min(silenceMilliseconds, 10_000))
  }

  /// - Throws: what is wrong with the configuration, before any byte is sent.
  /// `mayCallTools`: false where the model has called often enough, and shall answer.
  func request(_ question: ChatQuestion, _ prompt: Prompt, mayCallTools: Bool = true) throws(Failure) -> HTTPRequest {
    if let misconfigured { throw misconfigured }
    guard let model = model(for: question) else {
      let advice = "set [\(section)] model in personas.toml" + (kind == .ollama ? " to one of `ollama list`" : "")
      throw Failure(.llmNoModel, "no model is named for \(address): \(advice)")
    }
    var body = dialect == .ollama ? ollamaBody(question, prompt, model) : openAIBody(question, prompt, model)
    // Ollama has no word for "not now"; other servers want to know the tools that were called before.
    if !question.tools.isEmpty, mayCallTools || dialect == .openai { body = RawJSON.adding("tools", question.tools.json, to: body) }
    if !question.tools.isEmpty, !mayCallTools, dialect == .openai { body = RawJSON.adding("tool_choice", "\"none\"".utf8, to: body) }
    return HTTPRequest(
      url: base + (dialect == .ollama ? "/api/chat" : "/chat/completions"), socketPath: socketPath,
      headers: ["Content-Type: application/json"] + headers, body: body,
      silenceMilliseconds: silenceMilliseconds)
  }

  func decoder() -> any AnswerDecoder { dialect == .ollama ? OllamaAnswer() : OpenAIAnswer() }

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
    var messages: [OllamaMessage]
    var options: Options
  }

  private func ollamaBody(_ question: ChatQuestion, _ prompt: Prompt, _ model: String) -> [UInt8] {
    let body = PayloadCoding.bytes(
      of:
        OllamaBody(
          model: model, messages: OllamaMessage.list(prompt.messages),
          options: .init(
            temperature: question.temperature ?? configuration.temperature, seed: question.seed,
            num_predict: maxTokens(for: question), num_ctx: window,
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
    let maxTokens = maxTokens(for: question)
    let body = PayloadCoding.bytes(
      of:
        OpenAIBody(
          model: model, messages: prompt.messages, temperature: question.temperature ?? configuration.temperature,
          max_tokens: isOpenAIItself ? nil : maxTokens,
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
}
