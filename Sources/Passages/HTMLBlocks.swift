/// Divides an HTML document into blocks: headings, paragraphs, list items, table rows and `pre`.
///
/// Scripts, styles, navigation and what else a reader does not see are left out.
package struct HTMLBlocks {
  package private(set) var blocks: [Block] = []
  /// The text of the first `title`, or nil.
  package private(set) var title: String?

  /// The text of the block that is open.
  private var open = ""
  /// The level of the heading that is open.
  private var level: Int?
  private var preformatted = 0
  /// How many open elements hide their content.
  private var hidden = 0
  /// The text of `title` while that is open.
  private var openTitle: String?

  private static let hiding: Set<String> = [
    "script", "style", "noscript", "template", "svg", "nav", "iframe", "object", "select", "textarea",
  ]
  private static let breaking: Set<String> = [
    "p", "div", "section", "article", "main", "header", "footer", "aside", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "blockquote",
    "figure", "figcaption", "form", "fieldset", "hr", "body", "html", "address", "details", "summary", "caption", "thead", "tbody",
  ]

  package init(_ text: String) throws(HTML.Failed) {
    try HTML.read(Array(text.utf8)) { event in
      switch event {
      case .begin(let name): take(name, isEnd: false)
      case .end(let name): take(name, isEnd: true)
      case .text(let text):
        if openTitle != nil { openTitle? += text } else if hidden == 0 { open += text }
      }
    }
    close()
  }

  private mutating func take(_ name: String, isEnd: Bool) {
    if Self.hiding.contains(name) {
      hidden += isEnd ? -1 : 1
    } else if hidden > 0 {
      return
    } else if name == "title" {
      takeTitle(isEnd: isEnd)
    } else if let digit = Self.headingLevel(name) {
      close()
      level = isEnd ? nil : digit
    } else if name == "pre" {
      close()
      preformatted += isEnd ? -1 : 1
    } else if name == "br" {
      if !isEnd { open += "\n" }
    } else if name == "td" || name == "th" {
      open += " "
    } else if Self.breaking.contains(name) {
      close()
    }
  }

  private mutating func takeTitle(isEnd: Bool) {
    if !isEnd { return openTitle = "" }
    if title == nil, let text = openTitle { title = Self.joined(text) }
    openTitle = nil
  }

  private static func headingLevel(_ name: String) -> Int? {
    guard name.utf8.count == 2, name.first == "h", let digit = name.last?.wholeNumberValue, (1...6).contains(digit) else { return nil }
    return digit
  }

  private mutating func close() {
    defer { open = "" }
    if preformatted > 0 {
      let lines = Block.lines(of: open)
      guard let first = lines.firstIndex(where: { !$0.isBlank }), let last = lines.lastIndex(where: { !$0.isBlank }) else { return }
      blocks.append(Block(kind: .code, text: lines[first...last].joined(separator: "\n")))
      return
    }
    let text = Self.joined(open)
    if !text.isEmpty { blocks.append(Block(kind: level.map { .heading(level: $0) } ?? .text, text: text)) }
  }

  /// The text with every run of white space as one space.
  private static func joined(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
