import Foundation
import Protocol
import Synchronization
import System
import TestSupport
import Testing
import Wire

@testable import Kernel

/// How questions of personas offer methods of others, and how the kernel calls them.
@Suite("Tools of the model") struct ToolTests {
  /// A model that calls each tool once, all at once, with what stands in the question's "text", and answers with what came of it.
  private func caller() -> ScriptedModel {
    ScriptedModel { question, tell in
      let arguments = question.request.text ?? "{}"
      let results = Mutex<[String: JSON]>([:])
      let tools = question.tools
      for tool in tools {
        question.onToolCall?(tool.name, Array(arguments.utf8)) { result in
          let json: JSON =
            switch result {
            case .success(let json): (try? JSON(parsing: json)) ?? .null
            case .failure(let failure): .string(failure.code.rawValue + ": " + failure.message)
            }
          let all = results.withLock {
            $0[tool.name] = json
            return $0
          }
          if all.count == tools.count { tell(.finished(.success(JSON.object(all).bytes))) }
        }
      }
      if tools.isEmpty { tell(.finished(.success(Array("{}".utf8)))) }
    }
  }

  private func house(_ model: ScriptedModel) throws -> (house: House, client: Client) {
    let house = try House([("ROBIN", "thinker", [:]), ("BABS", "thinker", [:]), ("ECHO", "echo", [:])], language: model)
    let client = try house.attached("GUI")
    for name in ["ROBIN", "BABS", "ECHO"] { try house.settle(name, as: client) }
    return (house, client)
  }

