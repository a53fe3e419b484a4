import Foundation
import Protocol
import TestSupport
import System
import Testing
import Wire

@testable import Kernel

@Suite("Recordings and shadows") struct RecordingTests {
  private func json(_ text: String) throws -> JSON { try JSON(parsing: text.utf8) }

  private func captured(_ client: Client, _ name: String, last: Int = 10, failed: Bool = false, id: Int) throws -> Recording {
    let reply = try client.ask("KERNEL", "recordings.get", #"{"name":"\#(name)","last":\#(last),"failed":\#(failed)}"#, id: id)
    return try Recording(try #require(try json(reply.line)["payload"]))
  }

  @Test("a recording is written and read again, whole; what is no recording says what it lacks")
  func format() throws {
    var recording = Recording(persona: "A", library: "/l.so", configuration: ["prompt": "p"])
    recording.state = (2, [0, 255])
    recording.values = ["k": Array("v".utf8)]
    recording.messages = [
      .init(
        gram: .init(source: "G", method: "m", payload: ["x": 1], topic: "#t", trace: "tr"),
        steps: [
          .init(call: .chat(["text": "q"]), end: .result(["text": "a"])),
          .init(call: .ask(target: "B", method: "m", payload: .null), end: .failure(Failure(.deadline, "late"))),
          .init(call: .send(target: "#t", method: "n", payload: "p"), end: nil),
        ], end: .result("r"), generation: 3, milliseconds: 4),
      .init(gram: .init(source: "G", method: "m", payload: .null), end: .failure(Failure(.llmCutOff, "cut"))),
      .init(gram: .init(source: "G", method: "m", payload: .null)),
    ]
    #expect(try Recording(try json(recording.json.text)) == recording)
    for (text, lack) in [
      ("{}", "\"bat-recording\" is missing"), (#"{"bat-recording":2}"#, "of version 2"),
      (#"{"bat-recording":1}"#, "\"persona\" is missing"),
      (#"{"bat-recording":1,"persona":"A"}"#, "\"messages\" is missing"),
      (#"{"bat-recording":1,"persona":"A","messages":[{"gram":{"source":"x"}}]}"#, "messages[0]: \"gram\" needs"),
      (#"{"bat-recording":1,"persona":"A","messages":[{"gram":{"source":"x","method":"m"},"steps":[{}]}]}"#, "steps[0] is neither"),
      (#"{"bat-recording":1,"persona":"A","messages":[],"state":{"schema":1,"base64":"?"}}"#, "\"state\" is not"),
    ] {
      let error = #expect(throws: Recording.Malformed.self) { try Recording(try json(text)) }
      #expect(error?.description.contains(lack) == true, "\(error?.description ?? "")")
    }
  }

  @Test("a gram is recorded with what it made the persona ask, of the model and of others, and with its end")
  func recorded() throws {
    let model = ScriptedModel { question, end in end(.finished(.success(Array(#"{"text":"an answer"}"#.utf8)))) }
    let house = try House([("A", "echo", [:]), ("B", "echo", [:])], language: model)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "think", "\"why?\"", id: 1)
    _ = try client.ask("A", "ask", "\"B\"", id: 2, extra: #","trace":"t""#)
    _ = try client.ask("A", "ask", "\"NOBODY\"", id: 3)
    _ = try client.ask("A", "publish", "7", id: 4)
    let recording = try captured(client, "A", id: 5)
    #expect(recording.persona == "A" && recording.library?.hasSuffix("libA.so") == true && recording.state?.schema == 1)
    let messages = recording.messages
    #expect(messages.map(\.gram.method) == ["think", "ask", "ask", "publish"] && messages[1].gram.trace == "t")
    #expect(messages[0].steps == [.init(call: .chat(["text": "why?"]), end: .result(["text": "an answer"]))])
    #expect(messages[0].end == .result(["text": "an answer"]))
    #expect(messages[1].steps.first?.call == .ask(target: "B", method: "echo", payload: .null))
    guard case .result(let answer)? = messages[1].steps.first?.end else { throw Client.Lost(description: "\(messages[1])") }
    #expect(answer["count"] == 1)
    guard case .failure(let failure)? = messages[2].steps.first?.end else { throw Client.Lost(description: "\(messages[2])") }
    #expect(failure.code == .unknownTarget && messages[2].end == .failure(failure))
    #expect(messages[3].steps == [.init(call: .send(target: "#echo", method: "published", payload: 7), end: nil)])
    #expect(messages[3].end == .silence)
    #expect(try captured(client, "A", failed: true, id: 6).messages == [messages[2]])
  }

  @Test("no more are kept than the configuration says")
  func limit() throws {
    let house = try House([("A", "echo", [:])]) { $0.reload.recordedGrams = 2 }
    let client = try house.attached("GUI")
    for id in 1...5 { _ = try client.ask("A", "echo", "\(id)", id: id) }
    #expect(try captured(client, "A", id: 9).messages.map(\.gram.payload) == [4, 5])
  }

  private func shadow(_ client: Client, _ name: String, library: String, id: Int) throws -> JSON {
    let reply = try client.ask("KERNEL", "personas.shadow", #"{"name":"\#(name)","last":20,"library":"\#(library)"}"#, id: id)
    return try json(reply.line)["payload"] ?? .null
  }

  @Test("a shadow answers copies of the last messages, and nothing that it does takes effect")
  func heldBack() throws {
    let house = try House([("WORDS", "crashes_on_word", [:])], stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("KERNEL", "topics.subscribe", #"{"topic":"learnt"}"#, id: 1)
    try client.line(#"{"target":"WORDS","method":"learn","payload":"one","id":2}"#)
    _ = try client.gram { $0.method == "news" }
    _ = try client.ask("WORDS", "is it so", "null", id: 3)
    let other = try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS", "VERSION": "2", "ANSWER": "no"])
    let told = try shadow(client, "WORDS", library: other, id: 4)
    #expect(told["version"] == "2" && told["messages"]?.array?.map { $0["same"] } == [true, false], "\(told.text)")
    #expect(told["messages"]?.array?.last?["now"]?["reply"]?["content"] == "no")
    // The next news is ours, and the value in the house is the one that the house was told.
    try client.line(#"{"target":"WORDS","method":"learn","payload":"two","id":5}"#)
    #expect(try client.gram { $0.method == "news" }.line.contains("two"))
    #expect(try client.ask("WORDS", "is it so", "null", id: 6)["content"] == "yes")
  }

  @Test("what is promoted is the very file that was shadowed, whatever is on the disk meanwhile; a dropped one is gone")
  func promoted() throws {
    let house = try House([("WORDS", "crashes_on_word", [:])], stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("WORDS", "x", "null", id: 1)
    let folder = TemporaryFolder()
    let path = try Fixtures.install(
      "crashes_on_word", as: "NEW", in: folder.path, defines: ["NAME": "WORDS", "VERSION": "2", "ANSWER": "no"])
    _ = try shadow(client, "WORDS", library: path, id: 2)
    try Fixtures.replace(path, with: Array("rubbish".utf8))
    let receipt = try client.ask("KERNEL", "personas.promote", #"{"name":"WORDS"}"#, id: 3)
    #expect(receipt["outcome"] == "reloaded" && receipt["version"] == "2", "\(receipt)")
    #expect(try client.ask("WORDS", "x", "null", id: 4)["content"] == "no")
    #expect(try client.ask("KERNEL", "personas.promote", #"{"name":"WORDS"}"#, id: 5).code == "not_found")
    _ = try shadow(client, "WORDS", library: house.folder + "/libWORDS.so", id: 6)
    #expect(try client.ask("KERNEL", "personas.drop", #"{"name":"WORDS"}"#, id: 7).method == "reply")
    #expect(try client.ask("KERNEL", "personas.promote", #"{"name":"WORDS"}"#, id: 8).code == "not_found")
  }

  @Test("a shadow that crashes is told with the message that it crashed at, and the house goes on")
  func crash() throws {
    let house = try House([("WORDS", "echo", [:])], stage: true)
    let client = try house.attached("GUI")
    for (id, payload) in ["null", "\"boom\"", "null"].enumerated() { _ = try client.ask("WORDS", "echo", payload, id: id) }
    // Another persona altogether: it keeps no state, so it is loaded in another's place by force of the path alone.
    let refused = try client.ask(
      "KERNEL", "personas.shadow", #"{"name":"WORDS","library":"\#(try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS"]))"}"#,
      id: 10)
    #expect(refused.message?.contains("keeps no state") == true)
    let stateless = try House([("WORDS", "crashes_on_word", ["ANSWER": "no"])], stage: true)
    let second = try stateless.attached("GUI")
    for id in 1...3 { _ = try second.ask("WORDS", "x", id == 2 ? "\"b\"" : "null", id: id) }
    let crashing = try Fixtures.build("crashes_on_payload", defines: ["NAME": "WORDS"])
    let told = try shadow(second, "WORDS", library: crashing, id: 4)
    let messages = try #require(told["messages"]?.array)
    #expect(messages[1]["broke"]?.string?.contains("signal 6") == true && messages[2]["now"] == nil, "\(told.text)")
    #expect(try second.ask("WORDS", "x", "null", id: 5)["content"] == "no")
  }

  @Test("a question to the model that was asked before gets the recorded answer; another one goes to the live model, unremembered")
  func model() throws {
    let reworded = Promise<LanguageQuestion>()
    let model = ScriptedModel { question, end in
      if question.request.text?.hasPrefix("Please") == true { reworded.fulfill(question) }
      end(.finished(.success(JSON.object(["text": .string("live: \(question.request.text ?? "")")]).bytes)))
    }
    let house = try House([("A", "echo", [:])], language: model, stage: true)
    let client = try house.attached("GUI")
    _ = try client.ask("A", "think", "\"why?\"", id: 1)
    let same = try shadow(client, "A", library: house.folder + "/libA.so", id: 2)
    #expect(same["messages"]?.array?.first?["same"] == true, "\(same.text)")
    let polite = try Fixtures.build("echo", defines: ["NAME": "A", "PREFACE": "Please: "])
    let told = try shadow(client, "A", library: polite, id: 3)
    #expect(told["messages"]?.array?.first?["now"]?["reply"]?["text"] == "live: Please: why?", "\(told.text)")
    #expect(try #require(reworded.wait(milliseconds: 1000)).request.remembers == false)
  }

  @Test("while a shadow waits, a changed file is not taken up by itself")
  func waits() throws {
    let house = try House([("WORDS", "crashes_on_word", [:]), ("OTHER", "echo", [:])], stage: true) { $0.reload.watch = true }
    let client = try house.attached("GUI")
    _ = try client.ask("WORDS", "x", "null", id: 1)
    try house.settle("OTHER", as: client)
    _ = try shadow(client, "WORDS", library: house.folder + "/libWORDS.so", id: 2)
    try house.build("WORDS", "crashes_on_word", defines: ["VERSION": "2", "ANSWER": "no"])
    try house.build("OTHER", defines: ["VERSION": "2"])
    // The other one's turn comes after it, and by request it is taken up.
    _ = try client.gram { $0.method == "receipt" && $0["persona"] == "OTHER" }
    #expect(try client.ask("WORDS", "x", "null", id: 3)["content"] == "yes")
    _ = try client.ask("KERNEL", "personas.reload", #"{"name":"WORDS"}"#, id: 4)
    #expect(try client.ask("WORDS", "x", "null", id: 5)["content"] == "no")
  }
}
