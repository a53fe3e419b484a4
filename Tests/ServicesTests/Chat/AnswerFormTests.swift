import Kernel
import Testing
import Wire

@testable import Services

@Suite("Answers of a form") struct AnswerFormTests {
  private static let question =
    #"{"text":"Which colour?","format":{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"]}}"#

  private static func answer(_ text: String) -> [ScriptedServer.Step] {
    Recording.ollamaAnswer(String(JSON.string(text).text.dropFirst().dropLast()))
  }

  @Test("what is right comes as JSON, in one piece, and the schema has gone to the server")
  func right() async throws {
    let server = ScriptedServer([Self.answer(#"{"colour":"red"}"#)])
    let models = makeModels(.ollama, url: server.url)
    let (pieces, result) = await Reply(models, Self.question).whole()
    #expect(pieces == [#"{"colour":"red"}"#])
    #expect(try result.get().text == #"{"colour":"red"}"#)
    #expect(server.requests.count == 1 && server.requests[0].body.contains(#""format":{"type":"object""#), "\(server.requests)")
    models.stop()
  }

  @Test("what is wrong is given back once with what is wrong with it; of that nothing is shown and nothing is kept")
  func repaired() async throws {
    let server = ScriptedServer([
      Self.answer(#"{"color":"red"}"#), Self.answer(#"{"colour":"blue"}"#), Self.answer("Yes"),
    ])
    let models = makeModels(.ollama, url: server.url)
    let (pieces, result) = await Reply(models, Self.question).whole()
    #expect(pieces == [#"{"colour":"blue"}"#])
    #expect(try result.get().text == #"{"colour":"blue"}"#)
    let again = server.requests[1].contents
    #expect(again[again.count - 2] == #"{"color":"red"}"# && again.last?.contains("colour") == true, "\(again)")
    _ = try await Reply(models, #"{"text":"Sure?"}"#).conclusion()
    #expect(server.requests[2].contents == ["Which colour?", #"{"colour":"blue"}"#, "Sure?"])
    models.stop()
  }

  @Test(
    "what is wrong twice is an error that has the violations and the text",
    arguments: [(#"{"colour":7}"#, "colour"), ("red", "it is no JSON")])
  func wrong(_ answer: String, _ why: String) async throws {
    let server = ScriptedServer([Self.answer(answer)])
    let models = makeModels(.ollama, url: server.url)
    let failure = await Reply(models, Self.question).failure()
    #expect(failure?.code == .llmInvalid && failure?.message.contains(why) == true, "\(failure as Any)")
    #expect(failure?.message.hasSuffix("It said: \(answer)") == true && server.requests.count == 2)
    models.stop()
  }

  @Test("an answer that is cut off is wrong, and so is a schema by which nothing can be checked, before anybody is asked")
  func cutOff() async throws {
    let form = try AnswerForm(.json)
    #expect(throws: AnswerForm.Violations.self) { try form.read("12", finish: "length") }
    #expect(try form.read("12", finish: "stop") == 12)
    #expect(try form.read("\n```json\n{\"a\":1}\n```\n", finish: "stop") == ["a": 1] && form.read("```\r\n[1]```", finish: nil) == [1])
    for text in ["```", "``````", "```json```", "a ```\n1\n```"] {
      #expect(throws: AnswerForm.Violations.self) { try form.read(text, finish: "stop") }
    }
    let server = ScriptedServer([Self.answer("12")])
    let models = makeModels(.ollama, url: server.url)
    let failure = await Reply(models, #"{"text":"?","format":{"type":"string","pattern":"^a"}}"#).failure()
    #expect(failure?.code == .invalid && failure?.message.contains("pattern") == true && server.requests.isEmpty, "\(failure as Any)")
    models.stop()
  }
}
