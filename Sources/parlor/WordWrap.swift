/// Breaks lines between words, where a terminal would break them in the middle of one; while the text comes, or at once.
///
/// A value: characters in, what to print out. What is printed is printed at once, so a word that turns out to be too long for its row
/// is taken back there and goes to the next. One that is longer than a row is broken at its edge.
struct WordWrap {
  /// Of the terminal. The last one stays free: terminals disagree on where the cursor is after it.
  var columns: Int
  /// Where the cursor stands, in cells from 0.
  private(set) var column = 0
  /// The word that ends at the cursor, as far as it stands in this row.
  private var word: [Character] = []
  private var wordCells = 0
  /// The next piece may begin in the middle of it.
  private var last: Character?

  private enum Step {
    case text(String)
    /// The row ends; so much of a word that stands at its end goes to the next.
    case newRow(taking: [Character], cells: Int)
  }

  init(columns: Int) { self.columns = columns }

  /// A piece of a text that streams, with the terminal's own sequences for what is taken back. The text is harmless already.
  mutating func stream(_ text: String) -> String {
    var out = ""
    add(text) { step in
      switch step {
      case .text(let text): out += text
      case .newRow(let word, let cells): out += (cells > 0 ? "\u{1B}[\(cells)D\u{1B}[K" : "") + "\n" + String(word)
      }
    }
    return out
  }

  /// A whole text, in rows that fit; it may be painted.
  static func rows(_ text: String, columns: Int) -> String {
    var wrap = WordWrap(columns: columns)
    var out = ""
    wrap.add(text) { step in
      switch step {
      case .text(let text): out += text
      case .newRow(let word, _):
        out.removeLast(word.count)
        out += "\n" + String(word)
      }
    }
    return out
  }

  /// The line has been ended by somebody else.
  mutating func lineEnded() { (column, word, wordCells, last) = (0, [], 0, nil) }

  private mutating func add(_ text: String, _ emit: (Step) -> Void) {
    var rest = text[...]
    if let last, let first = text.first {
      // An accent, or the rest of an emoji, may come in a piece of its own.
      let joined = String(last) + String(first)
      if joined.count == 1, let whole = joined.first {
        emit(.text(String(first)))
        let more = whole.cells - last.cells
        column += more
        if !word.isEmpty {
          word[word.count - 1] = whole
          wordCells += more
        }
        self.last = whole
        rest = rest.dropFirst()
      }
    }
    for character in rest { add(character, emit) }
  }

  private mutating func add(_ character: Character, _ emit: (Step) -> Void) {
    last = character
    let room = max(2, columns - 1)
    if character.isNewline {
      emit(.text("\n"))
      return lineEnded()
    }
    if character == " " || character == "\t" {
      (word, wordCells) = ([], 0)
      let blanks = character == "\t" ? 8 - column % 8 : 1
      // A blank at the edge is the break itself.
      if column + blanks > room { return }
      emit(.text(String(repeating: " ", count: blanks)))
      column += blanks
      return
    }
    let cells = character.cells
    if column + cells > room {
      let moves = wordCells < column
      emit(.newRow(taking: moves ? word : [], cells: moves ? wordCells : 0))
      if !moves { (word, wordCells) = ([], 0) }
      column = wordCells
    }
    emit(.text(String(character)))
    column += cells
    if cells == 2 {
      // Between wide characters a line may be broken anywhere.
      (word, wordCells) = ([], 0)
    } else {
      word.append(character)
      wordCells += cells
    }
  }
}
