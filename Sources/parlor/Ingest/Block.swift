/// A piece of a document that belongs together: a heading, a paragraph, a piece of code.
struct Block: Equatable {
  enum Kind: Equatable {
    /// 1 is the highest.
    case heading(level: Int)
    case text
    /// Lines that must keep their breaks.
    case code
  }
  var kind: Kind
  var text: String
  /// Of the file, from 1; nil where lines are not what a reader would look for (HTML, PDF).
  var lines: ClosedRange<Int>?
  /// From 1.
  var page: Int?

  /// Plain text: paragraphs are what blank lines divide.
  static func plain(_ text: String) -> [Block] { paragraphs(lines(of: text), kind: .text) }

  /// Source code: pieces are what a blank line before an unindented one divides.
  static func code(_ text: String) -> [Block] {
    var blocks: [Block] = []
    var open: [Substring] = []
    var first = 1
    var wasBlank = false
    func close(_ next: Int) {
      while open.last.map(isBlank) == true { open.removeLast() }
      if !open.isEmpty { blocks.append(Block(kind: .code, text: open.joined(separator: "\n"), lines: first...first + open.count - 1)) }
      open = []
      first = next
    }
    for (index, line) in lines(of: text).enumerated() {
      if wasBlank, let head = line.first, head != " ", head != "\t" { close(index + 1) }
      wasBlank = isBlank(line)
      if open.isEmpty, wasBlank { first = index + 2 } else { open.append(line) }
    }
    close(0)
    return blocks
  }

  /// Markdown (CommonMark): headings of both kinds, fenced code, and paragraphs (lists and tables are such).
  static func markdown(_ text: String) -> [Block] {
    var blocks: [Block] = []
    var open: [Substring] = []
    var fence: (mark: Character, count: Int)?
    func close(before line: Int, _ kind: Kind = .text) {
      if !open.isEmpty { blocks.append(Block(kind: kind, text: open.joined(separator: "\n"), lines: (line - open.count)...(line - 1))) }
      open = []
    }
    for (index, line) in lines(of: text).enumerated() {
      let number = index + 1
      let body = line.drop { $0 == " " }
      let indent = line.count - body.count
      if let (mark, count) = fence {
        open.append(line)
        if indent < 4, body.prefix(while: { $0 == mark }).count >= count, body.allSatisfy({ $0 == mark || $0.isWhitespace }) {
          close(before: number + 1, .code)
          fence = nil
        }
      } else if indent < 4, let mark = body.first, mark == "`" || mark == "~", body.prefix(while: { $0 == mark }).count >= 3 {
        close(before: number)
        fence = (mark, body.prefix { $0 == mark }.count)
        open = [line]
      } else if indent < 4, let heading = heading(body) {
        close(before: number)
        blocks.append(Block(kind: .heading(level: heading.level), text: heading.text, lines: number...number))
      } else if indent < 4, open.count == 1, let level = underline(body) {
        blocks.append(Block(kind: .heading(level: level), text: open[0].trimmed, lines: (number - 1)...number))
        open = []
      } else if isBlank(line) {
        close(before: number)
      } else {
        open.append(line)
      }
    }
    close(before: lines(of: text).count + 1, fence == nil ? .text : .code)
    return blocks
  }

  /// What pdftotext writes: pages end in a form feed.
  static func pages(_ text: String) -> [Block] {
    text.split(separator: "\u{C}", omittingEmptySubsequences: false).enumerated().flatMap { index, page in
      paragraphs(lines(of: String(page)), kind: .text).map { block in
        var block = block
        block.lines = nil
        block.page = index + 1
        return block
      }
    }
  }

  // MARK: Lines

  private static func lines(of text: String) -> [Substring] {
    // A line's end is one character, also where it is two bytes.
    text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
  }

  private static func paragraphs(_ lines: [Substring], kind: Kind) -> [Block] {
    var blocks: [Block] = []
    var start = 0
    for index in 0...lines.count where index == lines.count || isBlank(lines[index]) {
      if index > start {
        blocks.append(Block(kind: kind, text: lines[start..<index].joined(separator: "\n"), lines: (start + 1)...index))
      }
      start = index + 1
    }
    return blocks
  }

  private static func isBlank(_ line: Substring) -> Bool { line.allSatisfy(\.isWhitespace) }

  /// `## Words ##`
  private static func heading(_ line: Substring) -> (level: Int, text: String)? {
    let level = line.prefix { $0 == "#" }.count
    let rest = line.dropFirst(level)
    guard (1...6).contains(level), rest.first?.isWhitespace ?? true else { return nil }
    var text = rest.trimmed[...]
    let closing = text.reversed().prefix { $0 == "#" }.count
    if closing > 0, closing == text.count || text.dropLast(closing).last?.isWhitespace == true { text = text.dropLast(closing) }
    return (level, text.trimmed)
  }

  /// A line of `=` makes the one above it a heading, one of `-` a smaller one.
  private static func underline(_ line: Substring) -> Int? {
    let line = line.trimmed
    guard let mark = line.first, mark == "=" || mark == "-", line.allSatisfy({ $0 == mark }) else { return nil }
    return mark == "=" ? 1 : 2
  }
}
