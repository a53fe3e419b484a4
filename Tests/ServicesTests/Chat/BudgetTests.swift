import Foundation
import Kernel
import Protocol
import Synchronization
import Testing

@testable import Services

@Suite struct BudgetTests {
  /// Noon, so that no time zone's midnight is near enough to matter in an hour.
  private static let noon: Int64 = {
    let day = CalendarDay(at: 1_700_000_000_000)
    return (day.begin + day.end) / 2
  }()

  private func need(_ persona: String, _ reading: Int, _ answering: Int = 0) -> Budget.Need {
    Budget.Need(persona: persona, reading: reading, answering: answering)
  }

  @Test("days follow each other without a gap, each ends where the next one begins, also where clocks are changed")
  func days() {
    var day = CalendarDay(at: Self.noon)
    for _ in 1...400 {
      let next = CalendarDay(at: day.end)
      #expect(CalendarDay(at: day.end - 1) == day && next.begin == day.end && next.name > day.name)
      #expect((23...25).contains((day.end - day.begin) / 3_600_000))
      day = next
    }
  }

  @Test("what is set aside is gone for others, and what it has cost stays gone")
  func reserved() throws {
    var budget = Budget(CalendarDay(at: Self.noon), spent: ["A": 100])
    try budget.reserve(1, need("A", 500, 200), limit: 1000, totalLimit: nil)
    let failure = #expect(throws: Failure.self) { try budget.reserve(2, need("A", 150, 51), limit: 1000, totalLimit: nil) }
    #expect(failure?.code == .llmBudget)
    for words in ["about 201 tokens (150 to read, up to 51 to answer)", "200 are left", "1000 for A", budget.day.endText] {
      #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
    }
    try budget.reserve(2, need("A", 150, 50), limit: 1000, totalLimit: nil)
    budget.settle(1, tokens: 300)
    #expect(budget.spent == ["A": 400])
    try budget.reserve(3, need("A", 400), limit: 1000, totalLimit: nil)
    budget.settle(2, tokens: 0)
    budget.settle(2, tokens: 50)
    #expect(budget.spent == ["A": 400], "what was settled is settled")
  }

  @Test("a question that is sent again has its tokens set aside once")
  func again() throws {
    var budget = Budget(CalendarDay(at: Self.noon), spent: [:])
    for _ in 1...3 { try budget.reserve(1, need("A", 900), limit: 1000, totalLimit: 1000) }
    #expect(throws: Failure.self) { try budget.reserve(2, need("B", 200), limit: nil, totalLimit: 1000) }
  }

  @Test("all personas together have a limit, too, and a new day has all of both")
  func together() throws {
    var budget = Budget(CalendarDay(at: Self.noon), spent: ["A": 600, "B": 300])
    let failure = #expect(throws: Failure.self) { try budget.reserve(1, need("C", 101), limit: 5000, totalLimit: 1000) }
    #expect(failure?.message.contains("[llm] tokens_per_day") == true && failure?.message.contains("100 are left") == true)
    try budget.reserve(1, need("C", 100), limit: 5000, totalLimit: 1000)
    budget.begin(CalendarDay(at: budget.day.end), spent: [:])
    try budget.reserve(2, need("C", 900), limit: 5000, totalLimit: 1000)
    budget.settle(1, tokens: 70)
    #expect(budget.spent == ["C": 70], "what runs over midnight is spent when it ends")
  }

  /// A clock that the test moves.
  private final class Clock: Sendable {
    let value: Mutex<Int64>
    init(_ start: Int64) { value = Mutex(start) }
  }

