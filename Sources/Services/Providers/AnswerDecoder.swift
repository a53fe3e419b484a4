import Kernel

/// Reads the body of one answer (status 200), whatever way its bytes are cut: bytes in, events out.
///
/// A value without clock or system call. After a fault it says nothing more.
protocol AnswerDecoder {
  /// What is known of the answer so far, apart from its text.
  var answer: Answer { get }
  mutating func receive(_ bytes: some Collection<UInt8>) -> [AnswerEvent]
  /// The body has ended. What is missing then shows in `answer.isComplete`.
  mutating func end() -> [AnswerEvent]
}

enum AnswerEvent: Equatable {
  /// A piece of text, never empty.
  case piece(String)
  case fault(AnswerFault)
}

/// Why the rest of a body is not worth reading.
enum AnswerFault: Equatable {
  /// The server said in mid-stream that it failed.
  case server(ServerError)
  /// The bytes are not what the protocol says; the first of them, for people.
  case garbled(String)
}

struct Answer: Equatable {
  var model: String?
  /// "stop", "length", or what else the server calls it.
  var finish: String?
  var promptTokens: Int?
  var completionTokens: Int?
  /// The server has said that this was all.
  var isComplete = false
  /// What the model calls instead of saying more; whole when the answer is.
  var toolCalls: [ToolCall] = []
  /// The model sent thoughts, which are no part of the text.
  var hasThought = false
}

/// The first bytes of something that could not be read, made fit for a line of text.
func excerpt(_ bytes: some Collection<UInt8>, limit: Int = 120) -> String {
  let text = String(decoding: bytes.prefix(limit), as: UTF8.self)
  let line = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
  return bytes.count > limit ? line + "…" : line
}
