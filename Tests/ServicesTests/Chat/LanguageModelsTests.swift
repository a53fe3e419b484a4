import Foundation
import Kernel
import Testing

@testable import Services

@Suite struct LanguageModelsTests {
  typealias Step = ScriptedServer.Step

  @Test("a question is answered in pieces, and the end holds the whole")
  func answer() async throws {
    let server = ScriptedServer([[.head(), .chunk(Recording.ollama), .lastChunk]])
    let models = makeModels(.ollama, url: server.url)
    let (pieces, result) = await Reply(models, #"{"text":"Hi"}"#, prompt: "You are BRICK").whole()
    #expect(pieces == ["Grüße, ", "Master “Bruce” 🦇"])
    #expect(
      try result.get()
        == Conclusion(text: Recording.text, model: "m", finish: "stop", prompt_tokens: 26, completion_tokens: 5, forgotten_turns: 0))
    #expect(server.requests[0].contents == ["You are BRICK", "Hi"])
    models.stop()
    server.stop()
  }

  @Test("a conversation is remembered by persona and thread, and forgotten on request")
  func history() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    func ask(_ body: String, _ persona: String = "BRICK") async throws -> [String] {
      _ = try await Reply(models, body, persona: persona).conclusion()
      return server.requests.last!.contents
    }
    #expect(try await ask(#"{"text":"1"}"#) == ["1"])
    #expect(try await ask(#"{"text":"2"}"#) == ["1", "A", "2"])
    #expect(try await ask(#"{"text":"x","thread":"other"}"#) == ["x"])
    #expect(try await ask(#"{"text":"y"}"#, "ROBIN") == ["y"])
    #expect(try await ask(#"{"text":"z","remember":false}"#) == ["z"])
    #expect(
      try await ask(#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"q"}],"text":"r"}"#) == ["p", "q", "r"])
    #expect(try await ask(#"{"text":"3","system":"S"}"#) == ["S", "1", "A", "2", "A", "3"])
    models.forget(persona: "BRICK", thread: "main")
    models.forget(persona: "NOBODY", thread: "main")
    #expect(try await ask(#"{"text":"4"}"#) == ["4"])
    #expect(try await ask(#"{"text":"5"}"#, "ROBIN") == ["y", "A", "5"])
    models.stop()
    server.stop()
  }

