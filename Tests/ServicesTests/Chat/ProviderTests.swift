import Foundation
import Kernel
import Protocol
import System
import Testing

@testable import Services

/// Several providers, played by scripted servers over real connections.
@Suite struct ProviderTests {
  typealias Step = ScriptedServer.Step

  static let good = [Step.head("text/event-stream"), .chunk(Recording.openAI), .lastChunk]

  /// `[llm]` is the first server (Ollama's), "cloud" the second (OpenAI-compatible).
  func models(_ first: ScriptedServer, _ second: ScriptedServer, _ change: (inout LanguageConfiguration) -> Void = { _ in })
    -> LanguageModels
  {
    makeModels(.ollama, url: first.url) {
      var cloud = ProviderConfiguration()
      cloud.kind = .openai
      cloud.url = second.url
      cloud.model = "big"
      cloud.retries = 0
      $0.providers["cloud"] = cloud
      change(&$0)
    }
  }

  func statistics(_ models: LanguageModels) throws -> LanguageStatistics {
    try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
  }

  @Test("a persona is answered by the provider that its part names, and the answer says so")
  func perPersona() async throws {
    let (first, second) = (ScriptedServer([Recording.ollamaAnswer("A")]), ScriptedServer([Self.good]))
    let models = models(first, second)
    let brick = try await Reply(models, #"{"text":"1"}"#, overrides: .init(provider: "cloud")).conclusion()
    #expect(brick.provider == "cloud" && brick.text == Recording.text)
    #expect(second.requests.last?.json["model"] as? String == "big")
    _ = try await Reply(models, #"{"text":"2"}"#, overrides: .init(model: "small", provider: "cloud")).conclusion()
    #expect(second.requests.last?.json["model"] as? String == "small")
    #expect(second.requests.last?.contents == ["1", Recording.text, "2"], "the conversation is the persona's, not the provider's")
    let robin = try await Reply(models, #"{"text":"3"}"#, persona: "ROBIN").conclusion()
    #expect(robin.provider == "default" && robin.text == "A")
    let chosen = try await Reply(models, #"{"text":"4","provider":"cloud"}"#, persona: "ROBIN", overrides: .init(model: "m2")).conclusion()
    #expect(chosen.provider == "cloud")
    #expect(second.requests.last?.json["model"] as? String == "big", "the persona's model is one of its own provider")
    let refused = await Reply(models, #"{"text":"5","provider":"cluod"}"#).failure()
    #expect(refused?.code == .invalid && refused?.message.contains("cloud, default, local") == true)
    let counted = try statistics(models).providers
    #expect(counted["cloud"]?.answered == 3 && counted["default"]?.answered == 1)
    models.stop()
  }

  struct CLIError: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var script: [Step]
    var goesOn: Bool
  }
  static let troubles: [CLIError] = [
    CLIError(testDescription: "no such model", script: [.answer(404, #"{"error":"model 'm' not found"}"#)], goesOn: true),
    CLIError(testDescription: "500", script: [.answer(500, "{}")], goesOn: true),
    CLIError(testDescription: "429", script: [.answer(429, "{}", headers: "Retry-After: 60\r\n")], goesOn: true),
    CLIError(testDescription: "closed before a byte", script: [.close], goesOn: true),
    CLIError(testDescription: "a refused key", script: [.answer(401, "{}")], goesOn: false),
    CLIError(testDescription: "a refused question", script: [.answer(400, "{}")], goesOn: false),
    CLIError(testDescription: "cut off after a word", script: [.head(), .chunk(Recording.ollamaPiece("Half")), .close], goesOn: false),
  ]

  @Test("a fallback answers when the first cannot begin to, and never after a word or for the question's own fault", arguments: troubles)
  func fallback(_ trouble: CLIError) async throws {
    let (first, second) = (ScriptedServer([trouble.script]), ScriptedServer([Self.good]))
    let models = models(first, second) { $0.fallbacks = ["cloud/tiny"] }
    let result = await Reply(models, #"{"text":"Hi"}"#).whole().result
    if trouble.goesOn {
      #expect(try result.get().provider == "cloud" && result.get().text == Recording.text)
      #expect(second.requests.last?.json["model"] as? String == "tiny")
      #expect(try statistics(models).providers["default"]?.fallbacks == 1)
    } else {
      #expect(throws: Failure.self) { try result.get() }
      #expect(second.requests.isEmpty)
    }
    models.stop()
  }

  @Test("a persona may have other fallbacks than [llm] says, or none")
  func ownFallbacks() async throws {
    let (first, second) = (ScriptedServer([[.answer(500, "{}")]]), ScriptedServer([Self.good]))
    let models = models(first, second) { $0.fallbacks = ["cloud"] }
    #expect(await Reply(models, #"{"text":"Hi"}"#, overrides: .init(fallbacks: [])).failure()?.code == .llmRefused)
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().provider == "cloud")
    models.stop()
  }

  @Test("where nobody can answer, the failure tells what each of them said")
  func nobody() async throws {
    let models = makeModels(.ollama, url: "http://127.0.0.1:1") {
      $0.providers["cloud"] = ProviderConfiguration()
      $0.providers["cloud"]?.kind = .openai
      $0.providers["cloud"]?.url = "http://127.0.0.1:2/v1"
      $0.providers["cloud"]?.model = "big"
      $0.providers["cloud"]?.retries = 0
      $0.fallbacks = ["cloud"]
    }
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(failure?.code == .llmUnreachable)
    for part in ["127.0.0.1:1 ", "127.0.0.1:2/v1", "[llm] url", "[llm.providers.cloud] url"] {
      #expect(failure?.message.contains(part) == true, "\(part): \(failure?.message ?? "")")
    }
    models.stop()
  }

  @Test("what fails before its first word is sent again after a while, and the asker sees one answer")
  func retry() async throws {
    let server = ScriptedServer([[.answer(503, "{}")], [.answer(502, "{}")], Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url) { $0.standard.retries = 2 }
    let (pieces, result) = await Reply(models, #"{"text":"Hi"}"#).whole()
    #expect(pieces == ["A"])
    #expect(try result.get().text == "A")
    #expect(server.requests.count == 3)
    let counted = try statistics(models)
    #expect(counted.requests == 1 && counted.providers["default"]?.sent == 3 && counted.providers["default"]?.retries == 2)
    models.stop()
  }

  @Test("a retry that cannot come in time is not waited for")
  func noTime() async throws {
    let server = ScriptedServer([[.answer(503, "{}", headers: "Retry-After: 15\r\n")]])
    let models = makeModels(.ollama, url: server.url) { $0.standard.retries = 2 }
    let failure = await Reply(models, #"{"text":"Hi"}"#) { $0.deadline = MachineClock.nowMilliseconds() + 10_000 }.failure()
    #expect(failure?.code == .llmRefused && server.requests.count == 1)
    models.stop()
  }

  @Test("what a person waits for passes what nobody waits for")
  func interactive() async throws {
    let gate = ScriptedServer.Gate()
    let server = ScriptedServer([[.wait(gate)] + Recording.ollamaAnswer("A"), Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url) { $0.standard.parallel = 1 }
    func ask(_ text: String, _ isInteractive: Bool) -> Reply {
      Reply(models, #"{"text":"\#(text)","remember":false}"#) { $0.isInteractive = isInteractive }
    }
    let replies = [ask("1", false), ask("2", false), ask("3", true)]
    gate.open()
    for reply in replies { _ = try await reply.conclusion() }
    #expect(server.requests.map(\.contents) == [["1"], ["3"], ["2"]])
    models.stop()
  }

  @Test("a question whose time is over is not sent, and ends with the deadline")
  func overdue() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    let failure = await Reply(models, #"{"text":"Hi"}"#) { $0.deadline = MachineClock.nowMilliseconds() - 1 }.failure()
    #expect(failure?.code == .deadline && server.requests.isEmpty)
    models.stop()
  }

  @Test("one that is cancelled while it waits to be sent again ends, and leaves its place to the next")
  func cancelRetry() async throws {
    let server = ScriptedServer([[.answer(503, "{}", headers: "Retry-After: 20\r\n")], Recording.ollamaAnswer("B")])
    var configuration = LanguageConfiguration()
    configuration.standard.kind = .ollama
    configuration.standard.url = server.url
    configuration.standard.model = "m"
    let waits = DispatchSemaphore(value: 0)
    let models = LanguageModels(configuration, runtimeFolder: "/tmp", dataFolder: nil) { _, line in
      if line.contains("asked again") { waits.signal() }
    }
    let waiting = Reply(models, #"{"text":"1"}"#)
    let next = Reply(models, #"{"text":"2"}"#)
    // A thread of its own: on a busy machine a task may come to its turn after those 20 s.
    let call = waiting.call
    Thread {
      waits.wait()
      call.cancel()
    }.start()
    #expect(await waiting.failure()?.code == .cancelled)
    #expect(try await next.conclusion().text == "B")
    #expect(server.requests.map(\.contents) == [["1"], ["2"]], "it was not sent again")
    models.stop()
  }

  @Test("a server that fails again and again is left in peace, and stats say so")
  func breaker() async throws {
    let (first, second) = (ScriptedServer([[.answer(500, "{}")]]), ScriptedServer([Self.good]))
    let models = models(first, second)
    let started = MachineClock.nowMilliseconds()
    for _ in 1...Breaker.limit { _ = await Reply(models, #"{"text":"Hi"}"#).failure() }
    #expect(try statistics(models).providers["default"]?.breaker == "open")
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    // On a machine so slow that the pause is over, one question may try: that it does is a claim of BreakerTests.
    func mayHaveTried() -> Bool { MachineClock.nowMilliseconds() - started >= Breaker.firstPause }
    #expect(failure?.code == .llmUnreachable && failure?.message.contains("left in peace") == true || mayHaveTried())
    let answer = try await Reply(models, #"{"text":"Hi"}"#, overrides: .init(fallbacks: ["cloud"])).conclusion()
    #expect(answer.provider == "cloud")
    #expect(first.requests.count == Breaker.limit || mayHaveTried(), "it was not asked any more")
    models.stop()
  }

  @Test("the key may stand in a file, which nobody else may read")
  func keyFile() async throws {
    let server = ScriptedServer([Self.good])
    let path = makeFolder() + "/key"
    _ = FileManager.default.createFile(atPath: path, contents: Data("sk-secret\n".utf8), attributes: [.posixPermissions: 0o640])
    let models = makeModels(.openai, url: server.url) { $0.standard.apiKeyFile = path }
    let refused = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(refused?.code == .llmRefused)
    #expect(refused?.message.contains("mode 640") == true && refused?.message.contains("chmod 600 \(path)") == true)
    chmod(path, 0o600)
    var configuration = LanguageConfiguration()
    configuration.standard.kind = .openai
    configuration.standard.url = server.url
    configuration.standard.model = "m"
    configuration.standard.apiKeyFile = path
    models.configure(configuration)
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == Recording.text)
    #expect(server.requests.last?.head.contains("Authorization: Bearer sk-secret") == true)
    models.stop()
    #expect(ServerKey(file: path + "x").obstacle(section: "llm")?.contains("No such file") == true)
    #expect(ServerKey(file: "/tmp").obstacle(section: "llm")?.contains("is no file") == true)
  }

  struct Survey: Decodable {
    struct Entry: Decodable {
      var name, provider: String
      var models: [String]?
      var error: String?
    }
    var providers: [Entry]
  }

  func survey(_ models: LanguageModels, _ provider: String?) async throws -> [Survey.Entry] {
    let result: Result<[UInt8], Failure> = await withCheckedContinuation { done in
      models.models(of: provider) { done.resume(returning: $0) }
    }
    return try JSONDecoder().decode(Survey.self, from: Data(try result.get())).providers
  }

  @Test("each provider tells its models in its own way, and one that fails does not hide the others")
  func surveys() async throws {
    let first = ScriptedServer([[.answer(200, #"{"models":[{"name":"llama3.2:latest","size":1},{"name":"a"}]}"#)]])
    let second = ScriptedServer([[.answer(200, #"{"object":"list","data":[{"id":"big"},{"id":"tiny"}]}"#)], [.answer(500, "{}")]])
    let models = models(first, second)
    let all = try await survey(models, nil)
    #expect(all.map(\.name) == ["cloud", "default"])
    #expect(all.map(\.models) == [["big", "tiny"], ["a", "llama3.2:latest"]])
    #expect(first.requests[0].line == "GET /api/tags HTTP/1.1" && second.requests[0].line == "GET /v1/models HTTP/1.1")
    let failed = try await survey(models, "cloud")
    #expect(failed.count == 1 && failed[0].models == nil && failed[0].error?.contains("HTTP 500") == true)
    #expect(try await survey(models, "local").first?.models == ["local"], "the kernel's own model is not started for that")
    await #expect(throws: Failure.self) { try await survey(models, "cluod") }
    models.stop()
  }

  @Test("a persona has counters for each of its generations: tokens, latency, rate")
  func generations() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    for generation in [1, 2, 2] { _ = try await Reply(models, #"{"text":"Hi"}"#) { $0.generation = generation }.conclusion() }
    let usage = try #require(try statistics(models).personas["BRICK"])
    #expect(usage.requests == 3 && usage.generations?["1"]?.answered == 1 && usage.generations?["2"]?.answered == 2)
    #expect(usage.generations?["2"]?.completion_tokens == 4 && usage.generations?["1"]?.first_piece_ms.last != nil)
    var rate = LanguageUsage()
    rate.addRate(tokens: 50, milliseconds: 1000)
    rate.addRate(tokens: 100, milliseconds: 1000)
    #expect(rate.tokens_per_s == 75)
    models.stop()
  }
}
