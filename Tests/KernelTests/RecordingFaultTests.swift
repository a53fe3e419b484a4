import Foundation
import Protocol
import System
import TestSupport
import Testing
import Wire

@testable import Kernel

@Suite("Recordings at the edges") struct RecordingFaultTests {
  private func payload(_ gram: Gram) throws -> JSON { try JSON(parsing: gram.line.utf8)["payload"] ?? .null }

  private func captured(_ client: Client, _ name: String, _ more: String = #""last":10"#, id: Int) throws -> Recording {
    try Recording(payload(client.ask("KERNEL", "recordings.get", #"{"name":"\#(name)",\#(more)}"#, id: id)))
  }

  @Test("what a connected client answers to a persona is recorded; an answer that says nothing too, also in the file")
  func answersOfClients() throws {
    let house = try House([("A", "echo", [:])])
    let (client, human) = (try house.attached("GUI"), try house.attached("HUMAN"))
    func ask(_ id: Int, answer: String) throws {
      try client.line(#"{"target":"A","method":"ask","payload":"HUMAN","id":\#(id)}"#)
      let question = try human.gram { $0.method == "echo" }
      try human.line(#"{"target":"A","re":\#(question.fields["id"].map { "\($0)" } ?? ""),\#(answer)}"#)
      _ = try client.gram { $0.re == "\(id)" }
    }
    try ask(1, answer: #""method":"reply","payload":{"yes":true}"#)
    try ask(2, answer: #""method":"reply""#)
    try ask(3, answer: #""method":"error","payload":{"code":"invalid","message":"no"}"#)
    let ends = try captured(client, "A", id: 9).messages.map { $0.steps.first?.end }
    #expect(ends == [.result(["yes": true]), .result(.null), .failure(Failure(.invalid, "no"))])
  }

  @Test("what a persona sends after its reply belongs to the message")
  func afterReply() throws {
    let house = try House([("WORDS", "crashes_on_word", [:])])
    let client = try house.attached("GUI")
    _ = try client.ask("KERNEL", "topics.subscribe", #"{"topic":"learnt"}"#, id: 3)
    try client.line(#"{"target":"WORDS","method":"tell","payload":1,"id":1}"#)
    _ = try client.gram { $0.method == "told" }
    let message = try #require(try captured(client, "WORDS", id: 2).messages.first)
    #expect(message.end == .result(["content": "yes"]))
    #expect(message.steps.map(\.call) == [.send(target: "#learnt", method: "told", payload: 1)])
  }

  @Test("a gram is played as it came: who waits for it, how far it has come")
  func flags() throws {
    let house = try House([("A", "echo", [:])], stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "flags", id: 1, extra: #","stream":true,"hops":3"#)
    try client.line(##"{"target":"*","method":"flags"}"##)
    _ = try client.ask("A", "flags", id: 2)
    let messages = try captured(client, "A", id: 3).messages
    #expect(messages.map(\.gram.wantsStream) == [true, false, false] && messages.map(\.gram.hops) == [3, 0, 0])
    #expect(messages.map(\.gram.wantsReply) == [true, false, true])
    let told = try payload(client.ask("KERNEL", "personas.shadow", #"{"name":"A","last":3}"#, id: 4))
    let replies = told["messages"]?.array?.map { $0["now"]?["reply"]?["flags"] } ?? []
    #expect(replies == messages.map { if case .result(let reply) = $0.end { reply["flags"] } else { nil } }, "\(told.text)")
  }

  @Test("a message that is too large leaves the others where they are, and is told as left out")
  func tooLarge() throws {
    let house = try House([("A", "echo", [:])], stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "echo", "1", id: 1)
    _ = try client.ask("A", "echo", "\"" + String(repeating: "x", count: 5 << 20) + "\"", id: 2)
    _ = try client.ask("A", "echo", "3", id: 3)
    let recording = try captured(client, "A", id: 4)
    #expect(recording.messages.map(\.gram.payload) == [1, 3] && recording.leftOut == 1)
    let list = try payload(client.ask("KERNEL", "recordings.list", #"{"name":"A"}"#, id: 5))["messages"]?.array ?? []
    #expect(list.map { $0["too_large"] } == [nil, true, nil] && list.map { $0["method"] } == ["echo", "echo", "echo"], "\(list)")
  }

  @Test("one message is taken by its token; a message that was taken back by its asker has not failed")
  func chosen() throws {
    let house = try House([("A", "echo", [:])])
    let client = try house.attached("GUI")
    _ = try client.ask("A", "fail", id: 1)
    _ = try client.ask("A", "echo", "2", id: 2)
    try client.line(#"{"target":"A","method":"later","payload":60000,"id":3}"#)
    _ = try client.ask("KERNEL", "cancel", #"{"id":3}"#, id: 4)
    let list = try payload(client.ask("KERNEL", "recordings.list", #"{"name":"A"}"#, id: 5))["messages"]?.array ?? []
    #expect(list.map { $0["end"] } == ["failed", "reply", "cancelled"])
    #expect(try captured(client, "A", #""failed":true"#, id: 6).messages.map(\.gram.method) == ["fail"])
    let token = try #require(list.dropFirst().first?["token"]?.int)
    #expect(try captured(client, "A", #""token":\#(token)"#, id: 7).messages.map(\.gram.payload) == [2])
    #expect(try client.ask("KERNEL", "recordings.get", #"{"name":"A","token":999999}"#, id: 8).code == "not_found")
  }

  private static let stage = [Products.folder + "/batkernel", "--stage"]

  private func recording(_ method: String, _ payload: JSON = .null, _ steps: [Recording.Step] = [], times: Int = 1) -> Recording {
    var recording = Recording(persona: "A")
    recording.messages = Array(repeating: .init(gram: .init(source: "G", method: method, payload: payload), steps: steps), count: times)
    return recording
  }

  @Test("a message that hangs the persona is told as such, and the next ones are not waited for")
  func hang() throws {
    let library = try Fixtures.build("hangs_in_receive", defines: ["NAME": "A"])
    let began = MachineClock.now()
    let play = try ReplayHost(command: Self.stage, limitMilliseconds: 500).play(recording("hang", times: 60), library: library)
    #expect(play.messages.isEmpty && play.broke?.message.contains("hung") == true, "\(play)")
    #expect(MachineClock.now() - began < 30_000_000_000)
  }

  @Test("a message that is not answered in time ends in that, as it did before, and the persona goes on")
  func deadline() throws {
    let library = try Fixtures.build("never_replies", defines: ["NAME": "A"])
    var recording = recording("x", times: 2)
    for index in 0...1 { recording.messages[index].end = .failure(Failure(.deadline, "no answer from A within 600000 ms")) }
    let play = try ReplayHost(command: Self.stage, limitMilliseconds: 200).play(recording, library: library)
    #expect(play.broke == nil && play.messages.count == 2)
    #expect(zip(play.messages, recording.messages).allSatisfy { $0.isSame(as: $1) }, "\(play)")
  }

  @Test("the time that the live model takes is not the message's")
  func slowModel() throws {
    let library = try Fixtures.build("echo", defines: ["NAME": "A"])
    let never = Promise<Bool>()
    let play = try ReplayHost(command: Self.stage, limitMilliseconds: 300).play(
      recording("think", "why?"), library: library,
      model: { question, end in
        try! startThread(name: "slow") {
          _ = never.wait(milliseconds: 1200)
          end(.success(["text": question["text"] ?? .null]))
        }
        return NoCall()
      })
    #expect(play.messages.first?.end == .result(["text": "why?"]), "\(play)")
  }

  private struct NoCall: LanguageCall {
    func cancel() {}
  }

  @Test("a colleague who is asked something new is held back in a shadow; a replay takes what comes nearest")
  func colleagues() throws {
    let library = try Fixtures.build("echo", defines: ["NAME": "A"])
    let then = Recording.Step(call: .ask(target: "B", method: "echo", payload: "other words"), end: .result(["from": "B"]))
    let stage = ReplayHost(command: Self.stage)
    #expect(try stage.play(recording("ask", "B", [then]), library: library).messages.first?.end == .result(["from": "B"]))
    let shadow = try stage.play(recording("ask", "B", [then]), library: library, model: { _, _ in NoCall() })
    guard case .failure(let failure)? = shadow.messages.first?.end else { throw Client.Lost(description: "\(shadow)") }
    #expect(failure.message.contains("held back in a shadow: A asks B for echo"))
  }

  @Test("a shadow ends with the client that asked for it, and its question to the model, too; one at a time is played")
  func asker() throws {
    let model = ScriptedModel { question, end in
      // The house's own gets its answer, the shadow's never.
      if question.request.text?.contains("Please") != true { end(.finished(.success(Array(#"{"text":"a"}"#.utf8)))) }
    }
    let house = try House([("A", "echo", [:])], language: model, stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "think", "\"why?\"", id: 1)
    let reworded = try Fixtures.build("echo", defines: ["NAME": "A", "PREFACE": "Please: "])
    var asker: Client? = try house.attached("ASKER")
    try asker?.line(#"{"target":"KERNEL","method":"personas.shadow","payload":{"name":"A","library":"\#(reworded)"},"id":1}"#)
    // The order of this one's lines behind that one's: both have been read when a later connection has been answered.
    _ = try asker?.ask("KERNEL", "ping", id: 2)
    #expect(try client.ask("KERNEL", "personas.shadow", #"{"name":"A"}"#, id: 2).message?.contains("played already") == true)
    #expect(model.questions.wait(milliseconds: 20_000) == true)
    asker = nil
    #expect(model.cancelled.wait(milliseconds: 20_000) == true)
    // Nothing of it is kept, and the next one may be played.
    var next: Gram
    var tries = 0
    repeat {
      next = try client.ask("KERNEL", "personas.shadow", #"{"name":"A"}"#, id: 3)
      tries += 1
    } while next.code == "invalid" && tries < 100_000
    #expect(next.method == "reply", "\(next)")
    #expect(try client.ask("KERNEL", "personas.drop", #"{"name":"A"}"#, id: 4).method == "reply")
    #expect(try client.ask("KERNEL", "personas.promote", #"{"name":"A"}"#, id: 5).code == "not_found")
  }

  @Test("a stage that crashes leaves nothing on the disk")
  func traces() throws {
    let folder = TemporaryFolder()
    let library = try Fixtures.build("crashes_on_payload", defines: ["NAME": "A"])
    let stage = ReplayHost(command: ["/usr/bin/env", "TMPDIR=" + folder.path] + Self.stage)
    let play = try stage.play(recording("m", "b"), library: library)
    #expect(play.broke?.message.contains("signal 6") == true, "\(play)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
  }

  @Test("promoting rehearses with the state of now, and refuses what cannot read it")
  func promotedLater() throws {
    let house = try House([("A", "echo", ["STATE": "1"])], stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "echo", "1", id: 1)
    let same = try payload(client.ask("KERNEL", "personas.shadow", #"{"name":"A"}"#, id: 2))
    #expect(same["messages"]?.array?.count == 1)
    try house.build("A", defines: ["STATE": "2 reads 1"])
    _ = try client.ask("KERNEL", "personas.reload", #"{"name":"A"}"#, id: 3)
    let receipt = try client.ask("KERNEL", "personas.promote", #"{"name":"A"}"#, id: 4)
    #expect(receipt["outcome"] == "refused" && receipt["reason"]?.contains("schema") == true, "\(receipt)")
    #expect(try client.ask("A", "echo", "1", id: 5)["count"] == "2")
  }
}
