import Protocol
import Wire

/// Prints one answer as it grows, and never twice.
///
/// Values in, text out: the owner writes what it returns as it is (`Output.control`). For a terminal, what a model says is made harmless
/// and its lines are broken between words.
struct AnswerPrinter {
  /// Who was asked; nil: nobody who speaks.
  let persona: String?
  /// What was streamed of the answer itself, as it came. What other speakers have said is not part of it.
  private(set) var streamed = ""
  /// Whether what has been printed ends a line.
  private(set) var atLineStart = true
  /// Nil: it goes to a file or a pipe.
  private var wrap: WordWrap?
  /// Whose words were printed last; nil: those of whoever was asked.
  private var speaker: String?
  /// Line breaks at the end of what another speaker has said so far: the next name stands in their place.
  private var breaks = ""

  /// - Parameter columns: of the terminal; nil: it goes to a file or a pipe.
  init(columns: Int?, persona: String? = nil) {
    wrap = columns.map { WordWrap(columns: $0) }
    self.persona = persona
  }

  /// The terminal has another width.
  mutating func resize(_ columns: Int) { wrap?.columns = columns }

  /// A piece of the answer; of another speaker, under that one's name.
  mutating func delta(_ text: String, speaker: String? = nil) -> String {
    let speaker = speaker == persona ? nil : speaker
    let head = turn(to: speaker)
    guard speaker != nil else {
      streamed += text
      return head + shown(text)
    }
    let whole = breaks + (head.isEmpty ? text : String(text.drop(while: \.isNewline)))
    let words = String(whole.reversed().drop(while: \.isNewline).reversed())
    breaks = String(whole.dropFirst(words.count))
    return head + shown(words)
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
    wrap?.lineEnded()
    return atLineStart ? "" : "\n"
  }

  /// The line that says whose words follow, where several are asked one after the other.
  mutating func head() -> String { closeLine() + (persona.map { "[\($0.shownName)]\n" } ?? "") }

  /// The line that says who speaks from here on, if that is somebody else than before.
  private mutating func turn(to next: String?) -> String {
    guard next != speaker else { return "" }
    (speaker, breaks) = (next, "")
    guard let name = next ?? persona else { return closeLine() }
    return closeLine() + "[\(name.shownName)]\n"
  }

  private mutating func shown(_ text: String) -> String {
    guard wrap != nil else {
      if let last = text.last { atLineStart = last.isNewline }
      return text
    }
    let safe = text.harmless
    if let last = safe.last { atLineStart = last.isNewline }
    return wrap?.stream(safe) ?? safe
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
