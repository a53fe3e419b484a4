extension Block {
  /// HTML: headings, paragraphs, list items, table rows and `pre`; what is not shown (scripts, styles, navigation) is left out.
  ///
  /// Reads what browsers would take: tags that are not closed, attributes without quotes, entities of every kind.
  static func html(_ text: String) -> [Block] {
    var reader = HTMLReader(text)
    return reader.blocks()
  }

  /// The words of `title`, or nil.
  static func htmlTitle(_ text: String) -> String? {
    var reader = HTMLReader(text)
    _ = reader.blocks()
    return reader.title
  }
}

private struct HTMLReader {
  private let bytes: [UInt8]
  private var at = 0
  private var found: [Block] = []
  private var open: [UInt8] = []
  private var level: Int?
  private var preformatted = 0
  private(set) var title: String?

  init(_ text: String) { bytes = Array(text.utf8) }

  private static let hidden: Set<String> = ["script", "style", "noscript", "template", "svg", "nav", "head", "iframe", "object", "select"]
  private static let breaking: Set<String> = [
    "p", "div", "section", "article", "main", "header", "footer", "aside", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "blockquote",
    "figure", "figcaption", "form", "fieldset", "hr", "body", "html", "address", "details", "summary", "caption", "thead", "tbody",
  ]
  /// Their content is text up to their own end tag, whatever stands in it.
  private static let raw: Set<String> = ["script", "style", "title", "textarea", "noscript", "iframe"]

