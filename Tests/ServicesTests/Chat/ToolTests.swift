import Foundation
import Kernel
import Protocol
import Synchronization
import Testing
import Wire

@testable import Services

/// A model that calls tools, played by scripted servers.
@Suite struct ToolTests {
  typealias Step = ScriptedServer.Step

  static let observe = LanguageTool(
    name: "BABS.observe", summary: "Looks through the telescope",
    takes: #"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}},"required":["z"]}"#)
  static let order = LanguageTool(name: "ALFRED.order", summary: "Keeps order")

  /// Notes what is called, and answers as the test says.
  final class ToolCatalog: Sendable {
    private let noted = Mutex<[String]>([])
    var calls: [String] { noted.withLock { $0 } }
    let answer: @Sendable (String, @escaping @Sendable (Result<[UInt8], Failure>) -> Void) -> Void

    init(
      answer: @escaping @Sendable (String, @escaping @Sendable (Result<[UInt8], Failure>) -> Void) -> Void = { tool, done in
        done(.success(Array("{\"by\":\"\(tool)\"}".utf8)))
      }
    ) { self.answer = answer }

    func offer(_ tools: [LanguageTool] = [observe, order]) -> (inout LanguageQuestion) -> Void {
      { question in
        question.tools = tools
        question.onToolCall = { [self] tool, arguments, done in
          noted.withLock { $0.append("\(tool) \(String(decoding: arguments, as: UTF8.self))") }
          answer(tool, done)
        }
      }
    }
  }

  /// Ollama's answer with calls of tools: name and arguments.
  static func ollama(_ calls: (String, String)..., text: String = "") -> [Step] {
    let list = calls.map { #"{"function":{"name":"\#($0)","arguments":\#($1)}}"# }.joined(separator: ",")
    return [
      .head(), .chunk(#"{"model":"m","message":{"role":"assistant","content":"\#(text)","tool_calls":[\#(list)]},"done":false}"# + "\n"),
      .chunk(Recording.ollamaEnd()), .lastChunk,
    ]
  }

  static let openAICalls = """
    data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"BABS_observe","arguments":""}}]}}],"model":"m"}

    data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"z\\":"}}]}}]}

    data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","function":{"name":"ALFRED_order","arguments":"{}"}}]}}]}

    data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"moon\\"}"}}]}}]}

    data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

    data: {"choices":[],"usage":{"completion_tokens":7,"prompt_tokens":20}}

    data: [DONE]


    """
  static let calls = [
    ToolCall(id: "c1", name: "BABS_observe", arguments: #"{"z":"moon"}"#), ToolCall(id: "c2", name: "ALFRED_order", arguments: "{}"),
  ]

  @Test("calls that come in pieces are put together, however the bytes are cut")
  func pieces() {
    let bytes = Array(Self.openAICalls.utf8)
    for cut in bytes.indices {
      let outcome = DecoderTests.decode([bytes[..<cut], bytes[cut...]])
      #expect(outcome.answer.toolCalls == Self.calls && outcome.answer.finish == "tool_calls" && outcome.faults == [])
    }
  }

  @Test("calls that come whole need no number")
  func whole() {
    let line =
      #"data: {"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#
    let outcome = DecoderTests.decode([Array((line + "\n\n").utf8)])
    #expect(outcome.answer.toolCalls.map(\.name) == ["f", "g"])
    let wild = #"data: {"choices":[{"delta":{"tool_calls":[{"index":999999999,"function":{"name":"f"}},{"index":-1}]}}]}"#
    #expect(DecoderTests.decode([Array((wild + "\n\n").utf8)]).answer.toolCalls.map(\.name) == ["f"])
    let ollama =
      #"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":[1,"x"]}}},{"id":"q","function":{"name":"g"}}]},"done":true}"#
    #expect(
      DecoderTests.decode([Array((ollama + "\n").utf8)]).answer.toolCalls == [
        ToolCall(id: "call_1", name: "f", arguments: #"{"a":[1,"x"]}"#), ToolCall(id: "q", name: "g", arguments: "{}"),
      ])
  }

  @Test("a tool is offered under a name that servers take, with its schema byte for byte")
  func names() throws {
    let tools = Toolset([Self.observe, .init(name: "B.a.b", summary: "x"), .init(name: "B.a_b", summary: "é")])
    let json = String(decoding: tools.json, as: UTF8.self)
    #expect(json.contains(#""name":"BABS_observe","parameters":\#(Self.observe.takes!)"#))
    #expect(json.contains(#""name":"B_a_b""#) && json.contains(#""name":"B_a_b_2""#))
    #expect(try JSON(parsing: tools.json).array?.count == 3)
    func read(_ name: String, _ arguments: String) -> String {
      switch tools.read(ToolCall(id: "1", name: name, arguments: arguments)) {
      case .success(let (tool, arguments)): "\(tool) \(String(decoding: arguments, as: UTF8.self))"
      case .failure(let failure): failure.code.rawValue + ": " + failure.message
      }
    }
    #expect(read("BABS_observe", #"{"z":"moon"}"#) == #"BABS.observe {"z":"moon"}"#)
    #expect(read("BABS.observe", #"{"z":"moon"}"#) == #"BABS.observe {"z":"moon"}"#)
    #expect(read("B_a_b_2", "") == "B.a_b {}")
    #expect(read("BABS_obsrve", "{}").hasPrefix("unknown_method: there is no tool BABS_obsrve; there are BABS_observe"))
    #expect(read("BABS_observe", #"{"z":1}"#).contains("do not fit: $.z is"))
    #expect(read("BABS_observe", "{}").contains("$.z is missing"))
    #expect(read("BABS_observe", #"{"z":"#).hasPrefix("bad_json: "))
    #expect(read("BABS_observe", "[1]").contains("no JSON object"))
  }

  @Test("the model calls tools, is told what came of it, and answers; the result and the history hold the calls", arguments: [true, false])
  func conversation(_ isOllama: Bool) async throws {
    let first =
      isOllama
      ? Self.ollama(("BABS_observe", #"{"z":"moon"}"#), ("ALFRED_order", "{}"))
      : [Step.head("text/event-stream"), .chunk(Self.openAICalls), .lastChunk]
    let answer = isOllama ? Recording.ollamaAnswer("A moon.") : [Step.head("text/event-stream"), .chunk(Recording.openAI), .lastChunk]
    let server = ScriptedServer([first, answer, answer])
    let models = makeModels(isOllama ? .ollama : .openai, url: server.url)
    let toolbox = ToolCatalog()
    let conclusion = try await Reply(models, #"{"text":"Look","tools":["BABS.observe","ALFRED.*"]}"#, change: toolbox.offer()).conclusion()
    #expect(conclusion.text == (isOllama ? "A moon." : Recording.text))
    #expect(Set(toolbox.calls) == [#"BABS.observe {"z":"moon"}"#, "ALFRED.order {}"])
    #expect(
      conclusion.tool_calls == [
        .init(tool: "BABS.observe", arguments: ["z": "moon"], result: ["by": "BABS.observe"]),
        .init(tool: "ALFRED.order", arguments: [:], result: ["by": "ALFRED.order"]),
      ])
    #expect(conclusion.prompt_tokens == (isOllama ? 52 : 46), "both rounds were read")
    let offered = try JSON(parsing: server.requests[0].body.utf8)["tools"]?.array?.compactMap { $0["function"]?["name"]?.string }
    #expect(offered == ["BABS_observe", "ALFRED_order"])

    _ = try await Reply(models, #"{"text":"And now?"}"#).conclusion()
    for request in server.requests[1...] {
      let messages = try #require(try JSON(parsing: request.body.utf8)["messages"]?.array)
      #expect(messages.prefix(4).map { $0["role"]?.string } == ["user", "assistant", "tool", "tool"])
      let call = messages[1]["tool_calls"]?.array?.first
      #expect(call?["function"]?["name"] == "BABS_observe")
      #expect(call?["function"]?["arguments"] == (isOllama ? ["z": "moon"] : #"{"z":"moon"}"#))
      #expect(messages[2]["content"] == #"{"by":"BABS.observe"}"#)
      #expect(messages[2][isOllama ? "tool_name" : "tool_call_id"] == (isOllama ? "BABS_observe" : "c1"))
    }
    #expect(try JSON(parsing: server.requests[2].body.utf8)["tools"] == nil, "tools are the question's, not the conversation's")
    models.stop()
  }

  @Test("what cannot be called, and what fails, is told to the model, which may do better")
  func errors() async throws {
    let server = ScriptedServer([
      Self.ollama(("BABS_observe", #"{"z":1}"#), ("NOBODY_x", "{}"), ("ALFRED_order", "{}"), text: "Hm."), Recording.ollamaAnswer("Sorry."),
    ])
    let models = makeModels(.ollama, url: server.url)
    let toolbox = ToolCatalog { _, done in done(.failure(Failure(.failed, "the shutters are closed"))) }
    let (pieces, result) = await Reply(models, #"{"text":"Look","tools":["x"]}"#, change: toolbox.offer()).whole()
    let conclusion = try result.get()
    #expect(toolbox.calls == ["ALFRED.order {}"])
    #expect(conclusion.tool_calls?.map { $0.error?.code } == ["invalid", "unknown_method", "failed"])
    #expect(conclusion.tool_calls?.map(\.tool) == ["BABS.observe", "NOBODY_x", "ALFRED.order"])
    #expect(conclusion.text == "Hm.\n\nSorry." && pieces.joined() == conclusion.text, "what is streamed is what is answered")
    let told = server.requests[1].contents
    #expect(told[2].contains("$.z is") && told[3].contains("there is no tool NOBODY_x") && told[4].contains("the shutters are closed"))
    models.stop()
  }

  @Test("after its rounds the model must answer, and one that calls again has failed", arguments: [true, false])
  func rounds(_ isOllama: Bool) async throws {
    let calling = isOllama ? Self.ollama(("ALFRED_order", "{}")) : [Step.head("text/event-stream"), .chunk(Self.openAICalls), .lastChunk]
    let server = ScriptedServer([calling])
    let models = makeModels(isOllama ? .ollama : .openai, url: server.url)
    let failure = await Reply(models, #"{"text":"Look","tools":["x"],"tool_rounds":2}"#, change: ToolCatalog().offer()).failure()
    #expect(failure?.code == .llmGarbled && failure?.message.contains("tool_rounds") == true, "\(failure?.message ?? "")")
    #expect(server.requests.count == 3)
    let last = try JSON(parsing: server.requests[2].body.utf8)
    if isOllama { #expect(last["tools"] == nil) } else { #expect(last["tool_choice"] == "none" && last["tools"] != nil) }
    #expect(try JSON(parsing: server.requests[1].body.utf8)["tools"] != nil)
    models.stop()
  }

  @Test("at most eight tools are called at once, and a long result does not fill the window")
  func bounds() {
    let tools = Toolset([Self.order])
    var round = ToolRound((1...10).map { ToolCall(id: "\($0)", name: "ALFRED_order", arguments: "{}") }, tools, at: 0)
    #expect(round.entries.count { $0.outcome == nil } == 8)
    for index in 0..<8 { round.end(index, .success(Array("\"\(String(repeating: "x", count: 998))\"".utf8)), at: 5) }
    round.end(0, .success([]), at: 9)
    #expect(round.isOver)
    let messages = round.messages(limit: 100)
    #expect(messages[0].content.hasSuffix("(cut off: 1000 bytes in all)") && messages[0].content.utf8.count < 150)
    #expect(messages[9].content.contains("at most 8") && messages[9].toolCallID == "10")
    #expect(round.report[0]["ms"] == 5 && round.report[9]["error"]?["code"] == "queue_full")
  }

  @Test("whoever is called may ask the model itself, though it has one slot")
  func slot() async throws {
    let server = ScriptedServer([Self.ollama(("ALFRED_order", "{}")), Recording.ollamaAnswer("inner"), Recording.ollamaAnswer("outer")])
    let models = makeModels(.ollama, url: server.url) { $0.standard.parallel = 1 }
    let toolbox = ToolCatalog { [unowned models] _, done in
      Task {
        let inner = try await Reply(models, #"{"text":"?"}"#, persona: "ALFRED").conclusion()
        done(.success(JSON.string(inner.text).bytes))
      }
    }
    let outer = try await Reply(models, #"{"text":"Look","tools":["x"]}"#, change: toolbox.offer()).conclusion()
    #expect(outer.text == "outer" && outer.tool_calls?.first?.result == "inner")
    models.stop()
  }

  @Test("a question that is cancelled while its tools are out ends at once, and what they answer goes nowhere")
  func cancel() async throws {
    let server = ScriptedServer([Self.ollama(("ALFRED_order", "{}")), Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    let (called, continuation) = AsyncStream<@Sendable (Result<[UInt8], Failure>) -> Void>.makeStream()
    let reply = Reply(models, #"{"text":"1","tools":["x"]}"#, change: ToolCatalog { _, done in continuation.yield(done) }.offer())
    var calls = called.makeAsyncIterator()
    let done = try #require(await calls.next())
    reply.call.cancel()
    #expect(await reply.failure()?.code == .cancelled)
    done(.success(Array("1".utf8)))
    done(.success(Array("2".utf8)))
    #expect(try await Reply(models, #"{"text":"2"}"#).conclusion().text == "A")
    #expect(server.requests.last?.contents == ["2"], "nothing of it is in the history")
    models.stop()
  }

  @Test("a turn with calls is forgotten as a whole")
  func forgotten() {
    let turn: Turn = [
      ChatMessage(role: .user, content: "Look"), ChatMessage(role: .assistant, content: "", toolCalls: Self.calls),
      ChatMessage(role: .tool, content: String(repeating: "x", count: 4000), toolCallID: "c1"),
      ChatMessage(role: .tool, content: "{}", toolCallID: "c2"), ChatMessage(role: .assistant, content: "A moon."),
    ]
    let next = [ChatMessage(role: .user, content: "And now?")]
    let prompt = Prompt(system: "", earlier: [turn, [next[0]]], question: next, estimate: .init(), window: 1024, reserve: 256)
    #expect(prompt.messages == [next[0], next[0]] && prompt.forgotten == 1)
    let whole = Prompt(system: "", earlier: [turn], question: next, estimate: .init(), window: 8192, reserve: 256)
    #expect(whole.messages == turn + next)
    let back = try? JSONDecoder().decode(Turn.self, from: JSONEncoder().encode(turn))
    #expect(back == turn, "as histories are kept")
  }
}
