/// A part of what a model says.
enum AnswerPart: Equatable {
  case text([UInt8])
  /// What it thinks before it answers: no part of the answer.
  case thought([UInt8])
}

/// Tells thoughts that stand in tags at the head of an answer (`<think>…</think>`) from the answer, wherever the bytes are cut.
/// A value.
///
/// Tags further behind are text: a model may be asked about them.
struct ThoughtFilter {
  private enum State {
    /// Nothing but blanks and thoughts has come.
    case head
    case thinking(end: [UInt8])
    case answer
  }

  private static let tags: [(begin: [UInt8], end: [UInt8])] = [
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
  ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

  /// So many blanks before an answer may belong to a tag; more are the answer's own.
  private static let blankLimit = 1024

  private var state = State.head
  private var held: [UInt8] = []
  private var hasThought = false

  /// A thought has come in a place of its own: blanks before the answer are the rest of its tags.
  mutating func noteThought() { hasThought = true }

  mutating func add(_ bytes: [UInt8]) -> [AnswerPart] {
    var parts: [AnswerPart] = []
    held += bytes
    while step(&parts) {}
    return parts
  }

  /// Nothing comes any more: what is left.
  mutating func end() -> [AnswerPart] {
    defer { held = [] }
    guard !held.isEmpty else { return [] }
    switch state {
    case .head: return hasThought && held.allSatisfy { $0 <= 32 } ? [] : [.text(held)]
    case .thinking: return [.thought(held)]
    case .answer: return [.text(held)]
    }
  }

  /// - Returns: whether the state is another, and there may be more to do.
  private mutating func step(_ parts: inout [AnswerPart]) -> Bool {
    guard !held.isEmpty else { return false }
    switch state {
    case .head:
      let rest = held.drop { $0 <= 32 }
      if let tag = Self.tags.first(where: { rest.starts(with: $0.begin) }) {
        held = Array(rest.dropFirst(tag.begin.count))
        state = .thinking(end: tag.end)
        return true
      }
      if Self.tags.contains(where: { $0.begin.starts(with: rest) }), held.count - rest.count <= Self.blankLimit {
        if hasThought { held = Array(rest) }
        return false
      }
      if hasThought { held = Array(rest) }
      state = .answer
      return true
    case .thinking(let end):
      if let place = Self.place(of: end, in: held) {
        hasThought = true
        if place > 0 { parts.append(.thought(Array(held[..<place]))) }
        held.removeFirst(place + end.count)
        state = .head
        return true
      }
      let open = (1..<end.count).last { held.count >= $0 && held.suffix($0).elementsEqual(end.prefix($0)) } ?? 0
      let whole = held.count - open
      if whole > 0 {
        hasThought = true
        parts.append(.thought(Array(held[..<whole])))
        held.removeFirst(whole)
      }
      return false
    case .answer:
      parts.append(.text(held))
      held = []
      return false
    }
  }

  private static func place(of word: [UInt8], in bytes: [UInt8]) -> Int? {
    guard bytes.count >= word.count else { return nil }
    return (0...(bytes.count - word.count)).first { bytes[$0] == word[0] && bytes[$0...].starts(with: word) }
  }

  /// An answer whose first tag is missing, because the model's template wrote it into the prompt: what follows a line that is only
  /// `</think>`. Nil: there is no such line, or it stands in a block of code.
  static func behindLoneEnd(_ text: String) -> String? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let line = lines.firstIndex(where: { $0.trimmingBlanks() == "</think>" }) else { return nil }
    let before = lines[..<line]
    guard !before.contains(where: { $0.contains("<think>") }), before.count(where: { $0.trimmingBlanks().hasPrefix("```") }) % 2 == 0 else {
      return nil
    }
    let answer = lines[(line + 1)...].drop { $0.trimmingBlanks().isEmpty }.joined(separator: "\n")
    return answer.isEmpty ? nil : answer
  }
}

extension StringProtocol {
  /// Without spaces, tabs and line ends before and behind it.
  func trimmingBlanks() -> SubSequence {
    var text = self[...]
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return text
  }
}
