import Wire

// What others have said, made fit for a terminal: nothing of it steers the terminal, and nothing hides.

extension String {
  /// The text with everything that could steer a terminal made visible: control characters become their pictures
  /// (ESC is ␛), carriage returns go, marks of the writing direction, separators and the like become �. Newlines and tabs stay.
  var harmless: String {
    var safe = String.UnicodeScalarView()
    // Tags are the letters of some flags, and elsewhere hidden text.
    var isInFlag = false
    for scalar in unicodeScalars {
      let isTag = (0xE0020...0xE007F).contains(scalar.value)
      switch scalar.value {
      case 0x09, 0x0A: safe.append(scalar)
      case 0x0D: break
      case 0x00...0x1F: safe.append(Unicode.Scalar(0x2400 + scalar.value)!)
      case 0x7F: safe.append("␡")
      case Paint.marks: safe.append("\u{FFFD}")
      case _ where scalar.steersDisplay && !(isTag && isInFlag): safe.append("\u{FFFD}")
      default: safe.append(scalar)
      }
      isInFlag = scalar == "\u{1F3F4}" || isInFlag && isTag
    }
    return String(safe)
  }

  /// The first `limit` characters, harmless and in one line; an ellipsis stands for the rest.
  func oneLine(_ limit: Int) -> String {
    // A character may have any number of accents: of those, too, there is an end.
    let head = String(unicodeScalars.prefix((limit + 1) * 8))
    let flat = head.prefix(limit + 1).map { $0.isNewline || $0 == "\t" ? " " : $0 }
    let isWhole = flat.count <= limit && head.unicodeScalars.count == unicodeScalars.count
    let text = isWhole ? String(flat) : String(flat.prefix(max(0, limit - 1))) + "…"
    return text.harmless
  }

  /// Somebody's name, in one line, of which nothing is invisible: what is not seen becomes �.
  var shownName: String {
    var seen = String.UnicodeScalarView()
    for scalar in unicodeScalars.prefix(512) { seen.append(scalar != " " && scalar.isInvisible ? "\u{FFFD}" : scalar) }
    let name = String(seen).oneLine(Name.longest)
    return name.trimmed.isEmpty ? "\u{FFFD}" : name
  }

  /// JSON on one line that shows everything: what steers a terminal stands as an escape, so that it is the same JSON.
  var visibleJSON: String {
    func hides(_ scalar: Unicode.Scalar) -> Bool { scalar.steersDisplay || scalar == "\u{FEFF}" || Paint.marks.contains(scalar.value) }
    guard unicodeScalars.contains(where: hides) else { return self }
    var safe = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if scalar.value < 0x20 {
        // Outside of strings alone; within them JSON has no such character.
        safe.append(" ")
      } else if hides(scalar) {
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          safe.append(contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).unicodeScalars)
        }
      } else {
        safe.append(scalar)
      }
    }
    return String(safe)
  }

  /// Filled with blanks on the right to so many cells of the terminal.
  func padded(_ cells: Int) -> String { self + String(repeating: " ", count: max(0, cells - self.cells)) }

  /// How many cells of a terminal the text takes, if it holds no newline.
  var cells: Int { reduce(0) { $0 + $1.cells } }
}

extension Character {
  /// How many cells of a terminal it takes: 0, 1 or 2.
  var cells: Int {
    if unicodeScalars.contains("\u{FE0F}") { return 2 }
    return unicodeScalars.map(\.cells).max() ?? 0
  }
}

extension Unicode.Scalar {
  fileprivate var cells: Int {
    if value < 0x300 { return 1 }
    if Paint.marks.contains(value) { return 0 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    switch value {
    // East Asian Wide and Fullwidth, Unicode Standard Annex 11.
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
      0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
      return 2
    default: return properties.isEmojiPresentation ? 2 : 1
    }
  }
}
