import Services

/// What must be true of any answer of a model server.
enum AnswerClaims {
  /// What stands in answers.
  static let pieces: [[UInt8]] = [
    "data: ", "data:", "\n\n", "\r\n", "event: error\n", "[DONE]", "data: [DONE]\n\n", "\"finish_reason\":\"\"",
    "\"finish_reason\":\"stop\"",
    "\"finish_reason\":\"error\"", "\"error\":{}", "\"error\":\"x\"", "\"done\":true", "\"choices\":null", "\"content\":[]",
    "\"content\":7",
    "\"index\":-1", "\"arguments\":{}", "\"name\":null", "\"usage\":{\"prompt_tokens\":9223372036854775807}", "<think>", "</think>",
    "<tool_call>",
    "NaN", "-Infinity", "\u{FEFF}", ": PROCESSING", "{\"code\":0,\"message\":\"Success\"}", "\"message\":{}", "\"delta\":null",
    "\"text\":\"a\"",
  ].map { Array($0.utf8) }

  /// What may follow an answer that has ended, and changes nothing.
  private static let rubbish: [[UInt8]] = [
    "data: {{{{\n\n", "\n<html>\n", "{\"error\":\"too late\"}\n", "event: error\ndata: {\"message\":\"too late\"}\n\n",
  ].map { Array($0.utf8) }

  /// What was read of an answer.
  private struct Reading: Equatable {
    var text = ""
    var thought = ""
    var answer = Answer()
    var isWhole = false
    /// It was whole before its body ended.
    var wasComplete = false

    init(_ parts: [ArraySlice<UInt8>], end: HTTPEnd = .complete(status: 200, retryAfter: nil)) {
      var reader = AnswerReader()
      var pieces: [AnswerPiece] = []
      for part in parts { pieces += reader.receive(status: 200, part) }
      wasComplete = reader.isComplete
      for piece in pieces + reader.end(end) {
        switch piece {
        case .text(let piece): text += piece
        case .thought(let piece): thought += piece
        }
      }
      answer = reader.answer
      isWhole = reader.isWhole(end)
    }
  }

  /// Checks all claims; true if the input is a whole answer. `cuts`: where it is cut, in their order.
  static func check(_ input: [UInt8], cuts: [Int], in memory: GuardedMemory) throws(BrokenClaim) -> Bool {
    // The copy is what is printed if this traps, or does not come back.
    let whole = memory.withBytes(input, atEnd: true) { Reading([Array($0)[...]]) }
    let bounds = [0] + cuts + [input.count]
    guard Reading(zip(bounds, bounds.dropFirst()).map { input[$0..<$1] }) == whole else {
      throw BrokenClaim(claim: "an answer is another when it is cut at \(cuts)")
    }
    if input.count < 400 {
      guard Reading(input.indices.map { input[$0...$0] }) == whole else {
        throw BrokenClaim(claim: "an answer is another when it comes byte by byte")
      }
    }
    try checkEnds(input, whole)
    for count in [whole.answer.promptTokens, whole.answer.completionTokens] {
      guard count.map({ (0...(1 << 32)).contains($0) }) ?? true else { throw BrokenClaim(claim: "a count of \(count ?? 0) is handed on") }
    }
    let calls = whole.answer.toolCalls
    guard calls.allSatisfy({ !$0.name.isEmpty && !$0.id.isEmpty }), Set(calls.map(\.id)).count == calls.count else {
      throw BrokenClaim(claim: "calls have no names, or not one identifier each: \(calls)")
    }
    return whole.isWhole
  }

  /// What has ended well cannot fail any more; what has not ended is never whole.
  private static func checkEnds(_ input: [UInt8], _ whole: Reading) throws(BrokenClaim) {
    let line: ArraySlice<UInt8> = [0x0a]
    let ended = Reading([input[...], line], end: .broken("reset"))
    // The last line counts without its end.
    guard Reading([input[...]], end: .broken("reset")).isWhole == ended.isWhole else {
      throw BrokenClaim(claim: "whether an answer is whole hangs on the end of its last line")
    }
    guard ended.isWhole || !ended.wasComplete else {
      throw BrokenClaim(claim: "an answer that has ended is not whole when the connection breaks")
    }
    if ended.wasComplete {
      for rubbish in rubbish {
        let reading = Reading([input[...], line, rubbish[...]], end: .silent)
        guard reading.isWhole, reading.text == ended.text, reading.answer.toolCalls == ended.answer.toolCalls else {
          throw BrokenClaim(claim: "an answer that has ended is another with this behind it: \(String(decoding: rubbish, as: UTF8.self))")
        }
      }
    }
    guard whole.isWhole else { return }
    let text = String(decoding: input, as: UTF8.self).lowercased()
    guard ["done", "finish", "stop", "message", "text", "\\"].contains(where: text.contains) else {
      throw BrokenClaim(claim: "an answer is whole without anything that ends it")
    }
  }
}
