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

  /// How wide answers are on standard output; nil: they go to a file or a pipe. A terminal that can do no more than print lines breaks
  /// them itself.
  static var answerColumns: Int? { has(1) ? isDumb ? .max : size(1).columns : nil }

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

  func dim(_ text: String) -> String { paint(.dim, text) }
  func bold(_ text: String) -> String { paint(.bold, text) }
  func name(_ text: String) -> String { paint(.name, text) }
  func bad(_ text: String) -> String { paint(.bad, text) }

  private func paint(_ paint: Paint, _ text: String) -> String { colours ? paint.mark + text + Paint.endMark : text }
}

/// How a piece of text is painted. In a text it is a mark, which becomes the terminal's own sequence when it is written (`Output`): so a
/// text can be measured, and whatever else in it looks like such a sequence is somebody else's.
enum Paint: UInt32, CaseIterable {
  // Noncharacters of Unicode: no text that anybody exchanges has them.
  case dim = 0xFDD0
  case bold, name, bad

  /// All marks, and what `harmless` lets nobody else use.
  static let marks: ClosedRange<UInt32> = 0xFDD0...0xFDEF
  static let endMark = String(Character(Unicode.Scalar(UInt32(0xFDEF))!))

  var mark: String { String(Character(Unicode.Scalar(rawValue)!)) }

  private var sequence: String {
    switch self {
    case .dim: "\u{1B}[2m"
    case .bold: "\u{1B}[1m"
    case .name: "\u{1B}[1;36m"
    case .bad: "\u{1B}[31m"
    }
  }

  /// The text as it goes to a terminal: marks as sequences, and everything between them harmless.
  static func rendered(_ text: String) -> String {
    var out = ""
    var plain = String.UnicodeScalarView()
    func flush() {
      out += String(plain).harmless
      plain = String.UnicodeScalarView()
    }
    for scalar in text.unicodeScalars {
      guard marks.contains(scalar.value) else {
        plain.append(scalar)
        continue
      }
      flush()
      out += Paint(rawValue: scalar.value)?.sequence ?? "\u{1B}[0m"
    }
    flush()
    return out
  }
}
