import Kernel
import Protocol
import Testing

@testable import Services

/// Each way in which a server can fail, played by a scripted one over a real connection.
@Suite struct FaultTests {
  typealias Step = ScriptedServer.Step

  static let openAIHead = Step.head("text/event-stream")
  static let openAIPiece = Step.chunk("data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n")

  struct Fault: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var provider = ProviderConfiguration.Kind.ollama
    var script: [Step]
    var code: Failure.Code
    /// What the message must say, apart from the address.
    var says: [String]
    var pieces: [String] = []
  }

  static let faults: [Fault] = [
    Fault(
      testDescription: "Ollama has no such model", script: [.answer(404, #"{"error":"model 'm' not found"}"#)], code: .llmNoModel,
      says: ["ollama pull m", "\"m\""]),
    Fault(
      testDescription: "an OpenAI-compatible server has no such model", provider: .openai,
      script: [.answer(404, #"{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}"#)], code: .llmNoModel,
      says: ["does not exist", "/v1/models"]),
    Fault(
      testDescription: "the key is refused", provider: .openai, script: [.answer(401, #"{"error":{"message":"Incorrect API key"}}"#)],
      code: .llmRefused, says: ["401", "Incorrect API key", "api_key_env"]),
    Fault(
      testDescription: "too many questions", provider: .openai,
      script: [.answer(429, #"{"error":{"message":"Rate limit reached"}}"#, headers: "Retry-After: 7\r\n")], code: .llmRefused,
      says: ["429", "Rate limit reached", "7 s"]),
    Fault(
      testDescription: "500 with a text", script: [.answer(500, #"{"error":"CUDA out of memory"}"#)], code: .llmRefused,
      says: ["500", "CUDA out of memory", "log"]),
    Fault(
      testDescription: "502 in HTML", script: [.answer(502, "<h1>Bad gateway</h1>", type: "text/html")], code: .llmRefused,
      says: ["502", "<h1>Bad gateway"]),
    Fault(
      testDescription: "a wrong path", script: [.answer(404, "404 page not found", type: "text/plain")], code: .llmRefused,
      says: ["404", "/api/chat", "url"]),
    Fault(
      testDescription: "moved", script: [.answer(301, "", headers: "Location: http://elsewhere\r\n")], code: .llmRefused,
      says: ["moved to http://elsewhere", "url"]),
    Fault(
      testDescription: "the question alone is too long", provider: .openai,
      script: [
        .answer(400, #"{"error":{"message":"request exceeds","type":"exceed_context_size_error","n_prompt_tokens":6031,"n_ctx":4096}}"#)
      ],
      code: .llmTooLong, says: ["6031", "4096", "context_tokens"]),
    Fault(
      testDescription: "closed in mid-stream", script: [.head(), .chunk(Recording.ollamaPiece("Half")), .close], code: .llmCutOff,
      says: ["4 bytes"],
      pieces: ["Half"]),
    Fault(
      testDescription: "reset in mid-stream", provider: .openai, script: [openAIHead, openAIPiece, .reset], code: .llmCutOff,
      says: ["4 bytes"],
      pieces: ["Half"]),
    Fault(
      testDescription: "a proper end of the body without the protocol's last word",
      script: [.head(), .chunk(Recording.ollamaPiece("Half")), .lastChunk], code: .llmCutOff, says: ["last word"], pieces: ["Half"]),
    Fault(
      testDescription: "a body that is cut inside a line", provider: .openai,
      script: [openAIHead, openAIPiece, .chunk("data: {\"choices\":[{\"del"), .lastChunk], code: .llmCutOff, says: ["4 bytes"],
      pieces: ["Half"]),
    Fault(testDescription: "closed before a byte", script: [.close], code: .llmCutOff, says: ["before its first word"]),
    Fault(
      testDescription: "an error line in mid-stream",
      script: [.head(), .chunk(Recording.ollamaPiece("Half")), .chunk(#"{"error":"the runner has died"}"# + "\n"), .lastChunk],
      code: .llmRefused,
      says: ["the runner has died", "4 bytes"], pieces: ["Half"]),
    Fault(
      testDescription: "200 that is HTML", script: [.answer(200, "<html>It works!</html>", type: "text/html")], code: .llmGarbled,
      says: ["<html>It works!", "provider"]),
    Fault(
      testDescription: "200 that is HTML to an OpenAI question", provider: .openai,
      script: [.answer(200, "<html>It works!</html>", type: "text/html")],
      code: .llmGarbled, says: ["<html>It works!", "provider"]),
    Fault(testDescription: "no HTTP at all", script: [.text("220 mail.example ESMTP\r\n"), .close], code: .llmGarbled, says: ["HTTP"]),
    Fault(
      testDescription: "an answer without a word", script: [.head(), .chunk(Recording.ollamaEnd()), .lastChunk], code: .llmGarbled,
      says: ["without a word", "stop"]),
    Fault(
      testDescription: "max_tokens used up for thinking",
      script: [
        .head(), .chunk(#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"# + "\n"),
        .chunk(Recording.ollamaEnd(reason: "length")), .lastChunk,
      ], code: .llmGarbled, says: ["thinking", "max_tokens"]),
    Fault(testDescription: "silence before the first byte", script: [.untilClosed], code: .deadline, says: ["300 ms", "silence_ms"]),
    Fault(
      testDescription: "silence in mid-stream", script: [.head(), .chunk(Recording.ollamaPiece("Half")), .untilClosed], code: .deadline,
      says: ["300 ms", "4 bytes"], pieces: ["Half"]),
  ]

  @Test("each fault of a server has its code and a message to act on, and the next question is answered", arguments: faults)
  func fault(_ fault: Fault) async throws {
    let good: [Step] =
      fault.provider == .ollama
      ? [.head(), .chunk(Recording.ollama), .lastChunk] : [Self.openAIHead, .chunk(Recording.openAI), .lastChunk]
    let server = ScriptedServer([fault.script, good])
    let models = makeModels(fault.provider, url: server.url) { $0.standard.silenceMilliseconds = 300 }
    let (pieces, result) = await Reply(models, #"{"text":"Hi"}"#).whole()
    guard case .failure(let failure) = result else {
      Issue.record("it was answered: \(result)")
      return
    }
    #expect(failure.code == fault.code, "\(failure.message)")
    for part in fault.says + [server.url] { #expect(failure.message.contains(part), "“\(part)” is not in: \(failure.message)") }
    #expect(pieces == fault.pieces)
    let next = try await Reply(models, #"{"text":"Again"}"#).conclusion()
    #expect(next.text == Recording.text)
    #expect(server.requests[1].contents == ["Again"], "a failed question leaves no trace in the history")
    models.stop()
    server.stop()
  }

  @Test("where nobody listens the failure names the address and the remedy")
  func absent() async throws {
    let models = makeModels(.ollama, url: "http://127.0.0.1:1")
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(failure?.code == .llmUnreachable)
    #expect(failure?.message.contains("http://127.0.0.1:1") == true && failure?.message.contains("`ollama serve`") == true)
    let gone = makeModels(.openai, url: "unix:/tmp/no/such.sock")
    let absent = await Reply(gone, #"{"text":"Hi"}"#).failure()
    #expect(absent?.code == .llmUnreachable)
    #expect(absent?.message.contains("unix:/tmp/no/such.sock") == true)
    models.stop()
    gone.stop()
  }

  @Test("a server over a Unix socket answers like any other, on one kept connection")
  func unixSocket() async throws {
    let folder = makeFolder()
    let server = ScriptedServer(socketPath: "\(folder)/llm.sock", [[Self.openAIHead, .chunk(Recording.openAI), .lastChunk]])
    let models = makeModels(.openai, url: server.url)
    for _ in 1...3 {
      let conclusion = try await Reply(models, #"{"text":"Hi","remember":false}"#).conclusion()
      #expect(
        conclusion
          == Conclusion(text: Recording.text, model: "m", finish: "stop", prompt_tokens: 26, completion_tokens: 5, forgotten_turns: 0))
    }
    #expect(Set(server.requests.map(\.connection)).count == 1)
    #expect(server.requests[0].line == "POST /v1/chat/completions HTTP/1.1")
    models.stop()
    server.stop()
  }

  @Test("an answer is whole with its last word, also if the server never ends the body")
  func lingering() async throws {
    let server = ScriptedServer([[.head(), .chunk(Recording.ollama), .untilClosed]])
    let models = makeModels(.ollama, url: server.url)
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == Recording.text)
    models.stop()
    server.stop()
  }
}
