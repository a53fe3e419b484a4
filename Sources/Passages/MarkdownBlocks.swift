/// Divides a Markdown document into blocks.
///
/// md4c tells which parts are headings and code, and where their text is in the source; this type works out their lines. All other
/// lines are text, divided at blank lines (so lists, quotes and tables are text). A heading has its text as a reader sees it, other
/// blocks have their lines as they are in the source. Every line that is not blank is in exactly one block.
package struct MarkdownBlocks {
  private let lines: [Substring]
  /// Where each line begins in the source, in bytes.
  private let starts: [Int]
  private var blocks: [Block] = []
  /// The first line, from 0, that is not in a block yet.
  private var next = 0
  /// The first line, from 0, after everything that md4c has reported so far.
  private var behind = 0
  /// How many blocks of Markdown are open. A heading in a list or a quote does not divide the document.
  private var depth = 0
  private var heading: Heading?
  private var code: Code?

  /// A heading whose end has not been reported yet.
  private struct Heading {
    var text = ""
    /// The first and last line with text of it.
    var first: Int?
    var last = 0

    mutating func add(_ kind: Markdown.Text, _ text: String, at line: Int?) {
      switch kind {
      case .plain, .code: self.text += text
      case .reference: self.text += HTML.character(text) ?? text
      case .lineBreak, .softBreak: self.text += " "
      case .html: break
      }
      guard let line else { return }
      if first == nil { first = line }
      last = line
    }
  }

  /// A piece of code whose end has not been reported yet.
  private struct Code {
    /// The first line that is not empty, and how many empty ones are before it.
    var first: (line: Int, emptyBefore: Int)?
    /// How many lines it has.
    var count = 0

    mutating func add(_ text: String, at line: Int?) {
      if let line {
        if first == nil { first = (line, count) }
      } else if text == "\n" {
        count += 1
      }
    }
  }

  package static func blocks(of text: String) throws(Markdown.Failed) -> [Block] {
    var text = text
    // Makes the distances below cheap.
    text.makeContiguousUTF8()
    var reader = MarkdownBlocks(text)
    try reader.read(text)
    return reader.blocks
  }

  private init(_ text: String) {
    lines = Block.lines(of: text)
    starts = lines.map { text.utf8.distance(from: text.startIndex, to: $0.startIndex) }
  }

  private mutating func read(_ text: String) throws(Markdown.Failed) {
    if let count = Self.frontMatter(lines) { add(.code, 0...(count - 1)) }
    behind = next
    let start = next < starts.count ? starts[next] : text.utf8.count
    try Markdown.read(Array(text.utf8.dropFirst(start))) { event in
      switch event {
      case .begin(let block):
        depth += 1
        if case .heading = block { heading = Heading() }
        if case .code = block { code = Code() }
      case .end(let block):
        if case .heading(let level) = block { end(headingOf: level) }
        if case .code(let fence) = block { end(codeIn: fence) }
        depth -= 1
      case .text(let kind, let text, let offset): take(kind, text, at: offset.map { line(at: $0 + start) })
      }
    }
    addText(before: lines.count)
  }

  private mutating func take(_ kind: Markdown.Text, _ text: String, at line: Int?) {
    if let line { behind = max(behind, line + 1) }
    heading?.add(kind, text, at: line)
    code?.add(text, at: line)
  }

  // MARK: Headings

  private mutating func end(headingOf level: Int) {
    guard let heading = self.heading.take(), depth == 2 else { return }
    let text = heading.text.trimmed
    guard let first = heading.first else {
      // It has no text (an image may be all of it): look for its number signs.
      let found = lines[behind...].firstIndex { Self.isNumberSigned($0, level) }
      if let found { add(.heading(level: level), found...found, text: text) }
      return
    }
    if Self.isNumberSigned(lines[first], level) { return add(.heading(level: level), first...first, text: text) }
    let underline = lines[(heading.last + 1)...].firstIndex { line in
      let line = line.trimmed
      return !line.isEmpty && line.allSatisfy { $0 == (level == 1 ? "=" : "-") }
    }
    add(.heading(level: level), first...(underline ?? heading.last), text: text)
  }

  /// Whether a line is a heading of the form "## Text".
  private static func isNumberSigned(_ line: Substring, _ level: Int) -> Bool {
    let line = line.drop(while: \.isWhitespace)
    return line.prefix { $0 == "#" }.count == level && line.dropFirst(level).first?.isWhitespace ?? true
  }

  // MARK: Code

  private mutating func end(codeIn fence: Character?) {
    guard let code = self.code.take() else { return }
    guard let fence else {
      if let (line, before) = code.first, code.count > 0 { add(.code, (line - before)...(line - before + code.count - 1)) }
      return
    }
    let opening = code.first.map { $0.line - $0.emptyBefore - 1 } ?? lines[behind...].firstIndex { Self.fence(on: $0, fence) != nil }
    guard let opening, opening >= 0 else { return }
    var last = min(opening + code.count, lines.count - 1)
    if last + 1 < lines.count, Self.closes(lines[last + 1], fence, opening: lines[opening]) {
      last += 1
    } else {
      // It has no closing fence: it ends with the document, list or quote that it is in.
      while last > opening, lines[last].isBlank { last -= 1 }
    }
    add(.code, opening...last)
  }

  /// What is on a line before a fence (the marks of lists and quotes) and after it; nil if there is no fence.
  private static func fence(on line: Substring, _ fence: Character) -> (before: Substring, behind: Substring)? {
    let before = line.prefix { $0.isWhitespace || $0.isNumber || ">-*+.)".contains($0) }
    let rest = line[before.endIndex...]
    let count = rest.prefix { $0 == fence }.count
    return count < 3 ? nil : (before, rest.dropFirst(count))
  }

  /// Whether a line closes fenced code: its fence is in as many quotes as the opening one, and it does not begin a list item.
  private static func closes(_ line: Substring, _ mark: Character, opening: Substring) -> Bool {
    guard let first = fence(on: opening, mark), let last = fence(on: line, mark) else { return false }
    func quotes(_ text: Substring) -> Int { text.count { $0 == ">" } }
    return last.behind.isBlank && quotes(first.before) == quotes(last.before) && last.before.allSatisfy { $0 == ">" || $0.isWhitespace }
  }

  // MARK: Lines

  /// How many lines the front matter (YAML or TOML) takes; nil if there is none.
  ///
  /// A first line "---" that is followed by a blank one is a thematic break.
  private static func frontMatter(_ lines: [Substring]) -> Int? {
    func isMark(_ line: Substring, _ mark: String) -> Bool { line.hasPrefix(mark) && line.dropFirst(mark.count).isBlank }
    guard lines.count > 1, !lines[1].isBlank, let mark = ["---", "+++"].first(where: { isMark(lines[0], $0) }) else { return nil }
    return lines.dropFirst().firstIndex { isMark($0, mark) || mark == "---" && isMark($0, "...") }.map { $0 + 1 }
  }

  /// The line, from 0, of a byte of the source.
  private func line(at offset: Int) -> Int {
    var (low, high) = (0, starts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= offset { low = middle } else { high = middle }
    }
    return low
  }

  /// Adds the lines before a block that are not in one yet as text, then the block.
  private mutating func add(_ kind: Block.Kind, _ range: ClosedRange<Int>, text: String? = nil) {
    // No line is added twice, even if its position was worked out wrongly.
    guard range.upperBound >= next else { return }
    let first = max(range.lowerBound, next)
    addText(before: first)
    let text = text ?? lines[first...range.upperBound].joined(separator: "\n")
    blocks.append(Block(kind: kind, text: text, lines: (first + 1)...(range.upperBound + 1)))
    next = range.upperBound + 1
    behind = max(behind, next)
  }

  private mutating func addText(before end: Int) {
    guard next < end else { return }
    blocks += Block.paragraphs(lines[next..<end])
    next = end
  }
}
