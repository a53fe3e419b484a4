import Foundation
import Protocol
import Synchronization
import System
import Testing
import TestSupport

@testable import Kernel

@Suite("Personas") struct PersonaTests {
  @Test("a persona answers a request, and an original client's gram without id by name")
  func answers() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.client("GUI")
    try client.line(#"{"source":"GUI","target":"ECHO","method":"echo","payload":"hi"}"#)
    let reply = try client.gram()
    #expect(reply.source == "ECHO" && reply.method == "reply" && reply.re == nil)
    #expect(reply["echo"] == "hi")
    #expect(try client.ask("ECHO", "echo", "[1]", id: 1)["count"] == "2")
  }

  @Test("text streams ahead of the reply to who asked for a stream, and to nobody else")
  func streams() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try client.line(#"{"target":"ECHO","method":"stream","id":1,"stream":true}"#)
    var text = ""
    while true {
      let gram = try client.gram { $0.re == "1" }
      if gram.method == "reply" { break }
      #expect(gram.method == "delta")
      text += gram["text"] ?? ""
    }
    #expect(text == "one two three")
    try client.line(#"{"target":"ECHO","method":"stream","id":2}"#)
    #expect(try client.gram { $0.re == "2" }.method == "reply")
  }

  @Test("a persona's error reaches the asker with its own words, and silence is a reply of null")
  func errors() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    let error = try client.ask("ECHO", "fail", id: 1)
    #expect(error.method == "error" && error.source == "ECHO" && error.code == "failed")
    #expect(error.message == "it failed, as it was asked to")
    let silence = try client.ask("ECHO", "remember", "1", id: 2)
    #expect(silence.method == "reply" && silence.fields["payload"] is NSNull)
  }