  @Test("a persona that has spent its day is told so before anything is sent; the next day, and others, go on; a restart changes nothing")
  func spentDay() async throws {
    // 26 tokens read and 2 written each.
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    let folder = makeFolder()
    let clock = Clock(Self.noon)
    let overrides = { () -> LanguageOverrides in
      var overrides = LanguageOverrides(maxTokens: 10)
      overrides.tokensPerDay = 60
      return overrides
    }()
    func start() -> LanguageModels {
      makeModels(.ollama, url: server.url, data: folder, { $0.tokensPerDay = 500 }, clock: { clock.value.withLock { $0 } })
    }
    func ask(_ models: LanguageModels, _ persona: String = "BRICK") -> Reply {
      Reply(models, #"{"text":"hello","remember":false}"#, persona: persona, overrides: overrides)
    }
    var models = start()
    for _ in 1...2 { _ = try await ask(models).conclusion() }
    let failure = await ask(models).failure()
    #expect(failure?.code == .llmBudget && failure?.message.contains("4 are left") == true, "\(failure?.message ?? "")")
    _ = try await ask(models, "ROBIN").conclusion()
    models.stop()

    models = start()
    #expect(await ask(models).failure()?.code == .llmBudget)
    #expect(server.requests.count == 3)
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.budget?.spent == 84 && statistics.budget?.limit == 500)
    #expect(statistics.budget?.personas["BRICK"]?.spent == 56 && statistics.budget?.personas["BRICK"]?.limit == 60)
    clock.value.withLock { $0 = CalendarDay(at: $0).end }
    _ = try await ask(models).conclusion()
    models.stop()
    server.stop()
  }

  @Test("questions that run together do not spend the same rest, and one that fails before its first word gives back what was set aside")
  func atOnce() async throws {
    let gate = ScriptedServer.Gate()
    let server = ScriptedServer([[.wait(gate), .answer(500, "{}")], Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    var overrides = LanguageOverrides(maxTokens: 30)
    overrides.tokensPerDay = 60
    let first = Reply(models, #"{"text":"1","remember":false}"#, overrides: overrides)
    var events = server.events.makeAsyncIterator()
    _ = await events.next()
    #expect(await Reply(models, #"{"text":"2","remember":false}"#, overrides: overrides).failure()?.code == .llmBudget)
    gate.open()
    #expect(await first.failure()?.code == .llmRefused)
    _ = try await Reply(models, #"{"text":"3","remember":false}"#, overrides: overrides).conclusion()
    models.stop()
    server.stop()
  }

  @Test("an answer that is broken off costs what came of it")
  func brokenOff() async throws {
    let server = ScriptedServer([[.head(), .chunk(Recording.ollamaPiece("Half of it")), .close]])
    let models = makeModels(.ollama, url: server.url)
    #expect(await Reply(models, #"{"text":"1"}"#).failure()?.code == .llmCutOff)
    let statistics = try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
    #expect(statistics.budget?.personas["BRICK"].map { $0.spent > 5 && $0.spent < 20 } == true, "\(statistics.budget as Any)")
    models.stop()
    server.stop()
  }

  @Test("what one question may cost bounds the history that goes along and the answer, and one that is too dear is refused")
  func perQuestion() async throws {
    let server = ScriptedServer([Recording.ollamaAnswer("A", promptTokens: 300)])
    let models = makeModels(.ollama, url: server.url)
    var overrides = LanguageOverrides()
    overrides.tokensPerQuestion = 800
    let long = String(repeating: "word ", count: 200)
    var forgotten = 0
    for _ in 1...5 {
      forgotten = try await Reply(models, #"{"text":"\#(long)"}"#, overrides: overrides).conclusion().forgotten_turns
      let options = try #require(server.requests.last?.json["options"] as? [String: Any])
      #expect((options["num_predict"] as? Int ?? .max) < 800 && options["num_ctx"] as? Int == 4096)
    }
    #expect(forgotten > 0)
    let failure = await Reply(models, #"{"text":"\#(long + long + long)"}"#, overrides: overrides).failure()
    #expect(failure?.code == .llmBudget && failure?.message.contains("tokens_per_question") == true, "\(failure?.message ?? "")")
    #expect(server.requests.allSatisfy { $0.body.utf8.count < 4000 })
    models.stop()
    server.stop()
  }
}