  @Test("questions on one thread wait for each other, and each knows the answer before it")
  func serialised() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A1"), Recording.ollamaAnswer("A2"), Recording.ollamaAnswer("A3")])
    let models = makeModels(.ollama, url: server.url)
    let replies = (1...3).map { Reply(models, #"{"text":"\#($0)"}"#) }
    for (reply, text) in zip(replies, ["A1", "A2", "A3"]) { #expect(try await reply.conclusion().text == text) }
    #expect(server.requests.map(\.contents) == [["1"], ["1", "A1", "2"], ["1", "A1", "2", "A2", "3"]])
    models.stop()
    server.stop()
  }

  @Test("at most four questions are with the server at a time")
  func bounded() async throws {
    let gate = ScriptedServer.Gate()
    let server = ScriptedServer([[.wait(gate)] + Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    // Nobody waits for five of them, which leave a slot for the sixth.
    let replies = (1...6).map { number in
      Reply(models, #"{"text":"\#(number)","remember":false}"#, change: { $0.isInteractive = number == 6 })
    }
    var events = server.events.makeAsyncIterator()
    for _ in 1...4 { _ = await events.next() }
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.requests == 6 && statistics.running == 4 && statistics.waiting == 2)
    #expect(server.requests.count == 4)
    for _ in 1...6 { gate.open() }
    for reply in replies { _ = try await reply.conclusion() }
    models.stop()
    server.stop()
  }

  @Test("cancel closes the connection at once, and leaves the history as it was", arguments: [false, true])
  func cancel(_ isStreaming: Bool) async throws {
    let start: [Step] = isStreaming ? [.head(), .chunk(Recording.ollamaPiece("Half"))] : []
    let server = ScriptedServer([start + [.untilClosed], Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    let reply = Reply(models, #"{"text":"1"}"#)
    var seen = server.events.makeAsyncIterator()
    var answer = reply.events.makeAsyncIterator()
    guard case .request? = await seen.next() else {
      Issue.record("no request")
      return
    }
    if isStreaming { _ = await answer.next() }
    let cancelled = ContinuousClock.now
    reply.call.cancel()
    guard case .closed(let closed)? = await seen.next() else {
      Issue.record("the server does not see it")
      return
    }
    // How long it took is a figure, not a claim: on a busy machine the threads may have to wait. Usually 1 ms.
    print("cancel to close: \(closed - cancelled)")
    guard case .finished(.failure(let failure))? = await answer.next() else {
      Issue.record("it did not end")
      return
    }
    #expect(failure.code == .cancelled)
    reply.call.cancel()
    #expect(try await Reply(models, #"{"text":"2"}"#).conclusion().text == "A")
    #expect(server.requests[1].contents == ["2"])
    models.stop()
    server.stop()
  }

  @Test("a waiting question that is cancelled ends at once and is never sent")
  func cancelWaiting() async throws {
    let gate = ScriptedServer.Gate()
    let server = ScriptedServer([[.wait(gate)] + Recording.ollamaAnswer("A1"), Recording.ollamaAnswer("A3")])
    let models = makeModels(.ollama, url: server.url)
    let replies = (1...3).map { Reply(models, #"{"text":"\#($0)"}"#) }
    replies[1].call.cancel()
    #expect(await replies[1].failure()?.code == .cancelled)
    gate.open()
    _ = try await replies[0].conclusion()
    _ = try await replies[2].conclusion()
    #expect(server.requests.map(\.contents) == [["1"], ["1", "A1", "3"]])
    models.stop()
    server.stop()
  }

  @Test("a history over the window loses its oldest turns, and the answer says how many")
  func trimmed() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 300)])
    let models = makeModels(.ollama, url: server.url) { $0.standard.contextTokens = 1024 }
    let long = String(repeating: "word ", count: 200)
    var forgotten: [Int] = []
    for number in 1...6 {
      forgotten.append(try await Reply(models, #"{"text":"\#(number) \#(long)"}"#).conclusion().forgotten_turns)
      #expect(server.requests.last!.contents.last?.hasPrefix("\(number) ") == true)
    }
    #expect(forgotten.first == 0 && forgotten.last! > 0 && forgotten == forgotten.sorted())
    let last = server.requests.last!.contents
    #expect(last.count + 2 * forgotten.last! == 11, "what was not sent was counted")
    models.stop()
    server.stop()
  }

  @Test("a history that the server finds too long is sent again with less of it")
  func refit() async throws {
    let tooLong = Step.answer(400, #"{"error":{"message":"maximum context length is 100 tokens","code":"context_length_exceeded"}}"#)
    let good: [Step] = [.head("text/event-stream"), .chunk(Recording.openAI), .lastChunk]
    let server = ScriptedServer([good, good, good, [tooLong], good])
    let models = makeModels(.openai, url: server.url)
    for number in 1...3 { _ = try await Reply(models, #"{"text":"\#(number)"}"#).conclusion() }
    let conclusion = try await Reply(models, #"{"text":"4"}"#).conclusion()
    #expect(conclusion.forgotten_turns == 2)
    #expect(server.requests.map(\.contents.count) == [1, 3, 5, 7, 3])
    #expect(server.requests[4].contents == ["3", Recording.text, "4"])
    models.stop()
    server.stop()
  }

  @Test("that Ollama has dropped the front of a prompt is reported")
  func cutByServer() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 1024)])
    let models = makeModels(.ollama, url: server.url) { $0.standard.contextTokens = 1024 }
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().cut_by_server == true)
    models.stop()
    server.stop()
  }

  @Test("a question that cannot fit is refused before it is sent")
  func tooLong() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    let failure = await Reply(models, #"{"text":"\#(String(repeating: "word ", count: 6000))"}"#).failure()
    #expect(failure?.code == .llmTooLong)
    #expect(failure?.message.contains("4096") == true)
    #expect(server.requests.isEmpty)
    models.stop()
    server.stop()
  }

  @Test("stop ends every question as retired, and so does asking afterwards")
  func stop() async throws {
    let server = ScriptedServer([[.untilClosed]])
    let models = makeModels(.ollama, url: server.url)
    let replies = (1...6).map { Reply(models, #"{"text":"\#($0)","remember":false}"#) }
    var events = server.events.makeAsyncIterator()
    _ = await events.next()
    models.stop()
    for reply in replies { #expect(await reply.failure()?.code == .retired) }
    #expect(await Reply(models, #"{"text":"late"}"#).failure()?.code == .retired)
    models.forget(persona: "BRICK", thread: "main")
    server.stop()
  }

  @Test("a service that was never asked has no thread to stop")
  func unused() throws {
    let models = makeModels(.local, model: nil)
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.provider == "local" && statistics.local?.state == "stopped")
    models.stop()
  }

  @Test("a changed configuration meets the next question, and the history stays")
  func configure() async throws {
    let first = ScriptedServer([Recording.ollamaAnswer("A")])
    let second = ScriptedServer([[.head("text/event-stream"), .chunk(Recording.openAI), .lastChunk]])
    let models = makeModels(.ollama, url: first.url)
    _ = try await Reply(models, #"{"text":"1"}"#).conclusion()
    var configuration = LanguageConfiguration()
    configuration.standard.kind = .openai
    configuration.standard.url = second.url
    configuration.standard.model = "other"
    models.configure(configuration)
    #expect(try await Reply(models, #"{"text":"2"}"#).conclusion().text == Recording.text)
    #expect(second.requests[0].contents == ["1", "A", "2"])
    models.stop()
    first.stop()
    second.stop()
  }

  @Test("the counters add up")
  func statistics() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A"), [.answer(500, "{}")]])
    let models = makeModels(.ollama, url: server.url)
    _ = try await Reply(models, #"{"text":"1"}"#).conclusion()
    _ = await Reply(models, #"{"text":"2"}"#).failure()
    _ = await Reply(models, #"{"text":"3","provider":"nonsense"}"#).failure()
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.requests == 3 && statistics.answered == 1)
    #expect(statistics.failures == ["llm_refused": 1, "invalid": 1])
    #expect(statistics.prompt_tokens == 26 && statistics.completion_tokens == 2)
    let usage = statistics.personas.values.reduce(into: (requests: 0, answered: 0, tokens: 0)) {
      $0 = ($0.requests + $1.requests, $0.answered + $1.answered, $0.tokens + $1.prompt_tokens + $1.completion_tokens)
    }
    #expect(usage == (3, 1, 28))
    #expect(statistics.first_piece_ms.last != nil && statistics.conversations == 1)
    #expect(statistics.url == server.url && statistics.waiting == 0 && statistics.running == 0)
    models.stop()
    server.stop()
  }
}
