import Foundation
import Kernel
import Protocol
import Synchronization
import System
import Wire

@testable import Services

/// The answer to one question, as it comes.
final class Reply: Sendable {
  let events: AsyncStream<LanguageEvent>
  let call: any LanguageCall
  private let end: Promise<Bool>

  init(
    _ models: LanguageModels, _ body: String, persona: String = "BRICK", prompt: String = "", overrides: LanguageOverrides = .init(),
    change: (inout LanguageQuestion) -> Void = { _ in }, onThought: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    let (stream, continuation) = AsyncStream<LanguageEvent>.makeStream()
    events = stream
    let end = Promise<Bool>()
    self.end = end
    let request = try! ChatRequest(Array(body.utf8), of: persona)
    var question = LanguageQuestion(persona: persona, prompt: prompt, overrides: overrides, request: request)
    change(&question)
    call = models.chat(question) { event in
      if case .thought(let line) = event { onThought(line) }
      if case .finished = event { end.fulfill(true) }
      continuation.yield(event)
      if case .finished = event { continuation.finish() }
    }
  }

  var isOver: Bool { end.wait(milliseconds: 0) == true }

  /// Waits for the end.
  func whole() async -> (pieces: [String], result: Result<Conclusion, Failure>) {
    var pieces: [String] = []
    for await event in events {
      switch event {
      case .piece(let text): pieces.append(text)
      case .thought: break
      case .finished(let result): return (pieces, result.map { try! JSONDecoder().decode(Conclusion.self, from: Data($0)) })
      }
    }
    return (pieces, .failure(Failure(.failed, "the test has read the end already")))
  }

  func conclusion() async throws -> Conclusion { try await whole().result.get() }

  func failure() async -> Failure? {
    if case .failure(let failure) = await whole().result { failure } else { nil }
  }
}

struct Conclusion: Decodable, Equatable {
  var text: String
  var provider = "default"
  var model: String
  var finish: String
  var prompt_tokens: Int?
  var completion_tokens: Int?
  var forgotten_turns: Int
  var summarised_turns: Int?
  var history_failed: Bool?
  var cut_by_server: Bool?
  var tool_calls: [Call]?

  struct Call: Decodable, Equatable {
    struct Problem: Decodable, Equatable { var code, message: String }
    var tool: String
    var arguments: JSON
    var result: JSON?
    var error: Problem?
  }
}

func makeModels(
  _ provider: ProviderConfiguration.Kind, url: String? = nil, model: String? = "m", folder: String = "/tmp", data: String? = nil,
  _ change: (inout LanguageConfiguration) -> Void = { _ in }, clock: @escaping @Sendable () -> Int64 = MachineClock.system.wallMilliseconds
) -> LanguageModels {
  var configuration = LanguageConfiguration()
  configuration.standard.kind = provider
  configuration.standard.url = url
  configuration.standard.model = model
  configuration.standard.retries = 0
  // On a busy machine a test may not be scheduled for minutes. One that is about silence sets its own.
  configuration.standard.silenceMilliseconds = 20 * 60_000
  change(&configuration)
  return LanguageModels(configuration, runtimeFolder: folder, dataFolder: data, clock: clock) { _, _ in }
}

/// A new private folder with a short path.
func makeFolder() -> String {
  var template = Array("/tmp/batXXXXXX".utf8CString)
  return String(cString: mkdtemp(&template)!)
}

/// Recorded answers.
enum Recording {
  static let ollama = """
    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Grüße, "},"done":false}
    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Master \\u201cBruce\\u201d 🦇"},"done":false}

    {"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":26,"eval_count":5}

    """
  static let openAI = """
    : a comment

    data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"model":"m"}

    data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Grüße, "}}],"model":"m"}

    event: message
    id: 3
    data:{"choices":[{"finish_reason":null,"index":0,
    data: "delta":{"content":"Master \\u201cBruce\\u201d 🦇"}}],"model":"m"}

    data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"model":"m"}

    data: {"choices":[],"model":"m","usage":{"completion_tokens":5,"prompt_tokens":26,"total_tokens":31}}

    data: [DONE]


    """
  static let text = "Grüße, Master “Bruce” 🦇"
  static let answer = Answer(model: "m", finish: "stop", promptTokens: 26, completionTokens: 5, isComplete: true)

  /// The last line of Ollama's answer.
  static func ollamaEnd(_ promptTokens: Int = 26, reason: String = "stop") -> String {
    #"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"\#(reason)","prompt_eval_count":\#(promptTokens),"eval_count":2}"#
      + "\n"
  }
  static func ollamaPiece(_ text: String) -> String {
    #"{"model":"m","message":{"role":"assistant","content":"\#(text)"},"done":false}"# + "\n"
  }
  /// A whole good answer over HTTP.
  static func ollamaAnswer(_ text: String, promptTokens: Int = 26) -> [ScriptedServer.Step] {
    [.head(), .chunk(ollamaPiece(text)), .chunk(ollamaEnd(promptTokens)), .lastChunk]
  }
}
