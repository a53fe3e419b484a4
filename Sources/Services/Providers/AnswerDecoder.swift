import Kernel

/// What is known of an answer, apart from its text.
package struct Answer: Equatable, Sendable {
  package var model: String?
  /// "stop", "length", "tool_calls", "content_filter", or what else the server calls it.
  package var finish: String?
  /// From 0 to `LenientJSON.largestCount`.
  package var promptTokens: Int?
  package var completionTokens: Int?
  /// The server has said that this was all.
  package var isComplete = false
  /// What the model calls instead of saying more; whole when the answer is.
  package var toolCalls: [ToolCall] = []
  /// The model sent thoughts, which are no part of the text.
  package var hasThought = false

  package init(
    model: String? = nil, finish: String? = nil, promptTokens: Int? = nil, completionTokens: Int? = nil, isComplete: Bool = false,
    toolCalls: [ToolCall] = [], hasThought: Bool = false
  ) {
    (self.model, self.finish, self.promptTokens, self.completionTokens) = (model, finish, promptTokens, completionTokens)
    (self.isComplete, self.toolCalls, self.hasThought) = (isComplete, toolCalls, hasThought)
  }
}

enum AnswerEvent: Equatable {
  /// A piece of text, never empty.
  case piece(String)
  /// A piece of what the model thinks before it answers.
  case thought(String)
  case fault(AnswerFault)
}

/// Why the rest of a body is not worth reading.
enum AnswerFault: Equatable {
  /// The server said in mid-stream that it failed.
  case server(ServerError)
  /// The bytes are not what the protocol says; the first of them, for people.
  case garbled(String)
}

/// Reads the body of one answer (HTTP status 200) in any of the protocols, wherever its bytes are cut: bytes in, events out. A value
/// without clock or system call.
///
/// Two things hold whatever a server sends. An answer that has ended well cannot fail any more: what stands behind its end is read for
/// its counts, and nothing else in it matters. And an answer that has not ended is never whole: it ends with a reason for its finish
/// after which no more of it comes, or with the protocol's last word, or as one JSON whose last bracket has come.
struct AnswerDecoder {
  private var framing = AnswerFraming()
  private var filter = ThoughtFilter()
  private var text = TextJoiner()
  private var thought = TextJoiner()
  private var calls = ToolCallAssembler()
  private var known = Answer()
  /// The last word, or a fault: nothing is read any more.
  private var isClosed = false
  /// A line came that nobody reads to its end.
  private(set) var isEndless = false
  private var hasFinish = false
  /// The finish stood in a piece of its own, so more text is not to be expected.
  private(set) var isCertain = false
  private var hasAnswer = false
  /// How many values there have been, and whether the last of them was a whole answer.
  private var values = 0
  private var isWhole = false
  /// Words that could not be read, and JSON that tells of no answer: passed over, and shown where nothing better comes.
  private var remark: String?
  private var stray: String?
  /// The first bytes of the body: to show where it holds no answer.
  private var head: [UInt8] = []
  /// How many bytes of text, thoughts and calls have come.
  private(set) var weight = 0

  /// What is known of the answer so far, apart from its text.
  var answer: Answer {
    var answer = known
    answer.toolCalls = calls.calls
    return answer
  }
  var isComplete: Bool { known.isComplete }

  mutating func receive(_ bytes: some Collection<UInt8>) -> [AnswerEvent] {
    if isClosed { return [] }
    if head.count < 256 { head += bytes.prefix(256 - head.count) }
    var events: [AnswerEvent] = []
    for unit in framing.receive(bytes) { take(unit, into: &events) }
    return events
  }

  /// The body has ended, `isProper`: as HTTP says that it should. What is missing then shows in `isComplete`.
  mutating func end(isProper: Bool) -> [AnswerEvent] {
    var events: [AnswerEvent] = []
    if !isClosed { for unit in framing.end() { take(unit, into: &events) } }
    if !isClosed, isProper, !known.isComplete {
      // A finish before the last words; an answer that is one JSON.
      if hasFinish || isWhole && values == 1 && !framing.isEventStream {
        known.isComplete = true
        known.finish = known.finish ?? "stop"
      }
    }
    for part in filter.end() { emit(part, into: &events) }
    if case let rest = text.end(), !rest.isEmpty { events.append(.piece(rest)) }
    if case let rest = thought.end(), !rest.isEmpty { events.append(.thought(rest)) }
    if !isClosed, isProper, !known.isComplete {
      if let remark = remark ?? (hasAnswer ? nil : stray) {
        fault(.garbled(remark), into: &events)
      } else if !hasAnswer, !framing.isEventStream, !framing.isCut, head.contains(where: { $0 > 32 }) {
        fault(.garbled(excerpt(head)), into: &events)
      }
    }
    return events
  }

  private mutating func take(_ unit: AnswerFraming.Unit, into events: inout [AnswerEvent]) {
    if isClosed { return }
    switch unit {
    case .json(let bytes, let isError): read(bytes, isError: isError, into: &events)
    case .done:
      known.isComplete = true
      isCertain = true
      isClosed = true
    case .remark(let bytes): remark = remark ?? excerpt(bytes)
    case .endless:
      isEndless = true
      if known.isComplete {
        isClosed = true
      } else {
        fault(.garbled("a line or an event of more than \(LineCutter.limit) bytes"), into: &events)
      }
    }
  }

