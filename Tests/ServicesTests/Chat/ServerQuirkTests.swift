import Foundation
import Kernel
import Protocol
import Synchronization
import TestSupport
import Testing

@testable import Services

/// What servers do that is in no protocol, over a real connection.
@Suite struct ServerQuirkTests {
  typealias Step = ScriptedServer.Step

  static let good: [Step] = [.head("text/event-stream"), .chunk(Recording.openAI), .lastChunk]

  /// One of each kind.
  static let answers = [
    "an empty finish in each piece", "infinite timings", "rubbish behind the end", "a comment made an event",
    "events divided by one line feed",
    "a thought in a list", "think tags cut in pieces", "halves of a pair in two pieces", "UTF-8 of four bytes in three pieces",
    "an answer that was not streamed, indented", "message for delta", "a code that says success", "reasoning as an object",
    "values without line feeds", "an empty finish in each piece, and cut off",
  ]

  @Test("an answer is read over a connection as it is in memory, sent byte by byte", arguments: answers)
  func socket(_ name: String) async throws {
    let answer = try #require(RecordedAnswer.all.first { $0.name == name })
    let bytes = answer.body.map { Step.send(Array("1\r\n".utf8) + [$0] + Array("\r\n".utf8)) }
    let server = ScriptedServer([[.head("text/event-stream")] + bytes + [.lastChunk]])
    let models = makeModels(.openai, url: server.url)
    let thoughts = Mutex("")
    let (pieces, result) = await Reply(models, #"{"text":"Hi"}"#, onThought: { line in thoughts.withLock { $0 += line } }).whole()
    #expect(pieces.joined() == answer.text)
    if answer.end == .whole {
      #expect(try result.get().text == answer.text)
      #expect(try result.get().finish == answer.finish)
    } else {
      #expect(throws: Failure.self) { try result.get() }
    }
    #expect(thoughts.withLock { $0.isEmpty } == answer.thought.isEmpty)
    models.stop()
    server.stop()
  }

  @Test("a pause of more than a second between words that each have an empty finish cuts nothing off")
  func pauses() async throws {
    func piece(_ text: String, finish: String = "") -> Step {
      .chunk("data: {\"choices\":[{\"delta\":{\"content\":\"\(text)\"},\"finish_reason\":\"\(finish)\"}]}\n\n")
    }
    let gates = [ScriptedServer.Gate(), ScriptedServer.Gate()]
    let script: [Step] = [
      .head("text/event-stream"), piece("one "), .wait(gates[0]), piece("two "), .wait(gates[1]), piece("three", finish: "stop"),
      .lastChunk,
    ]
    let server = ScriptedServer([script])
    let models = makeModels(.openai, url: server.url)
    let reply = Reply(models, #"{"text":"Hi"}"#)
    for gate in gates { DispatchQueue.global().asyncAfter(deadline: .now() + 2.5) { gate.open() } }
    #expect(try await reply.conclusion().text == "one two three")
    models.stop()
    server.stop()
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var status = 400
    var body: String
    var question = #"{"text":"Hi"}"#
    /// What is in the first request, and in no later one.
    var gone: String
    /// What is in the later ones instead.
    var instead: String?
  }

  static let refusals: [Refusal] = [
    Refusal(
      testDescription: "stream_options at Mistral", status: 422,
      body:
        #"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
      gone: "stream_options"),
    Refusal(
      testDescription: "stream_options at Azure",
      body: #"{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error"}}"#,
      gone: "stream_options"),
    Refusal(
      testDescription: "stream_options at a server that writes text", status: 500,
      body: "TypeError: got an unexpected keyword argument 'stream_options'",
      gone: "stream_options"),
    Refusal(
      testDescription: "max_tokens at OpenAI's newer models",
      body:
        #"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
      question: #"{"text":"Hi","max_tokens":7}"#, gone: "max_tokens", instead: "max_completion_tokens"),
    Refusal(
      testDescription: "temperature at OpenAI's newer models",
      body:
        #"{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
      question: #"{"text":"Hi","temperature":0.5}"#, gone: "temperature"),
    Refusal(
      testDescription: "seed", status: 422,
      body: #"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":3}]}"#,
      question: #"{"text":"Hi","seed":3}"#, gone: "seed"),
    Refusal(
      testDescription: "stop",
      body: #"{"error":{"message":"Unsupported parameter: 'stop' is not supported with this model.","param":"stop"}}"#,
      question: #"{"text":"Hi","stop":["x"]}"#, gone: "stop"),
    Refusal(
      testDescription: "a schema at DeepSeek",
      body: #"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error"}}"#,
      question: #"{"text":"Hi","format":{"type":"string"}}"#, gone: "json_schema", instead: #"fit this JSON schema: {\"type\":\"string\"}"#),
    Refusal(
      testDescription: "JSON at LM Studio", body: #"{"error":"'response_format.type' must be 'json_schema' or 'text'"}"#,
      question: #"{"text":"Hi","format":"json"}"#, gone: "response_format"),
    Refusal(
      testDescription: "a stream without being verified",
      body:
        #"{"error":{"message":"Your organization must be verified to stream this model.","param":"stream","code":"unsupported_value"}}"#,
      gone: #""stream":true"#, instead: #""stream":false"#),
    Refusal(
      testDescription: "the system prompt with Gemma", status: 500,
      body: #"{"error":{"code":500,"message":"System role not supported","type":"server_error"}}"#,
      gone: #""role":"system""#, instead: #"S\n\nHi"#),
  ]

  /// An answer of JSON, for whatever is asked.
  static let json: [Step] = [
    .head("text/event-stream"), .chunk("data: {\"choices\":[{\"delta\":{\"content\":\"\\\"ok\\\"\"},\"finish_reason\":\"stop\"}]}\n\n"),
    .lastChunk,
  ]

  @Test("a server that refuses a part of a request is asked once without it, and that is remembered", arguments: refusals)
  func refusal(_ refusal: Refusal) async throws {
    let server = ScriptedServer([[.answer(refusal.status, refusal.body)], Self.json])
    let models = makeModels(.openai, url: server.url)
    for _ in 1...2 { #expect(try await Reply(models, refusal.question, prompt: "S").conclusion().text == "\"ok\"") }
    let bodies = server.requests.map(\.body)
    #expect(bodies.count == 3)
    #expect(bodies[0].contains(refusal.gone))
    for body in bodies.dropFirst() {
      #expect(!body.contains("\"\(refusal.gone)\"") && (refusal.gone.hasPrefix("\"") ? !body.contains(refusal.gone) : true), "\(body)")
      if let instead = refusal.instead { #expect(body.contains(instead), "\(body)") }
    }
    models.stop()
    server.stop()
  }

  @Test("a model without tools is asked without them, at Ollama too, and a question that is refused for itself is told")
  func tools() async throws {
    let refused = Step.answer(400, #"{"error":"registry.ollama.ai/library/gemma:2b does not support tools"}"#)
    let server = ScriptedServer([
      [refused], Recording.ollamaAnswer("A"), Recording.ollamaAnswer("B"), [.answer(400, #"{"error":"no, for no reason"}"#)],
    ])
    let models = makeModels(.ollama, url: server.url)
    for text in ["A", "B"] {
      #expect(try await Reply(models, #"{"text":"Hi","tools":["x"]}"#, change: ToolTests.ToolCatalog().offer()).conclusion().text == text)
    }
    #expect(server.requests.map { $0.json["tools"] == nil } == [false, true, true])
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(failure?.code == .llmRefused && server.requests.count == 4)
    models.stop()
    server.stop()
  }

  @Test("a value that is too large is left out once, and not for ever")
  func value() async throws {
    let refused = Step.answer(
      400,
      #"{"error":{"message":"max_tokens is too large: 9000. This model supports at most 4096 completion tokens","param":"max_tokens"}}"#)
    let other = Step.answer(400, #"{"error":{"message":"max_completion_tokens is too large: 9000","param":"max_completion_tokens"}}"#)
    let server = ScriptedServer([[refused], [other], Self.good, Self.good])
    let models = makeModels(.openai, url: server.url)
    for _ in 1...2 { _ = try await Reply(models, #"{"text":"Hi","max_tokens":9000}"#).conclusion() }
    #expect(server.requests.map { $0.json["max_tokens"] != nil } == [true, false, false, true])
    models.stop()
    server.stop()
  }

  @Test("a model that was only loaded is asked again, also where nothing is to be retried")
  func loaded() async throws {
    let load = #"{"model":"m","message":{"role":"assistant","content":""},"done_reason":"load","done":true}"# + "\n"
    let server = ScriptedServer([[.head(), .chunk(load), .lastChunk], Recording.ollamaAnswer("A")])
    let models = makeModels(.ollama, url: server.url)
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == "A")
    models.stop()
    server.stop()
  }

  @Test("a server that has moved is told with its new address, and the key does not go there", arguments: [301, 302, 307, 308])
  func moved(_ status: Int) async throws {
    let server = ScriptedServer([[.answer(status, "", headers: "Location: https://new.example/v1/chat/completions\r\n")]])
    let models = makeModels(.openai, url: server.url)
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(failure?.code == .llmRefused && failure?.message.contains("https://new.example/v1/chat/completions") == true)
    #expect(server.requests.count == 1)
    models.stop()
    server.stop()
  }

  @Test("nothing compressed is asked for, and what comes compressed all the same is read")
  func compressed() async throws {
    let body = Array(Recording.openAI.utf8)
    // gzip with one block that is stored.
    var crc: UInt32 = .max
    for byte in body {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    func little(_ number: UInt32, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) } }
    let length = UInt32(body.count)
    let zipped: [UInt8] =
      [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1] + little(length, 2) + little(~length, 2) + body + little(~crc, 4) + little(length, 4)
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: \(zipped.count)\r\n\r\n"
    let server = ScriptedServer([[.text(head), .send(zipped)]])
    let models = makeModels(.openai, url: server.url)
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == Recording.text)
    #expect(server.requests[0].head.contains("Accept-Encoding: identity"))
    models.stop()
    server.stop()
  }

  @Test("a key may have a byte order mark before it, and no character that no key has")
  func key() throws {
    let path = makeFolder() + "/key"
    func key(_ text: String) -> ServerKey {
      _ = FileManager.default.createFile(atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
      return ServerKey(file: path)
    }
    #expect(key("\u{FEFF}sk-secret\r\n").header == "Authorization: Bearer sk-secret")
    #expect(key("\u{FEFF}sk-secret").obstacle(section: "llm") == nil)
    #expect(key("sk-\u{200B}secret").obstacle(section: "llm")?.contains("no key has") == true)
    #expect(key("\u{FEFF}").obstacle(section: "llm")?.contains("is empty") == true)
  }

  @Test("four questions that hang do not hold up a person's: it is answered beside them")
  func hanging() async throws {
    let hang: [Step] = [.untilClosed]
    // Signs of life are no answer.
    let alive: [Step] = [.head("text/event-stream"), .chunk(": PROCESSING\n\n"), .untilClosed]
    let server = ScriptedServer([hang, alive, hang, alive, Self.good])
    let models = makeModels(.openai, url: server.url) { $0.standard.silenceMilliseconds = 60_000 }
    var seen = server.events.makeAsyncIterator()
    let hung = (1...4).map { Reply(models, #"{"text":"\#($0)","remember":false}"#) }
    for _ in 1...4 { _ = await seen.next() }
    #expect(try await Reply(models, #"{"text":"5"}"#, persona: "ROBIN").conclusion().text == Recording.text)
    #expect(hung.allSatisfy { !$0.isOver })
    models.stop()
    server.stop()
  }

  @Test("whoever asks for the models while they are being asked for gets the same answer: few requests, however many ask")
  func surveys() async throws {
    let server = ScriptedServer([[.answer(200, #"{"object":"list","data":[{"id":"big"},{"name":"b"},null,7]}"#)]])
    let models = makeModels(.openai, url: server.url)
    let (ends, continuation) = AsyncStream<Result<[UInt8], Failure>>.makeStream()
    for _ in 0..<3000 { models.models(of: nil) { continuation.yield($0) } }
    var count = 0
    for await end in ends {
      #expect(String(decoding: try end.get(), as: UTF8.self).contains(#""models":["b","big"]"#))
      count += 1
      if count == 3000 { break }
    }
    print("models.list: 3,000 askers, \(server.requests.count) requests")
    #expect(server.requests.count < 1000)
    models.stop()
    server.stop()
  }

  @Test("a survey that is under way ends when the kernel does")
  func surveyEnds() async throws {
    let server = ScriptedServer([[.untilClosed]])
    let models = makeModels(.openai, url: server.url)
    let (ends, continuation) = AsyncStream<Result<[UInt8], Failure>>.makeStream()
    models.models(of: nil) { continuation.yield($0) }
    models.stop()
    var end = ends.makeAsyncIterator()
    guard case .failure(let failure)? = await end.next() else {
      Issue.record("it was answered")
      return
    }
    #expect(failure.code == .retired)
    server.stop()
  }

  @Test("impossible counts of a server are brought to what can be, and no later question meets them, nor a later kernel")
  func counts() async throws {
    func counted(_ prompt: String, _ answer: String) -> [Step] {
      let text = "data: {\"choices\":[{\"delta\":{\"content\":\"A\"},\"finish_reason\":\"stop\"}]}\n\n"
      let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":\(prompt),\"completion_tokens\":\(answer)}}\n\n"
      return [.head("text/event-stream"), .chunk(text), .chunk(usage), .lastChunk]
    }
    let most = "9223372036854775807"
    let server = ScriptedServer([counted(most, most), counted("-9223372036854775808", "1e400"), counted(most, "-1"), counted("1", "1")])
    let folder = makeFolder()
    for _ in 1...2 {
      let models = makeModels(.openai, url: server.url, data: folder)
      for _ in 1...2 { #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == "A") }
      models.stop()
    }
    let spent = try HistoryStore(folder: folder).spent(on: CalendarDay(at: Int64(Date().timeIntervalSince1970 * 1000)).name)
    #expect((spent["BRICK"] ?? 0) <= Budget.most)
    server.stop()
  }

  @Test("a server that goes on for ever after its last word, or with a refusal, has been heard: the answer is whole, the refusal told")
  func endless() async throws {
    let head = Step.text("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + Recording.openAI)
    let alive = Array((": PROCESSING" + String(repeating: ".", count: 4000) + "\n\n").utf8)
    let line = [UInt8](repeating: 0x78, count: 65_536)
    let refusal = Step.text("HTTP/1.1 500 X\r\n\r\nout of order ")
    let server = ScriptedServer([[head, .flood(alive)], [head, .flood(line)], [refusal, .flood(line)]])
    let models = makeModels(.openai, url: server.url)
    for _ in 1...2 { #expect(try await Reply(models, #"{"text":"Hi","remember":false}"#).conclusion().text == Recording.text) }
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(
      failure?.code == .llmRefused && failure?.message.contains("HTTP 500: “out of order") == true, "\(failure?.message.prefix(300) ?? "")")
    models.stop()
    server.stop()
  }

  @Test("what comes in very many pieces costs no more than its bytes: blanks before an answer, arguments of a call")
  func manyPieces() {
    var reader = AnswerReader()
    var text = ""
    func add(_ json: String) {
      for case .text(let piece) in reader.receive(status: 200, Array("data: \(json)\n\n".utf8)) { text += piece }
    }
    for _ in 0..<30_000 { add(#"{"choices":[{"delta":{"content":"  "}}]}"#) }
    add(#"{"choices":[{"delta":{"content":"Hi","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\":\""}}]}}]}"#)
    for _ in 0..<30_000 { add(#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}]}"#) }
    #expect(text.hasSuffix("  Hi") && text.utf8.count == 60_002)
    #expect(reader.answer.toolCalls.first?.arguments.utf8.count == 60_006)
    var hold = CallHold()
    var shown = ""
    for _ in 0..<30_000 { shown += hold.add("  ") }
    #expect((shown + hold.add("x")).utf8.count == 60_001)
  }

  @Test("a refusal's counts are brought to what can be")
  func refusedCounts() async throws {
    let body =
      #"{"error":{"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":-9223372036854775808,"n_ctx":9223372036854775807}}"#
    let server = ScriptedServer([Self.good, [.answer(400, body)]])
    let models = makeModels(.openai, url: server.url)
    _ = try await Reply(models, #"{"text":"Hi"}"#).conclusion()
    #expect(await Reply(models, #"{"text":"Hi"}"#).failure()?.code == .llmTooLong)
    models.stop()
    server.stop()
  }

  @Test("a schema that refers to itself keeps nobody from being answered")
  func circle() async throws {
    let server = ScriptedServer([Self.json])
    let models = makeModels(.openai, url: server.url)
    let question = ##"{"text":"Hi","format":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}"##
    #expect(try await Reply(models, question).conclusion().text == "\"ok\"")
    #expect(try await Reply(models, #"{"text":"Hi"}"#).conclusion().text == "\"ok\"")
    models.stop()
    server.stop()
  }
}
