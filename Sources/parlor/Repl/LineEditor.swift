/// The text that is being written, and what keys do to it. No terminal: keys in, a state to be drawn out.
struct LineEditor {
  private(set) var text: [Character] = []
  /// Before which character the cursor stands.
  private(set) var cursor = 0
  /// Lines that were sent, oldest first.
  private var history: [String] = []
  /// Which line of the history is shown; `history.count` is the draft.
  private var shown = 0
  private var draft: [Character] = []
  /// Names that Tab completes: "@BRICK", "/reload" …
  var completions: [String] = []

  enum Action: Equatable {
    case edited
    case submit(String)
    case interrupt, endOfInput, suspend, redraw
    /// A paste of so many bytes was left out.
    case refused(bytes: Int)
  }

  var isEmpty: Bool { text.isEmpty }

  /// Replaces the text; the cursor stands at its end.
  mutating func set(_ new: String) {
    text = Array(new)
    cursor = text.count
  }

  /// Keeps a line for Up, as the newest. Where it stood before, it stands no more.
  mutating func remember(_ line: String) {
    if !line.isEmpty {
      history.removeAll { $0 == line }
      history.append(line)
    }
    if history.count > InputHistory.mostLines { history.removeFirst() }
    shown = history.count
  }

  /// Lines of earlier starts, oldest first.
  mutating func begin(with lines: [String]) {
    history = lines
    shown = history.count
  }

  mutating func apply(_ key: Key) -> Action {
    switch key {
    case .text(let new): insert(new)
    case .paste(let new): insert(Self.clean(new))
    case .tooLong(let bytes): return .refused(bytes: bytes)
    case .newline: insert("\n")
    case .tab: complete()
    case .backspace: if cursor > 0 { remove(cursor - 1..<cursor) }
    case .delete: if cursor < text.count { remove(cursor..<cursor + 1) }
    case .killToEnd: remove(cursor..<text.count)
    case .killToStart: remove(0..<cursor)
    case .killWord: remove(wordStart..<cursor)
    case .left: cursor = max(0, cursor - 1)
    case .right: cursor = min(text.count, cursor + 1)
    case .home: cursor = 0
    case .end: cursor = text.count
    case .wordLeft: cursor = wordStart
    case .wordRight: cursor = wordEnd
    case .up: show(shown - 1)
    case .down: show(shown + 1)
    case .enter:
      let line = String(text)
      set("")
      remember(line)
      return .submit(line)
    case .endOfInput:
      if text.isEmpty { return .endOfInput }
      return apply(.delete)
    case .interrupt:
      if text.isEmpty { return .interrupt }
      remember(String(text))
      set("")
    case .suspend: return .suspend
    case .redraw: return .redraw
    }
    return .edited
  }

  /// Inserts at the cursor. A combining mark joins the character before it.
  private mutating func insert(_ new: String) {
    let head = Array(String(text[..<cursor]) + new)
    text = Array(String(head) + String(text[cursor...]))
    cursor = min(head.count, text.count)
  }

  private mutating func remove(_ range: Range<Int>) {
    text.removeSubrange(range)
    cursor = range.lowerBound
  }

  private var wordStart: Int {
    var place = cursor
    while place > 0, text[place - 1].isWhitespace { place -= 1 }
    while place > 0, !text[place - 1].isWhitespace { place -= 1 }
    return place
  }

  private var wordEnd: Int {
    var place = cursor
    while place < text.count, text[place].isWhitespace { place += 1 }
    while place < text.count, !text[place].isWhitespace { place += 1 }
    return place
  }

  private mutating func show(_ index: Int) {
    guard (0...history.count).contains(index), index != shown else { return }
    if shown == history.count { draft = text }
    shown = index
    set(index == history.count ? String(draft) : history[index])
  }

  /// Completes the word before the cursor as far as it is certain.
  private mutating func complete() {
    let word = String(text[wordStart..<cursor])
    guard !word.isEmpty else { return }
    let fitting = completions.filter { $0.lowercased().hasPrefix(word.lowercased()) }
    guard var common = fitting.first else { return }
    for other in fitting.dropFirst() { common = String(zip(common, other).prefix { $0.0 == $0.1 }.map(\.0)) }
    guard fitting.count == 1 || common.count > word.count else { return }
    remove(wordStart..<cursor)
    insert(fitting.count == 1 ? common + " " : common)
  }

  /// Pasted text without control characters; newlines of every kind become "\n", tabs blanks.
  private static func clean(_ pasted: String) -> String {
    var text = String.UnicodeScalarView()
    for scalar in pasted.unicodeScalars {
      switch scalar.value {
      case 0x0D: text.append("\n")
      case 0x09: text.append(" ")
      case 0x0A, 0x20..<0x7F, 0xA0...: text.append(scalar)
      default: break
      }
    }
    return String(text)
  }
}
