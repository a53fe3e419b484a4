import Foundation
import Kernel
import Protocol
import Testing

@testable import Services

@Suite struct ModelServerTests {
  func server(
    _ provider: ProviderConfiguration.Kind, _ url: String? = nil, model: String? = "m", keyVariable: String? = nil, key: String? = nil
  )
    -> ModelServer
  {
    var configuration = ProviderConfiguration()
    configuration.kind = provider
    configuration.url = url
    configuration.model = model
    configuration.apiKeyVariable = keyVariable
    return ModelServer(configuration, localSocket: "/run/bat/model.sock") { $0 == keyVariable ? key : nil }
  }

  func question(_ body: String = #"{"text":"Hi"}"#) throws -> ChatQuestion {
    try ChatQuestion(.init(persona: "BRICK", prompt: "S", request: ChatRequest(Array(body.utf8), of: "BRICK")))
  }

  func prompt(_ question: ChatQuestion) -> Prompt {
    Prompt(system: question.system, earlier: question.earlier, question: question.messages, estimate: .init(), window: 4096, reserve: 100)
  }

  func request(_ server: ModelServer, _ body: String = #"{"text":"Hi"}"#) throws -> HTTPRequest {
    let question = try question(body)
    return try server.request(question, prompt(question))
  }

  @Test(
    "an address leads to the right place",
    arguments: [
      (ProviderConfiguration.Kind.ollama, nil, "http://127.0.0.1:11434/api/chat", nil),
      (.ollama, "http://gpu:11434/", "http://gpu:11434/api/chat", nil),
      (.ollama, "unix:/run/ollama.sock", "http://localhost/api/chat", "/run/ollama.sock"),
      (.openai, nil, "https://api.openai.com/v1/chat/completions", nil),
      (.openai, "http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/chat/completions", nil),
      (.openai, "https://host/api/v2/", "https://host/api/v2/chat/completions", nil),
      (.openai, "unix:///run/llama.sock", "http://localhost/v1/chat/completions", "/run/llama.sock"),
      (.openai, "unix:/run/llama.sock:/openai/v1", "http://localhost/openai/v1/chat/completions", "/run/llama.sock"),
      (.local, "http://ignored", "http://localhost/v1/chat/completions", "/run/bat/model.sock"),
    ] as [(ProviderConfiguration.Kind, String?, String, String?)])
  func addresses(_ provider: ProviderConfiguration.Kind, _ url: String?, _ asked: String, _ socket: String?) throws {
    let request = try request(server(provider, url))
    #expect(request.url == asked)
    #expect(request.socketPath == socket)
  }

  @Test(
    "an address that is none is said to be none, with the forms that are",
    arguments: ["localhost:11434", "ftp://x", "unix:relative", "http://", "http://a b"])
  func noAddress(_ url: String) {
    let failure = #expect(throws: Failure.self) { _ = try request(server(.ollama, url)) }
    #expect(failure?.code == .llmUnreachable)
    #expect(failure?.message.contains(url) == true && failure?.message.contains("http://HOST:PORT") == true)
  }

  @Test("Ollama is told the window, and the question's options by its own names")
  func ollamaBody() throws {
    let body = try request(
      server(.ollama),
      #"{"text":"Hi","temperature":0.5,"max_tokens":7,"seed":3,"stop":"x","format":{"type":"object","title":"b","description":"a"}}"#
    ).body!
    #expect(
      String(decoding: body, as: UTF8.self)
        == #"{"messages":[{"content":"S","role":"system"},{"content":"Hi","role":"user"}],"model":"m","options":{"num_ctx":4096,"num_predict":7,"seed":3,"stop":["x"],"temperature":0.5},"stream":true,"format":{"type":"object","title":"b","description":"a"}}"#
    )
  }

  @Test("an OpenAI-compatible server is asked for usage, and for a schema in its own wrapping")
  func openAIBody() throws {
    let body = try request(server(.openai, "http://h"), #"{"text":"Hi","max_tokens":7,"format":{"title":"b","description":"a"}}"#).body!
    #expect(
      String(decoding: body, as: UTF8.self)
        == #"{"max_tokens":7,"messages":[{"content":"S","role":"system"},{"content":"Hi","role":"user"}],"model":"m","stream":true,"stream_options":{"include_usage":true},"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"title":"b","description":"a"}}}}"#
    )
    let openAI = try request(server(.openai), #"{"text":"Hi","max_tokens":7,"format":"json"}"#).body!
    let text = String(decoding: openAI, as: UTF8.self)
    #expect(text.contains(#""max_completion_tokens":7"#) && text.contains(#""response_format":{"type":"json_object"}"#))
  }

  @Test("the local toy is not left to talk for ever")
  func localBody() throws {
    let body = String(decoding: try request(server(.local, model: nil)).body!, as: UTF8.self)
    #expect(body.contains(#""max_tokens":512"#))
  }

  @Test("the key goes into the header and into no message")
  func key() throws {
    let server = server(.openai, "http://h", keyVariable: "BAT_KEY", key: " sk-secret\n")
    #expect(try request(server).headers.contains("Authorization: Bearer sk-secret"))
    let question = try question()
    let body = Array(#"{"error":{"message":"Incorrect API key provided: sk-secret","code":"invalid_api_key"}}"#.utf8)
    let failure = server.failure(.status(401, body: body, retryAfter: nil), question: question, prompt: prompt(question))
    #expect(failure.code == .llmRefused)
    #expect(!failure.message.contains("sk-secret") && failure.message.contains("BAT_KEY"))
  }

  @Test("a key variable that is not set is named before anything is sent")
  func noKey() {
    let failure = #expect(throws: Failure.self) { _ = try request(server(.openai, "http://h", keyVariable: "BAT_KEY")) }
    #expect(failure?.code == .llmRefused)
    #expect(failure?.message.contains("BAT_KEY") == true)
  }

  @Test("without a model the failure says where to name one", arguments: [ProviderConfiguration.Kind.ollama, .openai])
  func noModel(_ provider: ProviderConfiguration.Kind) {
    let failure = #expect(throws: Failure.self) { _ = try request(server(provider, model: nil)) }
    #expect(failure?.code == .llmNoModel)
    #expect(failure?.message.contains("[llm] model") == true)
  }
}
