import FoundationEssentials
import Kernel

/// What a server's streamed answer says, whichever protocol it speaks.
enum ChatPiece: Equatable {
  case text(String)
  case usage(prompt: Int?, completion: Int?)
  /// The model says why it stopped: "stop" or "length".
  case stopped(String, model: String?)
  /// The whole answer has come.
  case end
}

/// Reads an answer's bytes, in pieces of any size, into what they say. A value: no clock, no socket.
///
/// Ollama sends one JSON object a line (`application/x-ndjson`), the last with `"done":true`. OpenAI-compatible
/// servers send server-sent events: lines `data: {…}`, a usage chunk, `data: [DONE]`. Either may send
/// `{"error":…}` in mid-stream under a status of 200.
struct ChatStream {
  enum Dialect { case ollama, openai }
  let dialect: Dialect
  private var rest: [UInt8] = []
  /// No line of an answer is longer.
  private static let longest = 8 << 20
  private(set) var hasEnded = false

  init(_ dialect: Dialect) { self.dialect = dialect }

  mutating func feed(_ bytes: [UInt8]) throws(Failure) -> [ChatPiece] {
    rest.append(contentsOf: bytes)
    var pieces: [ChatPiece] = []
    var start = 0
    while let newline = rest[start...].firstIndex(of: 0x0a) {
      var line = rest[start..<newline]
      start = newline + 1
      if line.last == 0x0d { line.removeLast() }
      if hasEnded || line.isEmpty { continue }
      pieces += try read(Array(line))
    }
    rest.removeFirst(start)
    if rest.count > Self.longest { throw garbled(Array(rest.prefix(80))) }
    return pieces
  }

  /// The connection has been closed in good order: what was not ended by a newline is the last line.
  mutating func finish() throws(Failure) -> [ChatPiece] {
    if rest.isEmpty { return [] }
    return try feed([0x0a])
  }

  private mutating func read(_ line: [UInt8]) throws(Failure) -> [ChatPiece] {
    switch dialect {
    case .ollama: return try ollama(line)
    case .openai:
      if line.first == 0x7b { return try openai(line) }  // an error without the event's clothes
      guard line.starts(with: Array("data:".utf8)) else {
        // Comments (":"), and the other fields of an event, say nothing here.
        if line.first == 0x3a || line.contains(0x3a) { return [] }
        throw garbled(line)
      }
      var data = line.dropFirst(5)
      if data.first == 0x20 { data.removeFirst() }
      if data.elementsEqual("[DONE]".utf8) {
        hasEnded = true
        return [.end]
      }
      return try openai(Array(data))
    }
  }

  private struct Trouble: Decodable {
    var message: String
    init(from decoder: any Decoder) throws {
      if let text = try? decoder.singleValueContainer().decode(String.self) {
        message = text
      } else {
        message = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .message)
      }
    }
    private enum Key: String, CodingKey { case message }
  }

  private struct OllamaLine: Decodable {
    struct Message: Decodable { var content: String? }
    var model: String?
    var message: Message?
    var done: Bool?
    var done_reason: String?
    var prompt_eval_count: Int?
    var eval_count: Int?
    var error: Trouble?
  }

  private mutating func ollama(_ line: [UInt8]) throws(Failure) -> [ChatPiece] {
    let read: OllamaLine = try decode(line)
    if let error = read.error { throw Failure(.llmCutOff, "the model's server broke off: \(error.message)") }
    var pieces: [ChatPiece] = []
    if let text = read.message?.content, !text.isEmpty { pieces.append(.text(text)) }
    if read.done == true {
      hasEnded = true
      pieces.append(.usage(prompt: read.prompt_eval_count, completion: read.eval_count))
      pieces.append(.stopped(read.done_reason ?? "stop", model: read.model))
      pieces.append(.end)
    } else if read.message == nil {
      throw garbled(line)
    }
    return pieces
  }

  private struct OpenAIChunk: Decodable {
    struct Choice: Decodable {
      struct Delta: Decodable { var content: String? }
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
    var error: Trouble?
  }

  private func openai(_ data: [UInt8]) throws(Failure) -> [ChatPiece] {
    let read: OpenAIChunk = try decode(data)
    if let error = read.error { throw Failure(.llmCutOff, "the model's server broke off: \(error.message)") }
    if read.choices == nil, read.usage == nil { throw garbled(data) }
    var pieces: [ChatPiece] = []
    if let choice = read.choices?.first {
      if let text = choice.delta?.content, !text.isEmpty { pieces.append(.text(text)) }
      if let reason = choice.finish_reason { pieces.append(.stopped(reason, model: read.model)) }
    }
    if let usage = read.usage { pieces.append(.usage(prompt: usage.prompt_tokens, completion: usage.completion_tokens)) }
    return pieces
  }

  private func decode<T: Decodable>(_ line: [UInt8]) throws(Failure) -> T {
    do { return try JSONDecoder().decode(T.self, from: Data(line)) } catch { throw garbled(line) }
  }

  private func garbled(_ line: [UInt8]) -> Failure {
    let shown = String(decoding: line.prefix(80), as: UTF8.self)
    return Failure(.llmGarbled, "the server's answer is not what \(dialect == .ollama ? "Ollama" : "an OpenAI-compatible server") sends; it begins with: \(shown)")
  }
}
