import Foundation
import TestSupport
import Testing

@testable import Kernel

/// What the kernel tells the language service of a question, beside its words.
@Suite("Questions to the model") struct QuestionTests {
  private func model() -> ScriptedModel { ScriptedModel { _, tell in tell(.finished(.success(Array(#"{"text":"ok"}"#.utf8)))) } }

  private func monotonic() -> Int64 { Int64(EventLoop.now() / 1_000_000) }

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

  @Test("KERNEL passes the list of models on")
  func models() throws {
    let house = try House(language: model())
    let client = try house.attached("GUI")
    #expect(try client.ask("KERNEL", "models.list", id: 1).payload["providers"] as? [String] == [])
    #expect(try client.ask("KERNEL", "models.list", #"{"provider":"cloud"}"#, id: 2).method == "reply")
    let without = try House()
    #expect(try without.attached("GUI").ask("KERNEL", "models.list", id: 1).code == "llm_unreachable")
  }
}
