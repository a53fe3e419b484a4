/// Rows in columns, for people; as wide as their cells are on a terminal, with nothing behind the last one.
enum Table {
  /// The lines without newlines, the head first.
  static func lines(_ head: [String], _ rows: [[String]], style: Style) -> [String] {
    let widths = head.indices.map { column in ([head] + rows).map { $0[column].cells }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0.padded($1) }.joined(separator: "  ")
      return String(padded.reversed().drop { $0 == " " }.reversed())
    }
    return [style.dim(line(head))] + rows.map(line)
  }

  static func text(_ head: [String], _ rows: [[String]], style: Style) -> String {
    lines(head, rows, style: style).map { $0 + "\n" }.joined()
  }
}
