import Wire

/// Changes the text of personas.toml the way a person would: what stands there stays as it is, byte for byte.
struct PersonasFile {
  let text: String

  /// A persona of that name is there already.
  struct Taken: Error, Equatable {
    let line: Int
  }

  /// The text with a table `[persona.NAME]` at its end.
  func adding(_ name: String, _ keys: [(key: String, value: String)]) throws(Taken) -> String {
    if let line = line(of: name) { throw Taken(line: line) }
    let end = text.contains("\r\n") ? "\r\n" : "\n"
    var table = text.isEmpty ? "" : text.utf8.last == 0x0A ? end : end + end
    table += "[persona.\(name)]" + end
    // JSON's strings are TOML's basic ones, but for "\/", which is not written here.
    for (key, value) in keys { table += "\(key) = \(JSON.string(value).text)" + end }
    return text + table
  }

  /// Where a persona is defined: `[persona.NAME]`, a table below it, `persona.NAME.key = …`, or a key of `[persona]`.
  ///
  /// Of files that TOML's rules allow and nobody writes (a table in one line, say) it knows nothing; the kernel's own check
  /// of the new text refuses what would be there twice.
  func line(of name: String) -> Int? {
    var isWithinPersona = false
    var multiline: String?
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }).enumerated() {
      if let quotes = multiline {
        if line.contains(quotes) { multiline = nil }
        continue
      }
      let body = line.drop(while: \.isWhitespace)
      if body.hasPrefix("#") { continue }
      if body.hasPrefix("[") {
        let path = Self.path(body.drop { $0 == "[" })
        if path.prefix(2) == ["persona", name] { return index + 1 }
        isWithinPersona = path == ["persona"]
        continue
      }
      guard let equals = body.firstIndex(of: "=") else { continue }
      let path = Self.path(body[..<equals])
      if path.prefix(2) == ["persona", name] || (isWithinPersona && path.first == name) { return index + 1 }
      for quotes in ["\"\"\"", "'''"] where body[equals...].ranges(of: quotes).count % 2 == 1 { multiline = quotes }
    }
    return nil
  }

  /// The parts of a dotted key, without their quotes; ends at "]".
  private static func path(_ text: Substring) -> [String] {
    var parts: [String] = []
    var rest = text
    while true {
      rest = rest.drop(while: \.isWhitespace)
      if let quote = rest.first, quote == "\"" || quote == "'" {
        rest.removeFirst()
        parts.append(String(rest.prefix { $0 != quote }))
        rest = rest.drop { $0 != quote }.dropFirst()
      } else {
        let part = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
        parts.append(String(part))
        rest = rest.dropFirst(part.count)
      }
      rest = rest.drop(while: \.isWhitespace)
      guard rest.first == "." else { return parts }
      rest.removeFirst()
    }
  }
}
