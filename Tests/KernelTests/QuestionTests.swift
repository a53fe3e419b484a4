import Foundation
import System
import TestSupport
import Testing

@testable import Kernel

/// What the kernel tells the language service of a question, beside its words.
@Suite("Questions to the model") struct QuestionTests {
  private func model() -> ScriptedModel { ScriptedModel { _, tell in tell(.finished(.success(Array(#"{"text":"ok"}"#.utf8)))) } }

  private func monotonic() -> Int64 { Int64(MachineClock.now() / 1_000_000) }

  @Test("what a client asks is somebody's who waits, with its deadline and the generation that asks")
  func client() throws {
    let model = model()
    let house = try House([("THINKER", "thinker", [:])], language: model)
    let before = monotonic()
    _ = try house.attached("GUI").ask("THINKER", "chat", #"{"text":"Hi"}"#, id: 1, extra: #","deadline_ms":5000"#)
    let question = try #require(model.asked.wait(milliseconds: 10_000))
    #expect(question.isInteractive && question.generation == 1)
    #expect((before + 4000...monotonic() + 5000).contains(try #require(question.deadline)))
  }

  @Test("so is what one persona asks another for it")
  func relay() throws {
    let model = model()
    let house = try House([("ONE", "thinker", ["PEER": "TWO"]), ("TWO", "thinker", [:])], language: model)
    let client = try house.attached("GUI")
    try house.settle("TWO", as: client)
    #expect(try client.ask("ONE", "relay", #"{"text":"Hi"}"#, id: 1).method == "reply")
    let question = try #require(model.asked.wait(milliseconds: 10_000))
    #expect(question.persona == "TWO" && question.isInteractive)
  }

  @Test("what is published is nobody's who waits, nor is what a persona asks another for that", arguments: ["chat", "relay"])
  func topic(_ method: String) throws {
    let model = model()
    let house = try House([("ONE", "thinker", ["PEER": "TWO"]), ("TWO", "thinker", ["PEER": "TWO"])], language: model)
    let client = try house.attached("GUI")
    try house.settle("ONE", as: client)
    try house.settle("TWO", as: client)
    try client.line(##"{"target":"#questions","method":"\##(method)","payload":{"text":"Hi"}}"##)
    let question = try #require(model.asked.wait(milliseconds: 10_000))
    #expect(!question.isInteractive)
  }

  @Test("a wrong question ends with what is wrong with it, and no model hears of it")
  func wrong() throws {
    let model = model()
    let house = try House([("THINKER", "thinker", [:])], language: model)
    let client = try house.attached("GUI")
    for (id, (question, why)) in [
      (#"{"txt":"Hi"}"#, "there is no key \"txt\""), (#"{"text":3}"#, "\"text\" is not a string"),
      (#"{"text":"Hi","tools":[1]}"#, "\"tools"),
    ].enumerated() {
      let error = try client.ask("THINKER", "chat", question, id: id)
      #expect(error.code == "invalid" && error.message?.contains("llm chat of THINKER: ") == true, "\(error)")
      #expect(error.message?.contains(why) == true, "\(error)")
    }
    #expect(model.asked.wait(milliseconds: 1) == nil)
  }

  @Test("KERNEL passes the list of models on")
  func models() throws {
    let house = try House(language: model())
    let client = try house.attached("GUI")
    #expect(try client.ask("KERNEL", "models.list", id: 1).payload["providers"] as? [String] == [])
    #expect(try client.ask("KERNEL", "models.list", #"{"provider":"cloud"}"#, id: 2).method == "reply")
    let without = try House()
    #expect(try without.attached("GUI").ask("KERNEL", "models.list", id: 1).code == "llm_unreachable")
  }

  @Test("history.* are orders to the service, read and checked; an answer longer than a line may be is refused")
  func histories() throws {
    let model = ScriptedModel { _, _ in }
    let house = try House(language: model) { $0.limits.frameBytes = 8192 }
    let client = try house.attached("GUI")
    func order(_ method: String, _ payload: String, id: Int) throws -> HistoryRequest? {
      #expect(try client.ask("KERNEL", "history.\(method)", payload, id: id)["done"] == "1")
      return model.ordered.withLock { $0 }
    }
    #expect(try order("list", "null", id: 1) == .list(persona: nil))
    #expect(try order("get", #"{"persona":"A","last":3}"#, id: 2) == .get(persona: "A", thread: "main", last: 3))
    #expect(
      try order("export", #"{"persona":"A","thread":"t","format":"markdown"}"#, id: 3)
        == .export(persona: "A", thread: "t", last: nil, .markdown))
    #expect(try order("forget", #"{"persona":"A"}"#, id: 4) == .forget(persona: "A", thread: nil))
    for (method, payload) in [("get", "{}"), ("get", #"{"persona":"A","last":0}"#), ("export", #"{"persona":"A","format":"pdf"}"#)] {
      #expect(try client.ask("KERNEL", "history.\(method)", payload, id: 5).code == "invalid")
    }
    model.historyBytes.withLock { $0 = 9000 }
    #expect(try client.ask("KERNEL", "history.get", #"{"persona":"A"}"#, id: 6).code == "too_long")
  }
}
