/// What a line of the conversation means.
enum Line: Equatable {
  case nothing
  /// `nil`: to whom we talk already.
  case say(to: String?, String)
  /// To each persona, one after the other.
  case sayToAll(String)
  case turn(to: String)
  case personas, who, stats, forget, help, quit
  case reload([String], force: Bool)
  case load(String), unload(String), rollback(String)
  /// `nil`: the main one.
  case thread(String?)
  /// A citation, by its number.
  case open(Int)
  /// It cannot be done as it is written; the text says what to write.
  case wrong(String)

  init(_ line: String) {
    let text = line.trimmed
    if text.isEmpty {
      self = .nothing
    } else if text.hasPrefix("//") {
      self = .say(to: nil, String(text.dropFirst()))
    } else if text.hasPrefix("/") {
      self = Self.command(text.split(whereSeparator: \.isWhitespace).map(String.init))
    } else if text.hasPrefix("@") {
      self = Self.address(text.dropFirst())
    } else {
      self = .say(to: nil, text)
    }
  }

  /// `NAME text`; a comma, a colon or another mark may end the name, as in "@ROBIN, hello".
  private static func address(_ text: Substring) -> Line {
    var name = text.prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
    let behind = text[name.endIndex...]
    if let mark = behind.first, !mark.isWhitespace, !marks.contains(mark) {
      // No persona is called so: it is said as a whole.
      name = text.prefix { !$0.isWhitespace && $0 != "," && $0 != ":" }
    }
    let said = text[name.endIndex...].drop { marks.contains($0) }.trimmed
    if name.isEmpty { return .wrong("write @NAME and what you want to say, as in: @ROBIN hello") }
    if name.lowercased() == "all" { return said.isEmpty ? .wrong("write @all and what you want to ask everybody") : .sayToAll(said) }
    return said.isEmpty ? .turn(to: String(name)) : .say(to: String(name), said)
  }

  /// What may stand between a name and what is said to it.
  private static let marks: Set<Character> = [",", ":", ";", ".", "!", "?", "，", "：", "、", "。", "；", "！", "？"]

  private static func command(_ words: [String]) -> Line {
    let operands = Array(words.dropFirst())
    switch (words[0], operands.count) {
    case ("/personas", 0): return .personas
    case ("/who", 0): return .who
    case ("/stats", 0): return .stats
    case ("/forget", 0): return .forget
    case ("/help", _), ("/?", _): return .help
    case ("/quit", _), ("/exit", _): return .quit
    case ("/load", 1): return .load(operands[0])
    case ("/unload", 1): return .unload(operands[0])
    case ("/rollback", 1): return .rollback(operands[0])
    case ("/load", _), ("/unload", _), ("/rollback", _): return .wrong("write \(words[0]) NAME; /personas says who is there")
    case ("/thread", 0): return .thread(nil)
    case ("/thread", 1): return .thread(operands[0])
    case ("/open", 1):
      guard let number = Int(operands[0]), number > 0 else { return .wrong("write /open and the number of a citation, as in: /open 1") }
      return .open(number)
    case ("/open", _): return .wrong("write /open and the number of a citation, as in: /open 1")
    case ("/reload", 1...): return .reload(operands.filter { $0 != "--force" }, force: operands.contains("--force"))
    case ("/reload", _): return .reload([], force: false)
    default: return .wrong("there is no \(words[0]) of that form: /help says what there is; //text says a text that begins with a slash")
    }
  }

  static let commands = [
    "/personas", "/who", "/stats", "/forget", "/help", "/quit", "/load", "/unload", "/rollback", "/reload", "/thread", "/open",
  ]

  static let helpText = """
    Write, and Enter sends it to the persona that the prompt names. Ctrl-C stops an answer.
      @NAME text         to another persona, which the prompt then names; @NAME alone only turns to it
      @all text          to each persona, one after the other
      /personas          who is there              /who               who you are, and where
      /reload [NAME…]    new code, old talk        /rollback NAME     the code before
      /load /unload NAME                           /stats             what the kernel counts
      /thread [T]        another conversation with the same personas; without T the main one
      /open N            the passage that an answer cites as [N]
      /forget            what was said here with the persona that the prompt names
      /help /quit        Ctrl-D, and Ctrl-C twice, quit too
    Alt-Enter makes a new line, Up and Down go through what you wrote, Tab completes names.
    """
}

extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String {
    let head = drop(while: \.isWhitespace)
    guard let last = head.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(head[...last])
  }
}
