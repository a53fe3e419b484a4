import Glibc

/// What the environment and the descriptors say about where we print.
enum Terminal {
  /// Whether a terminal is behind the descriptor.
  static func has(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// An environment variable that is set and not empty.
  static func environment(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  /// Whether the terminal can do no more than print lines.
  static var isDumb: Bool { environment("TERM") == nil || environment("TERM") == "dumb" }

  /// Columns and rows; 80 × 24 when it cannot be told.
  static func size(_ descriptor: Int32) -> (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }
}

/// Colours, for a terminal that wants them; plain text for everybody else. https://no-color.org
struct Style {
  let colours: Bool

  init(for output: Output) {
    colours = Terminal.has(output.descriptor) && !Terminal.isDumb && Terminal.environment("NO_COLOR") == nil
  }

  func dim(_ text: String) -> String { paint("2", text) }
  func bold(_ text: String) -> String { paint("1", text) }
  func name(_ text: String) -> String { paint("1;36", text) }
  func bad(_ text: String) -> String { paint("31", text) }

  private func paint(_ code: String, _ text: String) -> String { colours ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}

extension String {
  /// The text with everything that could steer a terminal made visible: control characters become their pictures
  /// (ESC is ␛), carriage returns go, overrides of the writing direction become �. Newlines and tabs stay.
  var harmless: String {
    var safe = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0x09, 0x0A: safe.append(scalar)
      case 0x0D: break
      case 0x00...0x1F: safe.append(Unicode.Scalar(0x2400 + scalar.value)!)
      case 0x7F: safe.append("␡")
      case 0x80...0x9F, 0x202D, 0x202E: safe.append("\u{FFFD}")
      default: safe.append(scalar)
      }
    }
    return String(safe)
  }

  /// The first `limit` characters, harmless and in one line; an ellipsis stands for the rest.
  func oneLine(_ limit: Int) -> String {
    let flat = prefix(limit + 1).map { $0.isNewline || $0 == "\t" ? " " : $0 }
    let text = flat.count > limit ? String(flat.prefix(max(0, limit - 1))) + "…" : String(flat)
    return text.harmless
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
