import Kernel
import Protocol
import Testing
import Wire

@testable import Services

@Suite struct ChatQuestionTests {
  func read(
    _ body: String, prompt: String = "You are BRICK", overrides: LanguageOverrides = .init()
  ) throws(Failure) -> ChatQuestion {
    try ChatQuestion(
      .init(persona: "BRICK", prompt: prompt, overrides: overrides, request: ChatRequest(Array(body.utf8), of: "BRICK")))
  }

  @Test("a number in JSON that no Double holds is written as null")
  func infinity() throws {
    #expect(PayloadCoding.bytes(of: EncodableJSON(try JSON(parsing: "[1e400,1.5]".utf8))) == Array("[null,1.5]".utf8))
  }

  @Test(
    "numbers that no Double holds and halves of surrogate pairs are taken, or refused with their key, wherever they stand",
    arguments: [
      #"{"text":"Hi","format":{"const":1e400}}"#, #"{"text":"Hi","format":{"const":"\ud800"}}"#, #"{"text":"\ud800"}"#,
      #"{"text":"Hi","format":{"enum":[1e400,-1e400]}}"#, #"{"text":"Hi","format":{"properties":{"\udc00":{"type":"string"}}}}"#,
      #"{"text":"Hi","thread":"\ud800"}"#, #"{"messages":[{"role":"user","content":"\ud83d"}]}"#, #"{"text":"Hi","stop":["\ud800"]}"#,
      #"{"text":"Hi","seed":1e400}"#, #"{"text":"Hi","max_tokens":9223372036854775807}"#, #"{"text":"Hi","temperature":1e400}"#,
      #"{"text":"Hi","tool_rounds":1e400}"#, #"{"text":"Hi","\ud800":1}"#, #"{"text":"Hi","format":1e400}"#,
      #"{"text":"Hi","format":"\ud800"}"#,
    ])
  func hostile(_ body: String) {
    do throws(Failure) {
      let question = try read(body)
      _ = question.form.map { try? $0.read("1", finish: "stop") }
      var provider = ProviderConfiguration()
      (provider.kind, provider.model) = (.openai, "m")
      let server = ModelServer(provider, localSocket: "/model.sock") { _ in nil }
      let prompt = Prompt(system: "", earlier: [], question: question.messages, estimate: .init(), window: 4096, reserve: 100)
      _ = try server.request(question, prompt)
    } catch { #expect(error.code == .invalid) }
  }

  @Test("half a surrogate pair is read as U+FFFD; a temperature that cannot be sent, and names without end, are refused")
  func values() throws {
    #expect(try read(#"{"text":"a\ud800"}"#).messages[0].content == "a\u{FFFD}")
    #expect(throws: Failure.self) { try read(#"{"text":"Hi","temperature":1e400}"#) }
    for key in ["model", "provider"] {
      let failure = #expect(throws: Failure.self) { try read(#"{"text":"Hi","\#(key)":"\#(String(repeating: "x", count: 257))"}"#) }
      #expect(failure?.message.contains("\"\(key)\" has 257 bytes; it may have 256") == true)
    }
  }

  @Test("a text alone is the next question of the conversation \"main\"")
  func text() throws {
    let question = try read(#"{"text":"Hi"}"#)
    #expect(question.thread == ThreadKey(persona: "BRICK", thread: "main"))
    #expect(question.system == "You are BRICK")
    #expect(question.messages == [ChatMessage(role: .user, content: "Hi")])
  }

  @Test("the question stands above the persona's part of personas.toml")
  func precedence() throws {
    let overrides = LanguageOverrides(temperature: 0.5, maxTokens: 20)
    let asked = try read(
      #"{"text":"Hi","provider":"cloud","model":"own","temperature":1,"max_tokens":30,"system":""}"#, overrides: overrides)
    #expect(asked.provider == "cloud" && asked.model == "own" && asked.temperature == 1 && asked.maxTokens == 30 && asked.system == "")
    let persona = try read(#"{"text":"Hi"}"#, overrides: overrides)
    #expect(persona.temperature == 0.5 && persona.maxTokens == 20)
    let silent = try read(#"{"text":"Hi"}"#)
    #expect(silent.provider == nil && silent.model == nil && silent.temperature == nil && silent.maxTokens == nil)
  }

  @Test("given messages take the history's place, and their system message the prompt's")
  func messages() throws {
    let question = try read(
      #"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":"3"}],"text":"4"}"#
    )
    #expect(question.thread == nil)
    #expect(question.system == "S")
    #expect(question.earlier.map { $0.map(\.content) } == [["1", "2"], ["3"]])
    #expect(question.messages.map(\.content) == ["4"])
  }

  @Test("remember false belongs to no conversation")
  func remember() throws { #expect(try read(#"{"text":"Hi","remember":false}"#).thread == nil) }

  @Test("a schema stays byte for byte, its keys in the author's order")
  func schema() throws {
    let schema = #"{"type":"object","properties":{"z":{"type":"string"},"a":{"enum":["}\"{",1.50]}}}"#
    #expect(try read(#"{"text":"a \" , \\", "format" : \#(schema) , "stop":["x"]}"#).format == .schema(Array(schema.utf8)))
    #expect(try read(#"{"format":"json","text":"Hi"}"#).format == .json)
    #expect(try read(#"{"format":null,"text":"Hi"}"#).format == nil)
  }

  @Test("stop may be one string or several")
  func stop() throws {
    #expect(try read(#"{"text":"Hi","stop":"a"}"#).stop == ["a"])
    #expect(try read(#"{"text":"Hi","stop":["a","b"]}"#).stop == ["a", "b"])
  }

  @Test(
    "a wrong question is refused, and the message names the key",
    arguments: [
      (#"{"text":3}"#, "\"text\" is not a string"), (#"{"text":"Hi","temperature":"hot"}"#, "\"temperature\""),
      (#"{"txt":"Hi"}"#, "no key \"txt\""), (#"{}"#, "neither \"text\" nor a message"), (#"[1]"#, "not a JSON object"),
      ("nonsense", "not a JSON object"),
      (#"{"text":"Hi","format":"yaml"}"#, "\"format\""), (#"{"text":"Hi","max_tokens":0}"#, "\"max_tokens\" is 0"),
      (#"{"messages":[{"role":"robot","content":"x"}]}"#, "messages[0].role"), (#"{"messages":[]}"#, "neither"),
      (#"{"messages":[{"role":"system","content":"x"}]}"#, "neither"), (#"{"text":"Hi","tools":"BABS.*"}"#, "\"tools\""),
      (#"{"text":"Hi","tool_rounds":33}"#, "\"tool_rounds\" is 33"),
      (#"{"text":"Hi","format":{"maximum":1e400}}"#, "no answer can be checked: #/maximum must be a number"),
    ])
  func refused(_ body: String, _ part: String) {
    let failure = #expect(throws: Failure.self) { _ = try read(body) }
    #expect(failure?.code == .invalid)
    #expect(failure?.message.contains(part) == true, "\(failure?.message ?? "")")
    #expect(failure?.message.contains("BRICK") == true)
  }
}
