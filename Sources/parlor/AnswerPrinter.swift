import Protocol
import Wire

/// Prints one answer as it grows, and never twice.
///
/// Values in, text out: the owner writes what it returns. What a model says is made harmless if `safely` is set.
struct AnswerPrinter {
  let safely: Bool
  /// Who was asked; nil: nobody who speaks.
  let persona: String?
  /// What was streamed of the answer itself, as it came. What other speakers have said is not part of it.
  private(set) var streamed = ""
  /// Whether what has been printed ends a line.
  private(set) var atLineStart = true
  /// Whose words were printed last; nil: those of whoever was asked.
  private var speaker: String?

  init(safely: Bool, persona: String? = nil) {
    self.safely = safely
    self.persona = persona
  }

  /// A piece of the answer; of another speaker, under that one's name.
  mutating func delta(_ text: String, speaker: String? = nil) -> String {
    let speaker = speaker == persona ? nil : speaker
    let head = turn(to: speaker)
    if speaker == nil { streamed += text }
    return head + shown(text)
  }

  /// The end. Prints what is still missing, and closes the line.
  ///
  /// When the answer is not what was streamed, the answer counts, and is printed whole.
  mutating func finish(_ content: String) -> String {
    if streamed.isEmpty { return turn(to: nil) + shown(content) + closeLine() }
    if content.hasPrefix(streamed) {
      let rest = String(content.dropFirst(streamed.count))
      return (rest.isEmpty ? "" : turn(to: nil) + shown(rest)) + closeLine()
    }
    if content.trimmed == streamed.trimmed { return closeLine() }
    let before = closeLine() + "[the answer in its final form:]\n"
    return before + shown(content) + closeLine()
  }

  /// Ends a line that is open.
  mutating func closeLine() -> String {
    defer { atLineStart = true }
    return atLineStart ? "" : "\n"
  }

  /// The line that says who speaks from here on, if that is somebody else than before.
  private mutating func turn(to next: String?) -> String {
    guard next != speaker else { return "" }
    speaker = next
    guard let name = next ?? persona else { return closeLine() }
    return closeLine() + "[\(name.oneLine(64))]\n"
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

/// A step of an answer under way, in one line.
enum ProgressText {
  /// Nil: a step that this parlor does not know, or one whose words are printed as text.
  static func line(_ event: JSON) -> String? {
    guard let kind = event["kind"]?.string, ["plan", "status", "tool", "note"].contains(kind) else { return nil }
    let known = event["text"]?.string ?? event["name"]?.string
    let said = known ?? JSON.object((event.object ?? [:]).filter { $0.key != "kind" }).text
    return "\(kind): \(said)".oneLine(300)
  }
}
