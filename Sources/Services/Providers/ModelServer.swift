import Glibc
import Kernel
import Protocol
import System

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
  /// A question to which the model says nothing for so long, in milliseconds, does not hold people up: they get slots beside it.
  var patience: Milliseconds { min(5000, Milliseconds(silenceMilliseconds / 4)) }
  /// So many slots there may be for people beyond `slots`. The local model has one thread, and nothing to grow.
  var growth: Int { kind == .local ? 0 : 32 }
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
      silenceMilliseconds: min(silenceMilliseconds, 10_000), totalMilliseconds: 30_000)
  }

  /// - Parameters:
  ///   - mayCallTools: false where the model has called often enough, and shall answer.
  ///   - form: what the server does not take.
  /// - Throws: what is wrong with the configuration, before any byte is sent.
  func request(
    _ question: ChatQuestion, _ prompt: Prompt, mayCallTools: Bool = true, form: RequestForm = RequestForm()
  ) throws(Failure) -> HTTPRequest {
    if let misconfigured { throw misconfigured }
    guard let model = model(for: question) else {
      let advice = "set [\(section)] model in personas.toml" + (kind == .ollama ? " to one of `ollama list`" : "")
      throw Failure(.llmNoModel, "no model is named for \(address): \(advice)")
    }
    var body = dialect == .ollama ? ollamaBody(question, prompt, model, form) : openAIBody(question, prompt, model, form)
    let parameters = self.parameters(of: question, prompt, mayCallTools: mayCallTools, form)
    if parameters.contains(.tools) { body = RawJSON.adding("tools", question.tools.json, to: body) }
    if parameters.contains(.toolChoice) { body = RawJSON.adding("tool_choice", "\"none\"".utf8, to: body) }
    return HTTPRequest(
      url: base + (dialect == .ollama ? "/api/chat" : "/chat/completions"), socketPath: socketPath,
      headers: ["Content-Type: application/json"] + headers, body: body,
      silenceMilliseconds: silenceMilliseconds)
  }

  /// What of the request the server may refuse.
  func parameters(of question: ChatQuestion, _ prompt: Prompt, mayCallTools: Bool, _ form: RequestForm) -> Set<RequestParameter> {
    var sent: Set<RequestParameter> = []
    // Ollama has no word for "not now"; other servers want to know the tools that were called before.
    if !question.tools.isEmpty, mayCallTools || dialect == .openai { sent.insert(.tools) }
    if question.format != nil { sent.insert(.responseFormat) }
    if dialect == .openai {
      sent.formUnion(form.takes(.stream) ? [.stream, .streamOptions] : [])
      if let limit = lengthParameter(of: question, form) { sent.insert(limit) }
      if (question.temperature ?? configuration.temperature) != nil { sent.insert(.temperature) }
      if question.seed != nil { sent.insert(.seed) }
      if !question.stop.isEmpty { sent.insert(.stop) }
      if !question.tools.isEmpty, !mayCallTools { sent.insert(.toolChoice) }
      if prompt.messages.first?.role == .system { sent.insert(.system) }
    }
    return sent.subtracting(form.without)
  }

  /// How the answer's length is limited. OpenAI's own newer models refuse max_tokens; other servers know nothing else.
  private func lengthParameter(of question: ChatQuestion, _ form: RequestForm) -> RequestParameter? {
    guard maxTokens(for: question) != nil else { return nil }
    let names: [RequestParameter] = [.maxTokens, .maxCompletionTokens]
    return (base.hasPrefix("https://api.openai.com/") ? names.reversed() : names).first(where: form.takes)
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
    var messages: [OllamaMessage]
    var options: Options
  }

  private func ollamaBody(_ question: ChatQuestion, _ prompt: Prompt, _ model: String, _ form: RequestForm) -> [UInt8] {
    let body = PayloadCoding.bytes(
      of:
        OllamaBody(
          model: model, messages: OllamaMessage.list(form.messages(prompt.messages, of: question)),
          options: .init(
            temperature: question.temperature ?? configuration.temperature, seed: question.seed,
            num_predict: maxTokens(for: question), num_ctx: window,
            stop: question.stop.isEmpty ? nil : question.stop)))
    return switch form.format(of: question) {
    case nil: body
    case .json: RawJSON.adding("format", "\"json\"".utf8, to: body)
    case .schema(let schema): RawJSON.adding("format", schema, to: body)
    }
  }

  private struct OpenAIBody: Encodable {
    struct StreamOptions: Encodable { var include_usage = true }
    var model: String
    var stream = true
    var stream_options: StreamOptions?
    var messages: [ChatMessage]
    var temperature: Double?
    var max_tokens: Int?
    var max_completion_tokens: Int?
    var seed: Int?
    var stop: [String]?
  }

  /// What the local toy may say when nobody says how much: left alone it sometimes never ends.
  static let localMaxTokens = 512

  private func openAIBody(_ question: ChatQuestion, _ prompt: Prompt, _ model: String, _ form: RequestForm) -> [UInt8] {
    let maxTokens = maxTokens(for: question)
    let limit = lengthParameter(of: question, form)
    let body = PayloadCoding.bytes(
      of:
        OpenAIBody(
          model: model, stream: form.takes(.stream), stream_options: form.takes(.stream) && form.takes(.streamOptions) ? .init() : nil,
          messages: form.messages(prompt.messages, of: question),
          temperature: form.takes(.temperature) ? question.temperature ?? configuration.temperature : nil,
          max_tokens: limit == .maxTokens ? maxTokens : nil, max_completion_tokens: limit == .maxCompletionTokens ? maxTokens : nil,
          seed: form.takes(.seed) ? question.seed : nil, stop: question.stop.isEmpty || !form.takes(.stop) ? nil : question.stop))
    return switch form.format(of: question) {
    case nil: body
    case .json: RawJSON.adding("response_format", #"{"type":"json_object"}"#.utf8, to: body)
    case .schema(let schema):
      RawJSON.adding(
        "response_format", Array(#"{"type":"json_schema","json_schema":{"name":"answer","schema":"#.utf8) + schema + Array("}}".utf8),
        to: body)
    }
  }
}
