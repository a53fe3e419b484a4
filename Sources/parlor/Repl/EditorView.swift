/// The editor's text in rows of a terminal, and where the cursor stands in them.
struct EditorView: Equatable {
  private(set) var rows: [String] = [""]
  private(set) var cursorRow = 0
  /// In cells, from 0.
  private(set) var cursorColumn = 0

  /// - Parameters:
  ///   - prompt: printable text; it may be painted when it is drawn, but not here.
  ///   - size: of the terminal; when the text has more rows than it, those around the cursor are kept.
  init(prompt: String, text: [Character], cursor: Int, size: (columns: Int, rows: Int)) {
    var column = 0
    func append(_ character: Character, to view: inout EditorView) {
      let cells = character.cells
      // The last column stays free: terminals disagree on where the cursor is after it.
      if column + cells > max(2, size.columns - 1) {
        view.rows.append("")
        column = 0
      }
      view.rows[view.rows.count - 1].append(character)
      column += cells
    }
    for character in prompt { append(character, to: &self) }
    for (index, character) in text.enumerated() {
      // The cursor stands on a character; where that goes to the next row, it goes with it.
      if character.isNewline {
        if index == cursor { (cursorRow, cursorColumn) = (rows.count - 1, column) }
        rows.append("")
        column = 0
        for blank in "  " { append(blank, to: &self) }
      } else {
        // One that steers the terminal is shown as another, or as several.
        let safe = String(character).harmless
        for (place, visible) in (safe.isEmpty ? " " : safe).enumerated() {
          append(visible, to: &self)
          if index == cursor, place == 0 { (cursorRow, cursorColumn) = (rows.count - 1, column - visible.cells) }
        }
      }
    }
    if cursor >= text.count { (cursorRow, cursorColumn) = (rows.count - 1, column) }
    let room = max(1, size.rows - 1)
    if rows.count > room {
      let first = min(max(0, cursorRow - room / 2), rows.count - room)
      rows = Array(rows[first..<first + room])
      cursorRow -= first
    }
  }
}
