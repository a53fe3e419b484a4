/// What somebody typed as a query of FTS5: any of its words. No character of it has a meaning in that language.
struct WordQuery {
  /// In double quotes, joined by OR; nil if there is no word in the text.
  let match: String?

  init(_ text: String, limit: Int) {
    var seen: Set<String> = []
    var words: [String] = []
    var word = String.UnicodeScalarView()
    func end() {
      guard !word.isEmpty else { return }
      let text = String(word)
      word = .init()
      if words.count < limit, seen.insert(text.lowercased()).inserted { words.append(text) }
    }
    for scalar in text.unicodeScalars { if Self.isPartOfWord(scalar) { word.append(scalar) } else { end() } }
    end()
    match = words.isEmpty ? nil : words.map { "\"\($0)\"" }.joined(separator: " OR ")
  }

  /// As the tokenizer unicode61 has it: letters, marks on them, numbers, and characters of private use.
  private static func isPartOfWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber, .otherNumber,
      .privateUse, .nonspacingMark, .spacingMark, .enclosingMark:
      true
    default: false
    }
  }
}