  private mutating func read(_ bytes: [UInt8], isError: Bool, into events: inout [AnswerEvent]) {
    let (found, rest) = LenientJSONReader.values(in: bytes)
    for value in found {
      for element in value.array ?? [value] where !isClosed { take(element, isError: isError, into: &events) }
    }
    if isClosed || rest.isEmpty { return }
    if AnswerFraming.isLastWord(rest) { return take(.done, into: &events) }
    if known.isComplete || framing.isCut { return }
    if let values = Self.behindBroken(rest) {
      for value in values where !isClosed { take(value, isError: isError, into: &events) }
      return
    }
    fault(.garbled(excerpt(found.isEmpty ? bytes[...] : rest)), into: &events)
  }

  /// A proxy may have sent an event before the one before it was whole: the later ones, if no text can be lost with the earlier, or
  /// what they tell of an error. Nil: the answer cannot go on.
  private static func behindBroken(_ bytes: ArraySlice<UInt8>) -> [LenientJSON]? {
    var values: [LenientJSON] = []
    var isLost = false
    for part in String(decoding: bytes, as: UTF8.self).split(separator: "data:") {
      if let value = LenientJSONReader.value(in: part.utf8) {
        values.append(value)
      } else {
        isLost = isLost || part.contains("\"delta\"") || part.contains("\"content\"")
        if let line = part.ranges(of: "\n{").last, let value = LenientJSONReader.value(in: "{\(part[line.upperBound...])".utf8) {
          values.append(value)
        }
      }
    }
    if let error = values.first(where: { ServerError(part: $0, hasAnswer: false) != nil }) { return [error] }
    return isLost || values.isEmpty ? nil : values
  }

  private mutating func take(_ value: LenientJSON, isError: Bool, into events: inout [AnswerEvent]) {
    let chunk = AnswerChunk(value, isError: isError)
    values += 1
    isWhole = chunk.isWhole
    hasAnswer = hasAnswer || chunk.isAnswer
    if let error = chunk.error, !known.isComplete { return fault(.server(error), into: &events) }
    known.model = chunk.model ?? known.model
    known.promptTokens = chunk.promptTokens ?? known.promptTokens
    known.completionTokens = chunk.completionTokens ?? known.completionTokens
    let isEmpty = chunk.parts.isEmpty && chunk.calls.allSatisfy(\.isEmpty)
    // A finish that more of the answer follows was none.
    if !isEmpty { known.isComplete = false }
    for part in chunk.parts { show(part, into: &events) }
    calls.add(chunk.calls)
    weight += chunk.calls.reduce(0) { $0 + $1.bytes }
    if case .failed(let word)? = chunk.finish, !known.isComplete {
      return fault(.server(ServerError(message: "it ended with \"\(word)\"")), into: &events)
    }
    if case .ended(let word)? = chunk.finish {
      known.finish = word
      known.isComplete = true
      hasFinish = true
      isCertain = isEmpty
    }
    if chunk.isLast { (isCertain, isClosed) = (true, true) }
    if !chunk.isAnswer, chunk.promptTokens == nil, value.object?.isEmpty == false || value.text != nil, !Self.isSignOfLife(value) {
      stray = stray ?? excerpt(value.json.bytes)
    }
  }

  private static func isSignOfLife(_ value: LenientJSON) -> Bool {
    // Azure's first event tells of its filters, with no answer yet.
    value["choices"] != nil || ["ping", "heartbeat", "keepalive", "keep-alive"].contains((value["type"] ?? value["event"])?.text ?? "")
  }

  private mutating func show(_ part: AnswerPart, into events: inout [AnswerEvent]) {
    switch part {
    case .text(let bytes):
      weight += bytes.count
      for part in filter.add(bytes) { emit(part, into: &events) }
    case .thought(let bytes):
      weight += bytes.count
      filter.noteThought()
      emit(part, into: &events)
    }
  }

  /// Makes characters of what has been told apart.
  private mutating func emit(_ part: AnswerPart, into events: inout [AnswerEvent]) {
    switch part {
    case .text(let bytes): if case let piece = text.add(bytes), !piece.isEmpty { events.append(.piece(piece)) }
    case .thought(let bytes):
      known.hasThought = true
      if case let piece = thought.add(bytes), !piece.isEmpty { events.append(.thought(piece)) }
    }
  }

  private mutating func fault(_ fault: AnswerFault, into events: inout [AnswerEvent]) {
    guard !isClosed else { return }
    isClosed = true
    events.append(.fault(fault))
  }
}

/// The first bytes of something that could not be read, made fit for a line of text.
func excerpt(_ bytes: some Collection<UInt8>, limit: Int = 120) -> String {
  let text = String(decoding: bytes.prefix(limit), as: UTF8.self)
  let line = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
  return bytes.count > limit ? line + "…" : line
}
