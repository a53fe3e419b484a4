// What single characters do to whoever reads a text, for every place that shows what others have said: a terminal, the log, a name.

extension String {
  /// The text with what steers a display as escapes, as in \u202e; newlines and tabs stay. For people, not for programs.
  public var visible: String {
    guard unicodeScalars.contains(where: { $0.steersDisplay }) else { return self }
    var text = ""
    for scalar in unicodeScalars {
      if scalar.steersDisplay, scalar != "\n", scalar != "\t" {
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

extension Unicode.Scalar {
  /// Whether it can change how the text around it is shown, or be taken for an order by a terminal: the controls of ASCII (newline and
  /// tab, too) and of Latin-1, marks of the writing direction, separators of lines and paragraphs, annotations, tags.
  public var steersDisplay: Bool {
    switch value {
    case 0x00..<0x20, 0x7F..<0xA0: true
    case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x206F: true
    case 0xFFF9...0xFFFB, 0xE0000...0xE007F: true
    default: false
    }
  }

  /// Whether nothing is seen of it where it stands alone: format characters, fillers, blanks of every width, what no font has.
  public var isInvisible: Bool {
    if value < 0x7F { return value <= 0x20 }
    // Fillers and blanks that Unicode does not call white space, and the signs that stand for what cannot be shown.
    switch value {
    case 0x2800, 0x3164, 0xFFA0, 0x115F, 0x1160, 0xFFFC, 0xFFFD: return true
    default: break
    }
    if properties.isWhitespace || properties.isDefaultIgnorableCodePoint { return true }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
  }
}
