// The OpenAI-compatible `/v1/chat/completions`, as server-sent events (text/event-stream):
//
//   : a comment
//   data: {"model":"m","choices":[{"delta":{"role":"assistant","content":null},"finish_reason":null}]}
//   data: {"choices":[{"delta":{"content":"Hel"},"finish_reason":null}]}
//   data: {"choices":[{"delta":{},"finish_reason":"stop"}]}
//   data: {"choices":[],"usage":{"prompt_tokens":26,"completion_tokens":2}}
//   data: [DONE]
//
// A call of tools comes in pieces that belong together by their index, the arguments as text that grows:
//   data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}}]}
//   data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]}
//   data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}
//
// An event ends with an empty line; its `data` lines are joined by a line feed. Lines end in LF, CR LF or CR.
// A failure in mid-stream is an event whose data is {"error":{…}}. An answer is whole when [DONE] or a
// finish_reason has come; servers differ in whether they send the first.

import FoundationEssentials
import Kernel

/// Decodes the body of an OpenAI-compatible server's answer.
struct OpenAIAnswer: AnswerDecoder {
  private(set) var answer = Answer()
  private var lines = LineCutter()
  private var data: [UInt8] = []
  private var hasData = false
  private var isDone = false
  private var hasFault = false
  /// The first bytes of the body, until an event has been seen: to show if none comes.
  private var head: [UInt8] = []
  private var hasEvent = false

  /// A server that numbers calls wildly costs no memory.
  private static let callLimit = 128

  private struct Chunk: Decodable {
    struct Choice: Decodable {
      /// A piece of a call.
      struct Call: Decodable {
        struct Function: Decodable {
          var name: String?
          var arguments: String?
        }
        var index: Int?
        var id: String?
        var function: Function?
      }
      struct Delta: Decodable {
        var content: String?
        var tool_calls: [Call]?
        var reasoning_content: String?
        var reasoning: String?
        var refusal: String?
      }
      var index: Int?
      var delta: Delta?
      var finish_reason: String?
    }
    struct Usage: Decodable {
      var prompt_tokens: Int?
      var completion_tokens: Int?
    }
    var model: String?
    var choices: [Choice]?
    var usage: Usage?
  }

  mutating func receive(_ bytes: some Collection<UInt8>) -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    if !hasEvent, head.count < 256 { head += bytes.prefix(256 - head.count) }
    for line in lines.receive(bytes) { read(line, into: &events) }
    if lines.isOverLimit { fault(.garbled("a line of more than \(LineCutter.limit) bytes"), into: &events) }
    return events
  }

  mutating func end() -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    if let line = lines.end() { read(line, into: &events) }
    // Data without the empty line after it counts if it is whole: it may be [DONE] or an error.
    if hasData, data.elementsEqual("[DONE]".utf8) || (try? JSONDecoder().decode(Chunk.self, from: Data(data))) != nil {
      dispatch(into: &events)
    }
    // No event at all: it is something else, unless it was cut in its first word.
    if !hasEvent, head.contains(where: { $0 > 32 }), !Array("data:".utf8).starts(with: head) {
      let error = ServerError(body: head)
      fault(error.map { .server($0) } ?? .garbled(excerpt(head)), into: &events)
    }
    return events
  }

  private mutating func read(_ line: [UInt8], into events: inout [AnswerEvent]) {
    if line.isEmpty { return dispatch(into: &events) }
    let line = !hasEvent && line.starts(with: [0xEF, 0xBB, 0xBF]) ? line.dropFirst(3) : line[...]
    // llama.cpp of 2024 sent "error: {…}" where others send data.
    guard line.starts(with: "data:".utf8) || line.starts(with: "error:".utf8) else {
      if line.first == UInt8(ascii: ":") { hasEvent = true }
      return
    }
    hasEvent = true
    let afterColon = line[(line.firstIndex(of: UInt8(ascii: ":"))! + 1)...]
    if hasData { data.append(UInt8(ascii: "\n")) }
    data += afterColon.first == UInt8(ascii: " ") ? afterColon.dropFirst() : afterColon
    hasData = true
    if data.count > LineCutter.limit { fault(.garbled("an event of more than \(LineCutter.limit) bytes"), into: &events) }
  }

  private mutating func dispatch(into events: inout [AnswerEvent]) {
    guard hasData else { return }
    let event = data
    data.removeAll(keepingCapacity: true)
    hasData = false
    guard !hasFault, !isDone else { return }
    if event.elementsEqual("[DONE]".utf8) {
      isDone = true
      answer.isComplete = true
      return
    }
    if let error = ServerError(body: event) { return fault(.server(error), into: &events) }
    guard let chunk = try? JSONDecoder().decode(Chunk.self, from: Data(event)), chunk.choices != nil || chunk.usage != nil else {
      return fault(.garbled(excerpt(event)), into: &events)
    }
    answer.model = chunk.model ?? answer.model
    answer.promptTokens = chunk.usage?.prompt_tokens ?? answer.promptTokens
    answer.completionTokens = chunk.usage?.completion_tokens ?? answer.completionTokens
    guard let choice = chunk.choices?.first(where: { ($0.index ?? 0) == 0 }) else { return }
    if !(choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? "").isEmpty { answer.hasThought = true }
    for case let text? in [choice.delta?.content, choice.delta?.refusal] where !text.isEmpty { events.append(.piece(text)) }
    for piece in choice.delta?.tool_calls ?? [] { add(piece) }
    if let finish = choice.finish_reason {
      answer.finish = finish
      answer.isComplete = true
    }
  }

  /// The pieces of a call have its index; servers that send calls whole may leave it out.
  private mutating func add(_ piece: Chunk.Choice.Call) {
    let isNew = piece.id.map { id in !id.isEmpty && !answer.toolCalls.contains { $0.id == id } } ?? answer.toolCalls.isEmpty
    let index = piece.index ?? (isNew ? answer.toolCalls.count : answer.toolCalls.count - 1)
    guard (0..<Self.callLimit).contains(index) else { return }
    while answer.toolCalls.count <= index {
      answer.toolCalls.append(ToolCall(id: "call_\(answer.toolCalls.count + 1)", name: "", arguments: ""))
    }
    if let id = piece.id, !id.isEmpty { answer.toolCalls[index].id = id }
    if let name = piece.function?.name, answer.toolCalls[index].name.isEmpty { answer.toolCalls[index].name = name }
    answer.toolCalls[index].arguments += piece.function?.arguments ?? ""
  }

  private mutating func fault(_ fault: AnswerFault, into events: inout [AnswerEvent]) {
    guard !hasFault else { return }
    hasFault = true
    events.append(.fault(fault))
  }
}
