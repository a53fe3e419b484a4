import Wire

/// Prints one answer as it grows, and never twice.
///
/// Values in, text out: the owner writes what it returns. What a model says is made harmless if `safely` is set.
struct AnswerPrinter {
  let safely: Bool
  /// What was streamed, as it came.
  private(set) var streamed = ""
  /// Whether what has been printed ends a line.
  private(set) var atLineStart = true

  init(safely: Bool) { self.safely = safely }

  /// A piece of the answer.
  mutating func delta(_ text: String) -> String {
    streamed += text
    return shown(text)
  }

  /// The end. Prints what is still missing, and closes the line.
  ///
  /// When the answer is not what was streamed, the answer counts, and is printed whole.
  mutating func finish(_ content: String) -> String {
    if streamed.isEmpty { return shown(content) + closeLine() }
    if content.hasPrefix(streamed) { return shown(String(content.dropFirst(streamed.count))) + closeLine() }
    if content.trimmed == streamed.trimmed { return closeLine() }
    let before = closeLine() + "[the answer in its final form:]\n"
    return before + shown(content) + closeLine()
  }

  /// Ends a line that is open.
  mutating func closeLine() -> String {
    defer { atLineStart = true }
    return atLineStart ? "" : "\n"
  }

  private mutating func shown(_ text: String) -> String {
    let text = safely ? text.harmless : text
    if let last = text.last { atLineStart = last.isNewline }
    return text
  }

  /// What a reply says: its `content`, a bare string, or nothing for null; anything else as JSON.
  static func content(of payload: JSON) -> String {
    payload["content"]?.string ?? payload.plain
  }
}
