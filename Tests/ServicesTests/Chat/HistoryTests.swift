import Foundation
import Kernel
import Protocol
import Testing
import Wire

@testable import Services

@Suite struct HistoryTests {
  private let long = String(repeating: "word ", count: 200)

  private func order(_ models: LanguageModels, _ order: HistoryRequest) async throws -> JSON {
    let json = await withCheckedContinuation { continuation in models.history(order) { continuation.resume(returning: $0) } }
    return try JSON(parsing: json.get())
  }

  @Test("a conversation outlives the service")
  func outlives() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let folder = makeFolder()
    for number in 1...3 {
      let models = makeModels(.ollama, url: server.url, data: folder)
      #expect(try await Reply(models, #"{"text":"\#(number)"}"#).conclusion().history_failed == nil)
      models.stop()
    }
    #expect(server.requests[2].contents == ["1", "A", "2", "A", "3"])
    server.stop()
  }

  @Test("an answer that cannot be kept is delivered all the same, says so, and is counted")
  func undeliverable() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url, data: "/proc/none")
    for number in 1...2 {
      let conclusion = try await Reply(models, #"{"text":"\#(number)"}"#).conclusion()
      #expect(conclusion.text == "A" && conclusion.history_failed == true)
    }
    #expect(server.requests[1].contents == ["1", "A", "2"], "what is in memory goes along")
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.history_failures > 0)
    models.stop()
    server.stop()
  }

  /// Asks until the model has been asked for a summary.
  private func talk(_ models: LanguageModels, _ server: ScriptedServer, isSummary: (ScriptedServer.Request) -> Bool) async throws {
    var number = 0
    while !server.requests.contains(where: isSummary) {
      number += 1
      try #require(number < 40)
      _ = try await Reply(models, #"{"text":"\#(number) \#(long)"}"#, prompt: "You are BRICK").conclusion()
    }
  }

  private func isSummary(_ request: ScriptedServer.Request) -> Bool { request.contents.first?.contains("memory of a conversation") == true }

  @Test("older turns are summarised by the model in the background, and the summary goes along in their place, marked as such")
  func summarised() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 300)])
    let models = makeModels(.ollama, url: server.url) { $0.standard.contextTokens = 1536 }
    try await talk(models, server, isSummary: isSummary)
    let asked = try #require(server.requests.first(where: isSummary))
    #expect(asked.contents.count == 2 && asked.contents[1].contains("user: 1 word") && asked.contents[1].contains("assistant: A"))
    // The summary has been asked for when its turn was answered; the next answer of this conversation may come before it.
    var conclusion: Conclusion
    repeat {
      conclusion = try await Reply(models, #"{"text":"then"}"#, prompt: "You are BRICK").conclusion()
    } while conclusion.summarised_turns == nil
    let count = try #require(conclusion.summarised_turns)
    #expect(count > 1 && count <= conclusion.forgotten_turns)
    #expect(server.requests.last(where: { !isSummary($0) })?.contents[0] == "You are BRICK\n\nSummary of \(count) earlier turns: A")
    let kept = try await order(models, .get(persona: "BRICK", thread: "main", last: nil))
    #expect(kept["summary"] == "A" && kept["turns"]?.array?.count == kept["total_turns"]?.int)
    #expect(kept["turns"]?.array?.first?["number"] == 1, "what is summarised is still there")
    #expect(server.requests.filter(isSummary).count < conclusion.forgotten_turns)
    models.stop()
    server.stop()
  }

  @Test("nothing is summarised where that is switched off")
  func unsummarised() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 300)])
    let models = makeModels(.ollama, url: server.url) {
      $0.standard.contextTokens = 1536
      $0.summarises = false
    }
    var forgotten = 0
    while forgotten < 2 * Summarising.every {
      forgotten = try await Reply(models, #"{"text":"\#(long)"}"#).conclusion().forgotten_turns
    }
    #expect(!server.requests.contains(where: isSummary))
    models.stop()
    server.stop()
  }

  @Test("a summary far over its limit is cut, and the conversation goes on")
  func endlessSummary() async throws {
    let endless = String(repeating: "and so on, ", count: 10_000)
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 300), Recording.ollamaAnswer(endless)]) { request, _ in
      request.contents.first?.contains("memory of a conversation") == true ? 2 : 1
    }
    let models = makeModels(.ollama, url: server.url) { $0.standard.contextTokens = 1536 }
    try await talk(models, server, isSummary: isSummary)
    var conclusion: Conclusion
    repeat {
      conclusion = try await Reply(models, #"{"text":"then"}"#, prompt: "You are BRICK").conclusion()
    } while conclusion.summarised_turns == nil
    let kept = try await order(models, .get(persona: "BRICK", thread: "main", last: nil))
    let summary = try #require(kept["summary"]?.string)
    #expect(summary.hasPrefix("and so on, and") && summary.hasSuffix("…") && summary.utf8.count < 4000)
    models.stop()
    server.stop()
  }

  @Test("a summary that is too long in the file takes the question's place in no prompt, and in no further summary")
  func poisonedSummary() throws {
    let summary = Conversation.Summary(text: String(repeating: "é, ", count: 100_000), turns: 4)
    #expect(summary.cut(to: 1000).text.utf8.count <= 1003 && summary.cut(to: 1_000_000) == summary)
    #expect(summary.cut(to: 1).text == "…" && summary.cut(to: -5).text == "…")
    var builder = PromptBuilder()
    var conversation = Conversation(thread: 1, estimate: TokenEstimate())
    (conversation.summary, conversation.dropped) = (summary, 4)
    builder.open(conversation)
    var provider = ProviderConfiguration()
    (provider.kind, provider.model, provider.contextTokens) = (.ollama, "m", 1536)
    let server = ModelServer(provider, localSocket: "/model.sock") { _ in nil }
    let question = try ChatQuestion(.init(persona: "BRICK", prompt: "S", request: ChatRequest(Array(#"{"text":"Hi"}"#.utf8), of: "BRICK")))
    let draft = try builder.draft(question, [], for: server, learnt: TokenEstimate())
    #expect(draft.prompt.summarised == 4 && draft.prompt.estimated < 1536 / 2)
    let asked = LanguageQuestion(persona: "BRICK", prompt: "", request: ChatRequest(text: "?"))
    let occasion = Summariser.Occasion(thread: 1, asked: asked, provider: "default", model: nil, window: 1536, estimate: TokenEstimate())
    let next = try #require(Summarising(of: occasion, summary, (1...9).map { PromptTests.turn("\($0) ") }, window: 1536))
    #expect(next.turns > 4 && next.request.text!.utf8.count < 1536 * 3)
  }

  @Test("a turn that is too long for the summary's own question goes in part, and what is left waits for the next summary")
  func parts() {
    let turns = (1...9).map { PromptTests.turn("\($0) ", bytes: 1500) }
    let summary = Conversation.Summary(text: "before", turns: 7)
    func task(_ turns: [Turn], window: Int) -> Summarising? {
      let asked = LanguageQuestion(persona: "BRICK", prompt: "", request: ChatRequest(text: "?"))
      return Summarising(
        of: .init(thread: 1, asked: asked, provider: "default", model: nil, window: window, estimate: TokenEstimate()), summary, turns,
        window: window)
    }
    #expect(task(Array(turns.prefix(Summarising.every - 1)), window: 4096) == nil)
    let some = task(turns, window: 4096)
    #expect(some.map { $0.turns > 8 && $0.turns < 7 + 9 } == true)
    #expect(some?.request.text?.contains("before") == true)
    let one = task(turns, window: 512)
    #expect(one?.turns == 8)
    #expect((one?.request.text?.utf8.count ?? .max) < 512 * 3)
  }

  @Test("conversations are listed, read, exported and forgotten")
  func orders() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url, clock: { 1_700_000_000_000 })
    for (persona, thread) in [("BRICK", "main"), ("BRICK", "other"), ("ROBIN", "main")] {
      _ = try await Reply(models, #"{"text":"hello","thread":"\#(thread)"}"#, persona: persona).conclusion()
    }
    _ = try await Reply(models, #"{"text":"again"}"#, persona: "ROBIN").conclusion()
    let all = try await order(models, .list(persona: nil))["threads"]?.array ?? []
    #expect(all.count == 3)
    let robin = try await order(models, .list(persona: "ROBIN"))["threads"]?.array ?? []
    #expect(robin.count == 1 && robin[0]["turns"] == 2 && robin[0]["used_ms"] == 1_700_000_000_000)
    let last = try await order(models, .get(persona: "ROBIN", thread: "main", last: 1))
    #expect(last["total_turns"] == 2 && last["turns"]?.array?.count == 1)
    #expect(
      last["turns"]?.array?[0]["messages"] == [["role": "user", "content": "again"], ["role": "assistant", "content": "A"]])
    #expect(last["turns"]?.array?[0]["model"] == "m" && last["turns"]?.array?[0]["prompt_tokens"] == 26)

    let json = try await order(models, .export(persona: "ROBIN", thread: "main", last: nil, .json))["text"]?.string ?? ""
    let whole = try await order(models, .get(persona: "ROBIN", thread: "main", last: nil))
    #expect(try JSON(parsing: json.utf8) == whole)
    let markdown = try await order(models, .export(persona: "ROBIN", thread: "main", last: nil, .markdown))["text"]?.string ?? ""
    #expect(markdown.hasPrefix("# ROBIN, main\n") && markdown.contains("**user**\n\nagain\n\n**ROBIN**\n\nA\n"))

    #expect(try await order(models, .forget(persona: "BRICK", thread: "other")) == ["threads": 1, "turns": 1])
    #expect(try await order(models, .forget(persona: "BRICK", thread: nil)) == ["threads": 1, "turns": 1])
    #expect(try await order(models, .forget(persona: "BRICK", thread: nil)) == ["threads": 0, "turns": 0])
    let failure = await #expect(throws: Failure.self) { try await order(models, .get(persona: "ROBIN", thread: "mian", last: nil)) }
    #expect(failure?.code == .notFound && failure?.message.contains("it has main") == true)
    models.stop()
    server.stop()
  }
}
