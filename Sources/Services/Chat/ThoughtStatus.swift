/// Makes lines of what a model thinks, to show that it is at work: the first word of it at once, then what it thinks, a line or
/// about 160 characters at a time. A value.
struct ThoughtStatus: Sendable {
  private static let longest = 160

  private var isShown = false
  private var line = ""

  mutating func add(_ piece: String) -> [String] {
    var lines: [String] = []
    if !isShown {
      isShown = true
      lines.append("thinking")
    }
    for character in piece {
      if !character.isNewline { line.append(character) }
      guard character.isNewline || line.count >= Self.longest && character.isWhitespace || line.utf8.count >= 4 * Self.longest else {
        continue
      }
      let text = line.trimmingBlanks()
      if !text.isEmpty { lines.append("thinking: \(text)") }
      line = ""
    }
    return lines
  }
}
