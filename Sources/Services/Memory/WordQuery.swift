/// What somebody typed as a query of FTS5: any of its words. No character of it has a meaning in that language.
struct WordQuery {
  /// In double quotes, joined by OR; nil if there is no word in the text.
  let match: String?

  init(_ text: String, limit: Int) {
    var seen: Set<String> = []
    var words: [String] = []
    var word = String.UnicodeScalarView()
    func add(_ text: String, _ suffix: String = "") {
      if words.count < limit, seen.insert(text.lowercased()).inserted { words.append("\"\(text)\"\(suffix)") }
    }
    func end() {
      if !word.isEmpty { add(String(word)) }
      word = .init()
    }
    WordText.divide(text) { piece in
      switch piece {
      case .plain(let scalar): if Self.isPartOfWord(scalar) { word.append(scalar) } else { end() }
      case .run(let characters):
        end()
        // One character alone: every pair that begins with it, and it alone at the end of a run.
        if characters.count == 1 { add(String(characters[0]), " *") }
        for (first, second) in zip(characters, characters.dropFirst()) { add(String(first) + String(second)) }
      }
    }
    end()
    match = words.isEmpty ? nil : words.joined(separator: " OR ")
  }

  /// As the index's tokenizer has it: letters, the marks on them, numbers, and characters of private use.
  private static func isPartOfWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber, .otherNumber,
      .privateUse, .nonspacingMark, .spacingMark:
      true
    default: false
    }
  }
}
