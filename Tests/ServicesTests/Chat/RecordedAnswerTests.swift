import Kernel
import TestSupport
import Testing

@testable import Services

extension RecordedAnswer: CustomTestStringConvertible {
  public var testDescription: String { "\(name) (\(server))" }
}

/// The answers that public reports show, each with its reading, however its bytes are cut.
@Suite struct RecordedAnswerTests {
  struct Reading: Equatable {
    var text = ""
    var thought = ""
    var calls: [String] = []
    var finish: String?
    var tokens: [Int?] = []
    var setback: Setback?

    init(_ parts: [some Collection<UInt8>], end: HTTPEnd = .complete(status: 200, retryAfter: nil)) {
      var reader = AnswerReader()
      for piece in parts.flatMap({ reader.receive(status: 200, $0) }) + reader.end(end) {
        switch piece {
        case .text(let piece): text += piece
        case .thought(let piece): thought += piece
        }
      }
      calls = reader.answer.toolCalls.map { "\($0.name) \($0.arguments)" }
      tokens = [reader.answer.promptTokens, reader.answer.completionTokens]
      setback = reader.setback(end, silenceMilliseconds: 1)
      finish = setback == nil ? reader.answer.finish : nil
    }

    var isWhole: Bool { setback == nil }
  }

  static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var rest = bytes[...]
    var lines: [ArraySlice<UInt8>] = []
    while let end = rest.firstIndex(of: 0x0a) {
      lines.append(rest[...end])
      rest = rest[(end + 1)...]
    }
    return lines + [rest]
  }

  static func fits(_ setback: Setback?, _ end: RecordedAnswer.End) -> Bool {
    switch (setback, end) {
    case (nil, .whole), (.cutOff, .cutOff), (.fault(.garbled, _), .garbled): true
    case (.fault(.server(let error), _), .failed(let words)): error.message.contains(words)
    default: false
    }
  }

  @Test("there are at least 150 of them, and each has a name of its own")
  func count() {
    print("recorded answers: \(RecordedAnswer.all.count)")
    #expect(RecordedAnswer.all.count >= 150)
    #expect(Set(RecordedAnswer.all.map(\.testDescription)).count == RecordedAnswer.all.count)
  }

  @Test("an answer is read for what it says, however it is cut", arguments: RecordedAnswer.all)
  func reading(_ answer: RecordedAnswer) {
    let whole = Reading([answer.body])
    #expect(whole.text == answer.text)
    #expect(whole.thought == answer.thought)
    #expect(whole.calls == answer.calls)
    #expect(whole.finish == answer.finish)
    #expect(whole.tokens == answer.tokens)
    #expect(Self.fits(whole.setback, answer.end), "it ended with \(String(describing: whole.setback))")
    #expect(Reading(answer.body.map { [$0] }) == whole, "byte by byte")
    #expect(Reading(Self.lines(answer.body)) == whole, "line by line")
    var random = SplitMix(state: UInt64(answer.body.count))
    for _ in 0..<4 {
      let cut = Int(random.next() % UInt64(answer.body.count + 1))
      #expect(Reading([answer.body[..<cut], answer.body[cut...]]) == whole, "cut at \(cut)")
    }
  }

  static let ends: [HTTPEnd] = [
    .complete(status: 200, retryAfter: nil), .broken("reset"), .silent, .refused,
  ]
  static let rubbish = [
    "", "\n", "data: {{{{\n\n", "data: nonsense\n\n", "<html></html>", "{\"error\":\"too late\"}\n",
    "event: error\ndata: {\"message\":\"too late\"}\n\n",
    "data: [DONE]\n\n", "data: {\"choices\":null,\"usage\":7}\n\n", "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
    "\u{0}\u{0}",
  ]

  @Test("what has ended well cannot fail any more, whatever follows and however the connection ends", arguments: RecordedAnswer.all)
  func endedWell(_ answer: RecordedAnswer) {
    var reader = AnswerReader()
    _ = reader.receive(status: 200, answer.body)
    guard reader.isComplete else { return }
    let text = Reading([answer.body]).text
    for (index, rubbish) in Self.rubbish.enumerated() {
      let end = Self.ends[index % Self.ends.count]
      let reading = Reading([answer.body, Array(rubbish.utf8)], end: end)
      #expect(reading.isWhole && reading.text == text, "\(rubbish.debugDescription), \(end)")
    }
  }

  @Test("what has not ended is never called whole, wherever it breaks off", arguments: RecordedAnswer.all)
  func notEnded(_ answer: RecordedAnswer) {
    var parts: [ArraySlice<UInt8>] = []
    for line in Self.lines(answer.body) {
      // Where a last word, or a reason for a finish, has begun to come, the answer may be over.
      var text = String(decoding: answer.body[..<line.endIndex], as: UTF8.self).lowercased()
      for nothing in ["null", "\"\"", "\"null\"", "\"none\""] { text = text.replacing("\"finish_reason\":\(nothing)", with: "") }
      if text.contains("done\"") && text.contains("true") || text.contains("[done") || text.contains("finish")
        || text.contains("stop\":true")
      {
        return
      }
      parts.append(line)
      for end in Self.ends.dropFirst() { #expect(!Reading(parts, end: end).isWhole) }
      // A body that is one JSON is whole with its last bracket.
      if !text.contains("\"message\""), !text.contains("\"text\"") { #expect(!Reading(parts).isWhole) }
    }
  }
}