  mutating func blocks() -> [Block] {
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "<"), let tag = tag() { take(tag) } else { text() }
    }
    close()
    return found
  }

  private struct Tag {
    var name: String
    var isEnd = false
    var isClosed = false
  }

  /// The tag at `at`, which is then behind it; nil: it is only a "<".
  private mutating func tag() -> Tag? {
    var index = at + 1
    guard index < bytes.count else { return nil }
    if starts("<!--", at: at) {
      at = find("-->", from: at + 4).map { $0 + 3 } ?? bytes.count
      return Tag(name: "!")
    }
    if bytes[index] == UInt8(ascii: "!") || bytes[index] == UInt8(ascii: "?") {
      at = (bytes[index...].firstIndex(of: UInt8(ascii: ">")) ?? bytes.count - 1) + 1
      return Tag(name: "!")
    }
    let isEnd = bytes[index] == UInt8(ascii: "/")
    if isEnd { index += 1 }
    let start = index
    while index < bytes.count, Self.isName(bytes[index]) { index += 1 }
    guard index > start, Self.isLetter(bytes[start]) else { return nil }
    let name = String(decoding: bytes[start..<index], as: UTF8.self).lowercased()
    var quote: UInt8?
    while index < bytes.count {
      let byte = bytes[index]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"),
        bytes[index - 1] == UInt8(ascii: "=") || Self.isBlank(bytes[index - 1])
      {
        quote = byte
      } else if byte == UInt8(ascii: ">") {
        break
      }
      index += 1
    }
    let isClosed = index < bytes.count && bytes[index - 1] == UInt8(ascii: "/")
    at = min(bytes.count, index + 1)
    return Tag(name: name, isEnd: isEnd, isClosed: isClosed)
  }

  private mutating func take(_ tag: Tag) {
    if tag.name == "!" { return }
    if Self.raw.contains(tag.name), !tag.isEnd, !tag.isClosed {
      let start = at
      let end = findEnd(of: tag.name)
      if tag.name == "title", title == nil { title = Self.joined(Self.decoded(bytes[start..<end])).trimmed }
      at = end
      return
    }
    if tag.name == "head" || Self.hidden.contains(tag.name) {
      if !tag.isEnd, !tag.isClosed { skip(tag.name) }
      return
    }
    if tag.name.utf8.count == 2, tag.name.first == "h", let digit = tag.name.last?.wholeNumberValue, (1...6).contains(digit) {
      close()
      level = tag.isEnd ? nil : digit
    } else if tag.name == "pre" {
      close()
      preformatted = tag.isEnd ? max(0, preformatted - 1) : preformatted + 1
    } else if tag.name == "br" {
      open.append(UInt8(ascii: "\n"))
    } else if tag.name == "td" || tag.name == "th" {
      open.append(UInt8(ascii: " "))
    } else if Self.breaking.contains(tag.name) {
      close()
    }
  }

  /// Goes behind the end of a part that is not shown. The head may hold the title.
  private mutating func skip(_ name: String) {
    var depth = 1
    while at < bytes.count, depth > 0 {
      guard bytes[at] == UInt8(ascii: "<"), let tag = tag() else {
        at += 1
        continue
      }
      if tag.name == name { depth += tag.isEnd ? -1 : tag.isClosed ? 0 : 1 }
      if name == "head", tag.name == "body" { return }
      if Self.raw.contains(tag.name), !tag.isEnd, !tag.isClosed, tag.name != name {
        let start = at
        at = findEnd(of: tag.name)
        if tag.name == "title", title == nil { title = Self.joined(Self.decoded(bytes[start..<at])).trimmed }
      }
    }
  }

  private mutating func text() {
    let start = at
    at += 1
    while at < bytes.count, bytes[at] != UInt8(ascii: "<") { at += 1 }
    open += Self.decoded(bytes[start..<at])
  }

  private mutating func close() {
    defer { open = [] }
    if preformatted > 0 {
      let text = String(decoding: open, as: UTF8.self)
      if !text.allSatisfy(\.isWhitespace) { found.append(Block(kind: .code, text: Self.withoutOuterBlankLines(text))) }
      return
    }
    let text = Self.joined(open).trimmed
    if !text.isEmpty { found.append(Block(kind: level.map { .heading(level: $0) } ?? .text, text: text)) }
  }

  // MARK: Bytes

  private func starts(_ text: StaticString, at index: Int) -> Bool {
    let count = text.utf8CodeUnitCount
    guard index + count <= bytes.count else { return false }
    return (0..<count).allSatisfy { bytes[index + $0] == text.utf8Start[$0] }
  }

  private func find(_ text: StaticString, from index: Int) -> Int? {
    index > bytes.count ? nil : (index...bytes.count).first { starts(text, at: $0) }
  }

  /// Where `</name` begins, or the end.
  private func findEnd(of name: String) -> Int {
    let name = Array(name.utf8)
    var index = at
    while let open = bytes[index...].firstIndex(of: UInt8(ascii: "<")) {
      let start = open + 2
      if open + 1 < bytes.count, bytes[open + 1] == UInt8(ascii: "/"), start + name.count <= bytes.count,
        bytes[start..<start + name.count].elementsEqual(name, by: { $0 | 0x20 == $1 })
      {
        return open
      }
      index = open + 1
    }
    return bytes.count
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
  private static func isName(_ byte: UInt8) -> Bool { isLetter(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") }

  /// Blanks run together as a browser does it; `<br>` was a newline already and stays one.
  private static func joined(_ bytes: [UInt8]) -> String {
    var text = ""
    var blank = false
    for character in String(decoding: bytes, as: UTF8.self) {
      if character.isWhitespace, character != "\u{A0}" {
        blank = true
      } else {
        if blank, !text.isEmpty { text.append(" ") }
        blank = false
        text.append(character == "\u{A0}" ? " " : character)
      }
    }
    return text
  }

  private static func withoutOuterBlankLines(_ text: String) -> String {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    while lines.first?.allSatisfy(\.isWhitespace) == true { lines.removeFirst() }
    while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
    return lines.joined(separator: "\n")
  }

  /// Character references resolved: numbers, and the names that documents use. Unknown names stay as they are.
  private static func decoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    guard bytes.contains(UInt8(ascii: "&")) else { return Array(bytes) }
    var out: [UInt8] = []
    var index = bytes.startIndex
    while index < bytes.endIndex {
      guard bytes[index] == UInt8(ascii: "&"), let end = bytes[index...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else {
        out.append(bytes[index])
        index += 1
        continue
      }
      let name = String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
      if let text = character(name) {
        out += text.utf8
        index = end + 1
      } else {
        out.append(bytes[index])
        index += 1
      }
    }
    return out
  }

  private static func character(_ name: String) -> String? {
    if name.hasPrefix("#") {
      let digits = name.dropFirst()
      let value = digits.first.map { "xX".contains($0) } == true ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
      guard let value, value != 0, let scalar = Unicode.Scalar(value) else { return nil }
      return String(scalar)
    }
    return names[name]
  }

  private static let names: [String: String] = [
    "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{A0}", "ndash": "–", "mdash": "—", "hellip": "…", "lsquo": "‘",
    "rsquo": "’", "ldquo": "“", "rdquo": "”", "sbquo": "‚", "bdquo": "„", "laquo": "«", "raquo": "»", "bull": "•", "middot": "·",
    "copy": "©",
    "reg": "®", "trade": "™", "deg": "°", "plusmn": "±", "times": "×", "divide": "÷", "frac12": "½", "frac14": "¼", "frac34": "¾",
    "sup2": "²",
    "sup3": "³", "micro": "µ", "para": "¶", "sect": "§", "euro": "€", "pound": "£", "yen": "¥", "cent": "¢", "larr": "←", "rarr": "→",
    "uarr": "↑", "darr": "↓", "harr": "↔", "rArr": "⇒", "le": "≤", "ge": "≥", "ne": "≠", "asymp": "≈", "infin": "∞", "minus": "−",
    "auml": "ä", "ouml": "ö", "uuml": "ü", "Auml": "Ä", "Ouml": "Ö", "Uuml": "Ü", "szlig": "ß", "eacute": "é", "egrave": "è", "ecirc": "ê",
    "agrave": "à", "aacute": "á", "acirc": "â", "ccedil": "ç", "ntilde": "ñ", "iacute": "í", "oacute": "ó", "uacute": "ú", "ocirc": "ô",
    "icirc": "î", "ucirc": "û", "aring": "å", "oslash": "ø", "aelig": "æ", "shy": "\u{AD}", "zwj": "\u{200D}", "zwnj": "\u{200C}",
    "ensp": " ", "emsp": " ", "thinsp": " ", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "lambda": "λ", "mu": "μ", "pi": "π",
  ]
}
