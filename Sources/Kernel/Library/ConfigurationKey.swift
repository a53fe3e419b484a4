import Wire

/// One key of a persona's table in personas.toml: which values it takes, and what it is where the line is missing.
///
/// A library declares the keys that it reads in its about text, one a line:
///
///     config.plan = boolean, false, ask the model first whether a colleague should answer
///     config.key = string, required, where it finds its data
///     config.limit = integer, none, how many it tells at a time
///
/// A type, a comma, the default as JSON (or `none`, or `required`), a comma, and one line for people.
public struct ConfigurationKey: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case string, integer, number, boolean
    /// An array of strings.
    case strings
    case table
    case any

    /// What a value of it is called, for people.
    var words: String {
      switch self {
      case .string: "a string"
      case .integer: "a whole number"
      case .number: "a number"
      case .boolean: "true or false"
      case .strings: "an array of strings"
      case .table: "a table"
      case .any: "anything"
      }
    }

    func accepts(_ value: JSON) -> Bool {
      switch (self, value) {
      case (.any, _), (.string, .string), (.boolean, .bool), (.table, .object), (.integer, .int), (.number, .int): true
      case (.number, .double(let number)): number.isFinite
      case (.strings, .array(let elements)): elements.allSatisfy { $0.string != nil }
      default: false
      }
    }
  }

  /// What it is where the line is missing.
  public enum Default: Sendable, Equatable {
    /// Nothing: the persona finds no such key.
    case none
    /// The line must be there.
    case required
    case value(JSON)
  }

  public var name: String
  public var kind: Kind
  public var standard: Default
  /// What it is for, one line.
  public var summary: String

  public init(_ name: String, _ kind: Kind, _ standard: Default = .none, _ summary: String) {
    self.name = name
    self.kind = kind
    self.standard = standard
    self.summary = summary
  }

  /// Reads the line `config.NAME = TEXT` of an about text.
  init(_ name: String, declared text: String) throws(About.Malformed) {
    func malformed(_ why: String) -> About.Malformed {
      .init("about text: \"config.\(name)\" \(why); it is \"type, default, one line\", as in \"boolean, false, whether it plans first\"")
    }
    guard Self.isName(name) else { throw malformed("names no key of TOML: letters, digits, '-' and '_', at most 64") }
    let parts = Self.parts(text)
    guard parts.count == 3, !parts[2].isEmpty, parts[2].utf8.count <= 200 else { throw malformed("has not these three parts") }
    let kinds = Kind.allCases.map(\.rawValue)
    guard let kind = Kind(rawValue: parts[0]) else {
      throw malformed("is of the unknown type \"\(parts[0])\": there are \(kinds.joined(separator: ", "))")
    }
    switch parts[1] {
    case "none": standard = .none
    case "required": standard = .required
    default:
      guard let value = try? JSON(parsing: parts[1].utf8) else { throw malformed("has a default that is neither JSON, none nor required") }
      guard kind.accepts(value) else { throw malformed("has the default \(parts[1]), which is not \(kind.words)") }
      standard = .value(value)
    }
    self.name = name
    self.kind = kind
    summary = parts[2]
    if let own = PersonaConfiguration.keys.first(where: { $0.name == name }), own.kind != kind {
      throw malformed("is a key of every persona, and \(own.kind.words)")
    }
  }

  static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count)
      && name.utf8.allSatisfy { (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
  }

  /// Divides a text at its first two commas that stand neither in a JSON string nor in brackets.
  private static func parts(_ text: String) -> [String] {
    var parts: [String] = []
    var part: [UInt8] = []
    var (depth, isString, isEscaped) = (0, false, false)
    for byte in text.utf8 {
      if parts.count < 2, depth == 0, !isString, byte == UInt8(ascii: ",") {
        parts.append(String(decoding: part, as: UTF8.self))
        part = []
        continue
      }
      part.append(byte)
      if parts.count != 1 { continue }
      switch byte {
      case UInt8(ascii: "\"") where !isEscaped: isString.toggle()
      case UInt8(ascii: "["), UInt8(ascii: "{"): if !isString { depth += 1 }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): if !isString { depth -= 1 }
      default: break
      }
      isEscaped = isString && byte == UInt8(ascii: "\\") && !isEscaped
    }
    return (parts + [String(decoding: part, as: UTF8.self)]).map(About.trimmed)
  }

  /// What is wrong with a value; nil: it suits.
  func refusal(of value: JSON) -> String? {
    if kind.accepts(value) { return nil }
    if kind == .strings, case .string = value { return "must be an array of strings, and is a string; write \(name) = [\(value.text)]" }
    return "must be \(kind.words), and is \(Self.words(value))"
  }

  private static func words(_ value: JSON) -> String {
    switch value {
    case .null: "nothing"
    case .bool: "true or false"
    case .int: "a whole number"
    case .double: "a number"
    case .string: "a string"
    case .array(let elements): elements.isEmpty || elements.allSatisfy { $0.string != nil } ? "an array" : "an array of other things"
    case .object: "a table"
    }
  }
}

extension PersonaConfiguration {
  /// The keys that every persona's table may have.
  public static let keys: [ConfigurationKey] = [
    .init("library", .string, "the library's name or path"), .init("summary", .string, "one line for people"),
    .init("prompt", .string, "the system prompt"), .init("llm", .string, "the name of its provider"),
    .init("model", .string, "the model's name at the provider"), .init("temperature", .number, "for its questions"),
    .init("max_tokens", .integer, "of an answer"), .init("tokens_per_question", .integer, "what one question may cost"),
    .init("tokens_per_day", .integer, "what it may spend on a day"), .init("fallbacks", .strings, "whom to ask instead"),
    .init("tools", .strings, "methods of others that the model may call"),
  ]
}

extension ConfigurationKey {
  fileprivate init(_ name: String, _ kind: Kind, _ summary: String) { self.init(name, kind, .none, summary) }
}
