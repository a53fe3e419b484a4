/// The rules for names: of clients, of personas, and of whoever speaks under an answer.
///
/// A name is what people tell others apart by, so one that looks like another, like none, or like a word that means somebody else is
/// refused where it comes in.
public enum Name {
  /// The longest one, in bytes.
  public static let longest = 64

  /// Words that mean somebody else wherever a name can stand: the kernel, people as the memory knows them, everybody and nobody.
  private static let reserved: Set = ["*", "USER", "everyone", "nobody"]
  /// The same, whatever their capitals.
  private static let reservedInAnyCase: Set = ["kernel", "all"]

  /// Why nobody can be called so, for people; nil: it is a name.
  public static func problem(_ name: some Collection<UInt8>) -> String? {
    if name.isEmpty { return "a name has at least one character" }
    if name.count > longest { return "a name has at most \(longest) bytes" }
    guard let text = String(validating: name, as: UTF8.self) else { return alphabet }
    let scalars = text.unicodeScalars
    if scalars.contains(where: { $0.steersDisplay || $0 == "\"" || $0 == "\\" }) { return alphabet }
    if scalars.first == " " || scalars.last == " " || text.contains("  ") {
      return "a name has no blanks at its ends, and no two in a row: it could not be told from another"
    }
    if scalars.contains(where: { $0 != " " && $0.isInvisible }) {
      return "a name is made of characters that can be seen: it has an invisible one"
    }
    if scalars.contains(where: isDouble) {
      return "a name is written with plain letters: it has one that looks like another letter, or an accent apart from its letter"
    }
    if mixesAlphabets(scalars) {
      return "a name is written in one alphabet: Latin letters stand beside Greek or Cyrillic ones that look the same"
    }
    if text.hasPrefix("#") || text.hasPrefix("{") || reserved.contains(text) || reservedInAnyCase.contains(text.lowercased()) {
      return "\(text) is not free: KERNEL, USER, all, everyone, nobody, * and names that begin with # or { mean something else"
    }
    return nil
  }

  private static let alphabet = "a name is UTF-8 without control characters, quotes and backslashes"

  /// Parts of the kernel: personas.toml names them beside the personas.
  private static let parts: Set = ["io", "bus", "reload", "llm", "memory"]
  /// Who speaks in a conversation with the model.
  private static let roles: Set = ["user", "assistant", "system", "tool"]

  /// What else a name means, so that no persona can have it; nil: nothing.
  public static func otherMeaning(_ name: String) -> String? {
    switch name.lowercased() {
    case "kernel": "that is the kernel's own name"
    case "all": "that means everybody in a conversation"
    case _ where name == "everyone" || name == "nobody": "that says who may read a collection of the memory"
    case let role where roles.contains(role): "that is who speaks in a conversation: people are USER to the memory and user to the model"
    case _ where parts.contains(name): "that is a part of the kernel, under [log] levels"
    default: nil
    }
  }

  /// A name like this one for somebody who cannot choose: what no name may have becomes '-'. Nil: nothing is left.
  public static func like(_ text: String) -> String? {
    var name = ""
    for character in text {
      let fits = problem(String(character).utf8) == nil && character != "#" && character != "{"
      let next = fits ? String(character) : "-"
      if name.utf8.count + next.utf8.count > longest - 16 { break }
      if next == "-", name.last == "-" || name.isEmpty { continue }
      name += next
    }
    while name.last == "-" { name.removeLast() }
    return name.isEmpty || problem(name.utf8) != nil ? nil : name
  }

  /// A letter that is another one in other clothes (full width, mathematical, enclosed, a ligature, a sign made of a letter), or an accent
  /// that stands apart from its letter, as those of decomposed text.
  private static func isDouble(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0300...0x036F, 0x1100...0x11FF, 0x1D00...0x1DBF, 0x2100...0x218F, 0x2460...0x24FF, 0xF900...0xFAFF, 0xFB00...0xFB4F,
      0xFE20...0xFE2F,
      0xFF00...0xFFEF, 0x1D400...0x1D7FF, 0x1F100...0x1F1E5, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  private static func mixesAlphabets(_ scalars: String.UnicodeScalarView) -> Bool {
    let hasLatin = scalars.contains { $0.isASCII && $0.properties.isAlphabetic || (0xC0..<0x250).contains($0.value) }
    let hasOther = scalars.contains { (0x370..<0x590).contains($0.value) || (0x13A0..<0x1400).contains($0.value) }
    return hasLatin && hasOther
  }
}