  @Test("a tool is a method of the other's about text, and its reply is the result; the chain goes on through it")
  func call() throws {
    let model = caller()
    let (house, client) = try house(model)
    let reply = try client.ask(
      "ROBIN", "chat", #"{"text":"{\"z\":\"moon\"}","tools":["BABS.observe","BABS.observe","BABS.refuse"]}"#, id: 1)
    let observed = reply.payload["BABS.observe"] as? [String: Any]
    #expect((observed?["saw"] as? [String: Any])?["z"] as? String == "moon", "\(reply)")
    #expect(observed?["hops"] as? Int == 1)
    #expect((reply.payload["BABS.refuse"] as? String)?.contains("the shutters are closed") == true)
    let tools = try #require(model.asked.wait(milliseconds: 1)?.tools)
    #expect(tools.map(\.name) == ["BABS.observe", "BABS.refuse"] && tools[0].summary == "Looks through the telescope")
    #expect(tools[0].takes?.contains("\"required\":[\"z\"]") == true && tools[1].takes == nil)
    withExtendedLifetime(house) {}
  }

  @Test("a star offers all methods that take an object")
  func star() throws {
    let model = ScriptedModel { _, tell in tell(.finished(.success(Array("{}".utf8)))) }
    let (house, client) = try house(model)
    #expect(try client.ask("ROBIN", "chat", #"{"text":"x","tools":["BABS.*"]}"#, id: 1).method == "reply")
    #expect(model.asked.wait(milliseconds: 1)?.tools.map(\.name) == ["BABS.observe", "BABS.refuse", "BABS.wait"])
    withExtendedLifetime(house) {}
  }

  @Test("what cannot be a tool is refused before the model is asked, with the reason")
  func refused() throws {
    let model = caller()
    let (house, client) = try house(model)
    let wrong = [
      ("ROBIN.observe", "invalid", "cannot call itself"), ("KERNEL.stats", "invalid", "the kernel's"),
      ("BAS.observe", "unknown_target", "did you mean BABS?"), ("BABS.obsrve", "unknown_method", "BABS has observe, refuse, wait, text"),
      ("ECHO.echo", "unknown_method", "has no method.echo"), ("ECHO.*", "unknown_method", "no method that takes an object"),
      ("BABS.text", "invalid", "takes no JSON object"), ("BABS", "invalid", "PERSONA.*"), ("BABS.", "invalid", "PERSONA.*"),
    ]
    for (id, (tool, code, reason)) in wrong.enumerated() {
      let error = try client.ask("ROBIN", "chat", #"{"text":"x","tools":["\#(tool)"]}"#, id: id)
      #expect(error.code == code && error.message?.contains(reason) == true, "\(tool): \(error)")
    }
    #expect(model.asked.wait(milliseconds: 1) == nil)
    withExtendedLifetime(house) {}
  }

  @Test("when the asker goes, what the model has called is cancelled too")
  func cancel() throws {
    let called = Promise<Bool>()
    let ended = Promise<String>()
    let model = ScriptedModel { question, _ in
      question.onToolCall?("BABS.wait", Array("{}".utf8)) { result in
        if case .failure(let failure) = result { ended.fulfill(failure.code.rawValue) } else { ended.fulfill("answered") }
      }
      called.fulfill(true)
    }
    let (house, client) = try house(model)
    try client.line(#"{"target":"ROBIN","method":"chat","payload":{"text":"x","tools":["BABS.wait"]},"id":1}"#)
    #expect(called.wait(milliseconds: 10_000) == true)
    #expect(try client.ask("KERNEL", "cancel", #"{"id":1}"#, id: 2).method == "reply")
    #expect(ended.wait(milliseconds: 10_000) == "cancelled")
    withExtendedLifetime(house) {}
  }

  @Test(
    "arguments that make no gram are the model's mistake and harm nobody",
    arguments: [
      "x", "{", "{\"z\":\"\u{1}\"}", "", String(repeating: "[", count: 64) + String(repeating: "]", count: 64), "{\n\"z\":\r\n1}",
    ])
  func arguments(_ arguments: String) throws {
    let (house, client) = try house(caller())
    let question = JSON.object(["text": .string(arguments), "tools": ["BABS.observe"]]).text
    let reply = try client.ask("ROBIN", "chat", question, id: 1)
    if arguments.hasSuffix("1}") {
      #expect((reply.payload["BABS.observe"] as? [String: Any])?["saw"] as? [String: Int] == ["z": 1], "\(reply)")
    } else {
      #expect((reply.payload["BABS.observe"] as? String)?.hasPrefix("bad_json: ") == true, "\(reply)")
    }
    #expect(try client.ask("BABS", "observe", "1", id: 2).method == "reply")
    withExtendedLifetime(house) {}
  }

  @Test("a conversation that waits for a tool is not asked on by whom the tool asks; another thread is")
  func circle() throws {
    // BABS.chat is no tool by its about text, so the model of the test calls it on its own account.
    let model = ScriptedModel { question, tell in
      guard question.persona == "ROBIN", !question.tools.isEmpty else { return tell(.finished(.success(Array(#"{"text":"in"}"#.utf8)))) }
      question.onToolCall?("BABS.relay", Array((question.request.text ?? "").utf8)) { result in
        switch result {
        case .success(let json): tell(.finished(.success(json)))
        case .failure(let failure): tell(.finished(.failure(failure)))
        }
      }
    }
    let house = try House([("ROBIN", "thinker", [:]), ("BABS", "thinker", ["PEER": "ROBIN"])], language: model)
    let client = try house.attached("GUI")
    for name in ["ROBIN", "BABS"] { try house.settle(name, as: client) }
    func ask(_ inner: String, _ id: Int) throws -> Gram {
      let text = JSON.string(inner).text
      return try client.ask("ROBIN", "chat", #"{"text":\#(text),"tools":["BABS.observe"],"thread":"t"}"#, id: id)
    }
    let error = try ask(#"{"text":"x","thread":"t"}"#, 1)
    #expect(error.code == "invalid" && error.message?.contains("ROBIN/t waits for this very answer") == true, "\(error)")
    #expect(try ask(#"{"text":"x","thread":"u"}"#, 2)["text"] == "in")
    #expect(try ask(#"{"text":"x","thread":"t","remember":false}"#, 3)["text"] == "in")
    withExtendedLifetime(house) {}
  }

  @Test("what is called after the question has ended is not asked any more")
  func late() throws {
    let late = Promise<Failure.Code>()
    let question = Promise<LanguageQuestion>()
    let model = ScriptedModel { asked, tell in
      question.fulfill(asked)
      tell(.finished(.success(Array("{}".utf8))))
    }
    let (house, client) = try house(model)
    #expect(try client.ask("ROBIN", "chat", #"{"text":"x","tools":["BABS.observe"]}"#, id: 1).method == "reply")
    question.wait(milliseconds: 10_000)?.onToolCall?("BABS.observe", Array(#"{"z":"moon"}"#.utf8)) { result in
      if case .failure(let failure) = result { late.fulfill(failure.code) }
    }
    #expect(late.wait(milliseconds: 10_000) == .cancelled)
    withExtendedLifetime(house) {}
  }
}
