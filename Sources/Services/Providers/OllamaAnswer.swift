// Ollama's `/api/chat`, as newline-delimited JSON (application/x-ndjson), one object a line:
//
//   {"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}
//   {"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":2}
//
// A call of tools is a message with "tool_calls":[{"function":{"name":"f","arguments":{…}}}].
// A failure in mid-stream is a last line {"error":"…"}; the status stays 200. No line with
// "done":true means that the answer was cut off.

import FoundationEssentials
import Kernel
import Wire

/// Decodes the body of Ollama's answer.
struct OllamaAnswer: AnswerDecoder {
  private(set) var answer = Answer()
  private var lines = LineCutter()
  private var hasFault = false

  private struct Line: Decodable {
    struct Message: Decodable {
      struct Call: Decodable {}
      var content: String?
      var tool_calls: [Call]?
      var thinking: String?
    }
    var model: String?
    var message: Message?
    var done: Bool?
    var done_reason: String?
    var prompt_eval_count: Int?
    var eval_count: Int?
  }

  mutating func receive(_ bytes: some Collection<UInt8>) -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    for line in lines.receive(bytes) { read(line, into: &events) }
    if lines.isOverLimit { fault(.garbled("a line of more than \(LineCutter.limit) bytes"), into: &events) }
    return events
  }

  mutating func end() -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    // The start of an object is a cut answer and not a garbled one; but the last line may lack its end.
    if let line = lines.end(), (try? JSONDecoder().decode(Line.self, from: Data(line))) != nil || line.first != UInt8(ascii: "{") {
      read(line, into: &events)
    }
    return events
  }

  private mutating func read(_ line: [UInt8], into events: inout [AnswerEvent]) {
    guard !hasFault, !answer.isComplete, line.contains(where: { $0 > 32 }) else { return }
    if let error = ServerError(body: line) { return fault(.server(error), into: &events) }
    guard let read = try? JSONDecoder().decode(Line.self, from: Data(line)), read.message != nil || read.done != nil else {
      return fault(.garbled(excerpt(line)), into: &events)
    }
    answer.model = read.model ?? answer.model
    if let thinking = read.message?.thinking, !thinking.isEmpty { answer.hasThought = true }
    if read.message?.tool_calls?.isEmpty == false { readCalls(line) }
    if let text = read.message?.content, !text.isEmpty { events.append(.piece(text)) }
    guard read.done == true else { return }
    answer.isComplete = true
    answer.finish = read.done_reason ?? "stop"
    answer.promptTokens = read.prompt_eval_count
    answer.completionTokens = read.eval_count
  }

  /// Calls come whole, and older servers give them no numbers.
  private mutating func readCalls(_ line: [UInt8]) {
    for call in (try? JSON(parsing: line))?["message"]?["tool_calls"]?.array ?? [] {
      guard let name = call["function"]?["name"]?.string else { continue }
      let arguments = call["function"]?["arguments"] ?? .object([:])
      let id = call["id"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "call_\(answer.toolCalls.count + 1)"
      answer.toolCalls.append(ToolCall(id: id, name: name, arguments: arguments.string ?? arguments.text))
    }
  }

  private mutating func fault(_ fault: AnswerFault, into events: inout [AnswerEvent]) {
    guard !hasFault else { return }
    hasFault = true
    events.append(.fault(fault))
  }
}