  @Test("personas ask each other and clients, and a chain that goes round is stopped by the hop limit")
  func asks() throws {
    let house = try House([("ONE", "echo", [:]), ("TWO", "echo", [:])])
    let client = try house.attached("GUI")
    #expect(try client.ask("ONE", "ask", #""TWO""#, id: 1)["count"] == "1")
    let far = try client.ask("ONE", "ask", #""TWO""#, id: 5, extra: #","hops":8"#)
    #expect(far.code == "hop_limit", "\(far)")
    let human = try house.attached("HUMAN")
    try client.line(#"{"target":"ONE","method":"ask","payload":"HUMAN","id":2}"#)
    let question = try human.gram { $0.method == "echo" && $0.source == "ONE" }
    #expect(question.source == "ONE")
    let id = question.fields["id"].map { "\($0)" } ?? ""
    try human.line(#"{"target":"ONE","method":"reply","re":\#(id),"payload":{"yes":true}}"#)
    #expect(try client.gram { $0.re == "2" }["yes"] == "1")
    #expect(try client.ask("ONE", "ask", #""NOBODY""#, id: 3).code == "unknown_target")
  }

  @Test("a name that a client holds is not given to a persona, nor a persona's to a client")
  func names() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.client()
    try client.line("ECHO")
    #expect(try client.gram().code == "name_refused")
  }

  @Test("unloading finishes what was begun, keeps the state, and loading brings it back")
  func unload() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    _ = try client.ask("ECHO", "echo", "1", id: 1)
    try client.line(#"{"target":"ECHO","method":"later","payload":80,"id":2}"#)
    try client.line(#"{"target":"KERNEL","method":"personas.unload","payload":{"name":"ECHO"},"id":3}"#)
    try client.line(#"{"target":"ECHO","method":"echo","id":4}"#)
    #expect(try client.gram { $0.re == "4" }.code == "unknown_target")
    #expect(try client.gram { $0.re == "2" }["echo"] == "80")
    #expect(try client.gram { $0.re == "3" }["outcome"] == "unloaded")
    #expect(try client.ask("KERNEL", "personas.load", #"{"name":"ECHO"}"#, id: 5)["outcome"] == "loaded")
    #expect(try client.ask("ECHO", "echo", "1", id: 6)["count"] == "3")
  }

  @Test("what a persona has taken and not finished counts for its sender's share, until it has ended")
  func unfinished() throws {
    let house = try House([("ECHO", "echo", [:])]) { $0.limits.mailboxBytes = 200_000 }
    let (flooder, other) = (try house.attached("F"), try house.attached("O"))
    try house.settle("ECHO", as: other)
    let pad = String(repeating: "f", count: 5000)
    // They are begun at once, and would end in a minute.
    let line = #"{"target":"ECHO","method":"later","payload":60000,"deadline_ms":1000,"pad":"\#(pad)"}"#
    for _ in 0..<40 { try flooder.line(line) }
    var codes: [String] = []
    for _ in 0..<40 { codes.append(try flooder.gram { $0.method == "error" }.code ?? "") }
    let full = codes.count { $0 == "queue_full" }
    #expect((20...24).contains(full), "\(full)")
    #expect(codes.count { $0 == "deadline" } == 40 - full)
    #expect(try other.ask("ECHO", "echo", "1", id: 1).method == "reply")
    // All have ended, and the share is free again.
    #expect(try flooder.ask("ECHO", "echo", "1", id: 2, extra: #","pad":"\#(pad)""#).method == "reply")
  }

  @Test("a stream without end to a reader that has stopped ends in an error for it, and the persona's work is cancelled")
  func endless() throws {
    let house = try House([("ECHO", "echo", [:])]) { $0.limits.queueBytes = 1 << 20 }
    let (client, other) = (try house.attached("GUI"), try house.attached("O"))
    try house.settle("ECHO", as: other)
    try client.line(#"{"target":"ECHO","method":"flood","id":1,"stream":true}"#)
    // From here on the client reads nothing.
    _ = try client.gram { $0.method == "delta" }
    // The persona comes back from its call when it is told that the gram has ended.
    #expect(try other.ask("ECHO", "count", id: 1).method == "reply")
    let end = try client.gram { $0.re == "1" && $0.method != "delta" }
    #expect(end.code == "queue_full", "\(end)")
  }

  @Test("one that floods a persona is told so, and another still gets through")
  func flood() throws {
    let house = try House([("ECHO", "echo", [:])]) { $0.limits.mailboxBytes = 200_000 }
    let (flooder, other) = (try house.attached("F"), try house.attached("O"))
    try house.settle("ECHO", as: other)
    // While the persona is paused by nothing but its own pace, a burst larger than its mailbox.
    let line = #"{"target":"ECHO","method":"count","payload":"\#(String(repeating: "f", count: 5000))","id":"#
    var burst = ""
    for id in 0..<2000 { burst += line + "\(id)}\n" }
    let sent = burst
    Thread.detachNewThread { try? flooder.write(sent) }
    #expect(try other.ask("ECHO", "echo", "1", id: 1).method == "reply")
    var answers = 0
    for _ in 0..<2000 {
      let gram = try flooder.gram { $0.re != nil }
      #expect(gram.method == "reply" || gram.code == "queue_full")
      answers += 1
    }
    #expect(answers == 2000)
  }
}

/// A language model that says what it is told to, when it is told to.
final class ScriptedModel: LanguageService {
  struct Call: LanguageCall {
    let onCancel: @Sendable () -> Void
    func cancel() { onCancel() }
  }
  let asked = Promise<LanguageQuestion>()
  let cancelled = Promise<Bool>()
  /// It was asked a second time.
  let questions = Promise<Bool>()
  private let count = Mutex(0)
  private let script: @Sendable (LanguageQuestion, @escaping @Sendable (LanguageEvent) -> Void) -> Void

  init(_ script: @escaping @Sendable (LanguageQuestion, @escaping @Sendable (LanguageEvent) -> Void) -> Void) { self.script = script }

  func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> any LanguageCall {
    asked.fulfill(question)
    if count.withLock({
      $0 += 1; return $0
    }) == 2 {
      questions.fulfill(true)
    }
    let script = script
    try! startThread(name: "model") { script(question, onEvent) }
    let cancelled = cancelled
    return Call {
      cancelled.fulfill(true)
      onEvent(.finished(.failure(Failure(.cancelled, "cancelled"))))
    }
  }
  func forget(persona: String, thread: String) {}
  /// What was ordered last of the histories, and how long the answer is.
  let ordered = Mutex<HistoryRequest?>(nil)
  let historyBytes = Mutex(0)
  func history(_ order: HistoryRequest, onEnd: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    ordered.withLock { $0 = order }
    let padding = String(repeating: " ", count: historyBytes.withLock { $0 })
    try! startThread(name: "history") { onEnd(.success(Array("{\"done\":1\(padding)}".utf8))) }
  }
  func configure(_ configuration: LanguageConfiguration) {}
  func models(of provider: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    done(.success(Array("{\"providers\":[]}".utf8)))
  }
  func statistics() -> [UInt8] { Array("{}".utf8) }
  func usage(of persona: String) -> LanguageUsage { LanguageUsage() }
  func stop() {}
}

@Suite("Language model in the kernel") struct LanguageTests {
  @Test("a persona's question reaches the model with its prompt, and pieces and answer come back")
  func chat() throws {
    let model = ScriptedModel { _, tell in
      tell(.piece("Hel"))
      tell(.piece("lo"))
      tell(.finished(.success(Array(#"{"text":"Hello"}"#.utf8))))
    }
    let house = try House([("ECHO", "echo", [:])], language: model) { $0.personas[0].prompt = "Be brief" }
    let client = try house.attached("GUI")
    try client.line(#"{"target":"ECHO","method":"think","payload":"hi","id":1,"stream":true}"#)
    var text = ""
    while true {
      let gram = try client.gram { $0.re == "1" }
      if gram.method == "reply" {
        #expect(gram["text"] == "Hello")
        break
      }
      text += gram["text"] ?? ""
    }
    #expect(text == "Hello")
    #expect(model.asked.wait(milliseconds: 1)?.prompt == "Be brief")
  }

  @Test("a model's failure is the asker's error, code and words")
  func failure() throws {
    let model = ScriptedModel { _, tell in tell(.finished(.failure(Failure(.llmUnreachable, "no server; start one")))) }
    let house = try House([("ECHO", "echo", [:])], language: model)
    let error = try house.attached("GUI").ask("ECHO", "think", "\"hi\"", id: 1)
    #expect(error.code == "llm_unreachable" && error.message == "no server; start one")
  }

  @Test("when the asker cancels, goes away, or its time is over, the model is told to stop", arguments: ["cancel", "close", "deadline"])
  func cancel(how: String) throws {
    let model = ScriptedModel { _, tell in tell(.piece("…")) }
    let house = try House([("ECHO", "echo", [:])], language: model)
    var client: Client? = try house.attached("GUI")
    try client?.line(
      #"{"target":"ECHO","method":"think","payload":"hi","id":1,"stream":true\#(how == "deadline" ? #","deadline_ms":300"# : "")}"#)
    _ = try client?.gram { $0.method == "delta" }
    switch how {
    case "cancel":
      try client?.line(#"{"target":"KERNEL","method":"cancel","payload":{"id":1},"id":2}"#)
      #expect(try client?.gram { $0.re == "1" && $0.method == "error" }.code == "cancelled")
    case "deadline": #expect(try client?.gram { $0.re == "1" && $0.method == "error" }.code == "deadline")
    default: client = nil
    }
    #expect(model.cancelled.wait(milliseconds: 10_000) == true)
  }
}
