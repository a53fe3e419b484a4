/// A piece of a document that belongs together: a heading, a paragraph, a piece of code.
package struct Block: Equatable {
  package enum Kind: Equatable {
    /// 1 is the highest.
    case heading(level: Int)
    case text
    /// Lines that must keep their breaks.
    case code
  }
  package var kind: Kind
  package var text: String
  /// Its lines in the file, from 1; nil where readers do not look for lines (HTML, PDF).
  package var lines: ClosedRange<Int>?
  /// From 1.
  package var page: Int?

  var isHeading: Bool { if case .heading = kind { true } else { false } }

  /// Divides plain text at blank lines.
  static func plain(_ text: String) -> [Block] { paragraphs(lines(of: text)[...]) }

  /// Divides source code at unindented lines that follow a blank line.
  static func code(_ text: String) -> [Block] {
    var blocks: [Block] = []
    var open: [Substring] = []
    var first = 1
    var wasBlank = false
    func close(_ next: Int) {
      while open.last?.isBlank == true { open.removeLast() }
      if !open.isEmpty { blocks.append(Block(kind: .code, text: open.joined(separator: "\n"), lines: first...first + open.count - 1)) }
      open = []
      first = next
    }
    for (index, line) in lines(of: text).enumerated() {
      if wasBlank, let head = line.first, head != " ", head != "\t" { close(index + 1) }
      wasBlank = line.isBlank
      if open.isEmpty, wasBlank { first = index + 2 } else { open.append(line) }
    }
    close(0)
    return blocks
  }

  /// Divides the output of pdftotext, in which pages end with a form feed, at blank lines.
  static func pages(_ text: String) -> [Block] {
    text.split(separator: "\u{C}", omittingEmptySubsequences: false).enumerated().flatMap { index, page in
      paragraphs(lines(of: String(page))[...]).map { block in
        var block = block
        block.lines = nil
        block.page = index + 1
        return block
      }
    }
  }

  // MARK: Lines

  static func lines(of text: String) -> [Substring] {
    // To Swift "\r\n" is one character.
    text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
  }

  /// Divides lines at blank ones. The indices of `lines` are line numbers of the file, from 0.
  static func paragraphs(_ lines: ArraySlice<Substring>) -> [Block] {
    var blocks: [Block] = []
    var start = lines.startIndex
    for index in lines.startIndex...lines.endIndex where index == lines.endIndex || lines[index].isBlank {
      if index > start {
        blocks.append(Block(kind: .text, text: lines[start..<index].joined(separator: "\n"), lines: (start + 1)...index))
      }
      start = index + 1
    }
    return blocks
  }
}

extension Substring {
  /// Whether it has nothing but white space.
  var isBlank: Bool { allSatisfy(\.isWhitespace) }
}

extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String {
    let head = drop(while: \.isWhitespace)
    guard let last = head.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(head[...last])
  }
}
