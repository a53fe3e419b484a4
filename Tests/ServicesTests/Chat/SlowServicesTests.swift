import Foundation
import Kernel
import System
import Testing

@testable import Services

/// Whoever waits for a disk or for a child's end waits alone.
@Suite struct SlowServicesTests {
  @Test("while the conversations' file is locked, those who need no conversation are answered; the others wait, and lose nothing")
  func locked() async throws {
    let server = ScriptedServer([[.head(), .chunk(Recording.ollama), .lastChunk]])
    let folder = makeFolder()
    let models = makeModels(.ollama, url: server.url, data: folder)
    _ = try await Reply(models, #"{"text":"1"}"#).conclusion()
    let lock = try SQLiteDatabase(folder + "/llm.sqlite")
    try lock.run("BEGIN IMMEDIATE", keep: false)
    var seen = server.events.makeAsyncIterator()
    _ = await seen.next()
    // Its answer comes, and cannot be kept; a new conversation cannot even begin.
    let answered = Reply(models, #"{"text":"2"}"#)
    _ = await seen.next()
    let unopened = Reply(models, #"{"text":"3","thread":"new"}"#)
    let (pieces, result) = await Reply(models, #"{"text":"4","remember":false}"#).whole()
    #expect(try pieces.count == 2 && result.get().text == Recording.text)
    #expect(!answered.isOver && !unopened.isOver)
    try lock.run("COMMIT", keep: false)
    for reply in [answered, unopened] { #expect(try await reply.conclusion().history_failed == nil) }
    _ = try await Reply(models, #"{"text":"5"}"#).conclusion()
    #expect(server.requests.last?.contents == ["1", Recording.text, "2", Recording.text, "5"])
    models.stop()
    server.stop()
  }

  @Test("what is answered when the kernel stops is kept and delivered")
  func stopped() async throws {
    let server = ScriptedServer([[.answer(200, Recording.ollamaPiece("A") + Recording.ollamaEnd())]])
    let folder = makeFolder()
    let models = makeModels(.ollama, url: server.url, data: folder)
    _ = try await Reply(models, #"{"text":"1"}"#).conclusion()
    let lock = try SQLiteDatabase(folder + "/llm.sqlite")
    try lock.run("BEGIN IMMEDIATE", keep: false)
    let reply = Reply(models, #"{"text":"2"}"#)
    var events = reply.events.makeAsyncIterator()
    _ = await events.next()
    // The end of the answer comes with its piece, so it is on its way to the disk when another has been answered.
    _ = try await Reply(models, #"{"text":"3","remember":false}"#).conclusion()
    let stops = Promise<Bool>()
    try! startThread(name: "stop") {
      models.stop()
      stops.fulfill(true)
    }
    try lock.run("COMMIT", keep: false)
    guard case .finished(.success)? = await events.next() else {
      Issue.record("it was not delivered")
      return
    }
    #expect(await Task.detached { stops.wait() }.value)
    let kept = try HistoryStore(folder: folder).read(ThreadKey(persona: "BRICK", thread: "main"), last: nil)
    #expect(kept?.turns.count == 2)
    server.stop()
  }

  @Test("a child that does not want to end holds up no question")
  func stubborn() async throws {
    let folder = makeFolder()
    mkfifo(folder + "/trapped", 0o600)
    let server = ScriptedServer([Recording.ollamaAnswer("A")])
    var configuration = LanguageConfiguration()
    let script = "trap '' TERM; echo yes > \(folder)/trapped; while :; do sleep 1; done"
    configuration.local.command = ["/bin/sh", "-c", script]
    let pid = Promise<pid_t>()
    let models = LanguageModels(configuration, runtimeFolder: folder, dataFolder: nil) { _, line in
      if let number = line.split(separator: "pid ").last?.prefix(while: \.isNumber), line.contains("starts") {
        pid.fulfill(pid_t(number) ?? 0)
      }
    }
    let reply = Reply(models, #"{"text":"Hi"}"#)
    let child = await Task.detached {
      // Returns when the child ignores the signal. It is read to its end: a pipe closed before would end the child.
      let descriptor = open(folder + "/trapped", O_RDONLY)
      var byte: UInt8 = 0
      while read(descriptor, &byte, 1) > 0 {}
      close(descriptor)
      return pid.wait()
    }.value
    configuration.standard.kind = .ollama
    configuration.standard.url = server.url
    configuration.standard.model = "m"
    let began = MachineClock.nowMilliseconds()
    models.configure(configuration)
    #expect(try await reply.conclusion().text == "A")
    // On a machine so slow that the child's patience is over it may have gone.
    #expect(kill(child, 0) == 0 || MachineClock.nowMilliseconds() - began >= 2000)
    models.stop()
    #expect(kill(child, 0) == -1 && errno == ESRCH)
    server.stop()
  }

  @Test("one persona has so many questions open and no more, and is told so")
  func limit() async throws {
    let server = ScriptedServer([[.untilClosed]])
    let models = makeModels(.ollama, url: server.url)
    var question = LanguageQuestion(persona: "BRICK", prompt: "", request: ChatRequest(text: "Hi"))
    for _ in 0..<ChatEngine.questionLimit { _ = models.chat(question) { _ in } }
    #expect(await Reply(models, #"{"text":"Hi"}"#).failure()?.code == .queueFull)
    question.persona = "ROBIN"
    let other = Reply(models, #"{"text":"Hi"}"#, persona: "ROBIN")
    models.stop()
    #expect(await other.failure()?.code == .retired)
    server.stop()
  }

  @Test("a question that its budget forbids does not use up the one try that an open breaker lets through")
  func halfOpen() throws {
    let http = HTTPClient()
    defer { http.close() }
    var configuration = ProviderConfiguration()
    (configuration.kind, configuration.model) = (.ollama, "m")
    let provider = Provider(name: "default", configuration, localSocket: "/model.sock")
    let past = MachineClock.nowMilliseconds() - 2 * Breaker.firstPause
    for _ in 1...Breaker.limit { provider.breaker.failed(at: past) }
    let asked = LanguageQuestion(persona: "BRICK", prompt: "", request: ChatRequest(text: "Hi"))
    let chat = try ChatQuestion(asked)
    let machine = QuestionMachine(chat, try Route(chat, asked.overrides, LanguageConfiguration()), deadline: nil)
    let question = OpenQuestion(id: 1, asked, machine, summarising: nil, at: 0) { _ in }
    question.provider = provider
    let spending = Spending(clock: MachineClock.system.wallMilliseconds, load: { _ in }, keep: { _, _, _ in })
    let sender = QuestionSender(
      http: http, spending: spending, statistics: StatisticsBoard(LanguageStatistics(provider.server))
    ) { _, _ in }
    guard case .unsent(let failure, mayFallBack: false)? = sender.send(question, totalLimit: 1) else {
      Issue.record("it was sent")
      return
    }
    #expect(failure.code == .llmBudget && provider.breaker.word == "open")
  }
}
