import Protocol
import Wire

/// What a persona's library says of itself, in the text that persona.h describes at its end.
public struct About: Sendable, Equatable {
  /// The line that every about text begins with.
  static let firstLine = "bat-persona 1\n"
  /// The longest about text, in bytes. A string in a broken file may have no end.
  static let longest = 65_536

  public var name: String
  public var version: String
  public var summary: String?
  /// The method by which people talk to it.
  public var talk = "talk"
  /// What save() writes and load() reads; nil: the persona keeps no state of its own.
  public var state: StateSchema?
  /// Services without which it cannot work, as in "llm/1".
  public var needs: [String] = []
  /// Services that it uses when they are there.
  public var wants: [String] = []
  /// The methods that it can be asked, in the order of the text.
  public var methods: [Method] = []
  /// The keys of its part of personas.toml that it reads beside those that every persona has; nil: it does not say which.
  public var configuration: [ConfigurationKey]?
  /// The whole text, as it stands in the file.
  public var text: String

  /// "N reads M": save() writes schema N, load() reads M to N.
  public struct StateSchema: Sendable, Equatable {
    public var writes: UInt32
    public var reads: UInt32

    public init(writes: UInt32, reads: UInt32) {
      self.writes = writes
      self.reads = reads
    }
  }

  /// "method.NAME", "takes.NAME", "gives.NAME": one thing that it can be asked.
  public struct Method: Sendable, Equatable {
    public var name: String
    public var summary: String
    /// The JSON schema of the payload, as JSON text.
    public var takes: String?
    /// The JSON schema of the reply.
    public var gives: String?
  }

  /// What is wrong with an about text.
  public struct Malformed: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
  }

  /// Whether a text can be a persona's name: a letter, then letters, digits, '-' and '_', at most 64 bytes.
  public static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (name.utf8.count <= 64), isLetter(first) else { return false }
    return name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

  /// Reads a text that begins with "bat-persona 1".
  public init(parsing text: String) throws(Malformed) {
    guard text.hasPrefix(Self.firstLine) else { throw Malformed("the about text does not begin with the line \"bat-persona 1\"") }
    guard text.utf8.count <= Self.longest else { throw Malformed("the about text is longer than \(Self.longest) bytes") }
    let (values, order) = try Self.entries(of: text)
    let methods = order.filter { $0.hasPrefix("method.") }.map { String($0.dropFirst(7)) }
    let keys = order.filter { $0.hasPrefix("config.") }.map { String($0.dropFirst(7)) }
    func value(_ key: Substring, atMost limit: Int) throws(Malformed) -> String? {
      guard let value = values[key] else { return nil }
      guard !value.isEmpty else { throw Malformed("about text: \"\(key)\" is empty; give it a value or leave the line out") }
      guard value.utf8.count <= limit else { throw Malformed("about text: \"\(key)\" is longer than \(limit) bytes") }
      guard value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
        throw Malformed("about text: \"\(key)\" holds a control character")
      }
      return String(value)
    }
    guard let name = try value("name", atMost: Self.longest) else { throw Malformed("about text: \"name\" is missing") }
    guard Self.isName(name) else {
      throw Malformed("about text: \"\(name)\" is no name: a letter, then letters, digits, '-' or '_', at most 64")
    }
    guard let version = try value("version", atMost: 64) else { throw Malformed("about text: \"version\" is missing") }
    self.name = name
    self.version = version
    self.summary = try value("summary", atMost: 200)
    self.state = try value("state", atMost: 64).map { text throws(Malformed) in try StateSchema(text) }
    if let talk = try value("talk", atMost: 64) {
      guard !talk.contains(where: \.isWhitespace) else { throw Malformed("about text: \"talk\" is no method: it must be one word") }
      self.talk = talk
    }
    self.needs = try value("needs", atMost: Self.longest).map(Self.words) ?? []
    self.wants = try value("wants", atMost: Self.longest).map(Self.words) ?? []
    for key in values.keys.sorted() where key.hasPrefix("takes.") || key.hasPrefix("gives.") {
      guard methods.contains(String(key.dropFirst(6))) else {
        throw Malformed("about text: \"\(key)\" has no method.\(key.dropFirst(6)) that says what the method does")
      }
    }
    func schema(_ key: String) throws(Malformed) -> String? {
      guard let schema = try value(Substring(key), atMost: Self.longest) else { return nil }
      guard schema.utf8.first == UInt8(ascii: "{"), Array(schema.utf8).withUnsafeBytes(isJSONValue) else {
        throw Malformed("about text: \"\(key)\" is no JSON schema: it must be a JSON object, on one line")
      }
      return schema
    }
    for name in methods {
      guard Self.isMethod(name) else {
        throw Malformed("about text: \"method.\(name)\" names no method: at most 64 bytes, no blanks")
      }
      guard let summary = try value("method.\(name)", atMost: 200) else { preconditionFailure("its key was read") }
      self.methods.append(Method(name: name, summary: summary, takes: try schema("takes.\(name)"), gives: try schema("gives.\(name)")))
    }
    configuration = try Self.configuration(none: value("config", atMost: 64), keys) { key throws(Malformed) in
      try value(Substring("config." + key), atMost: 4096) ?? ""
    }
    self.text = text
  }

  /// The lines "key = value", and their keys in the order of the text.
  private static func entries(of text: String) throws(Malformed) -> (values: [Substring: Substring], order: [Substring]) {
    var values: [Substring: Substring] = [:]
    var order: [Substring] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: true).dropFirst() {
      guard let equals = line.firstIndex(of: "=") else { throw Malformed("about text: \"\(line)\" is not \"key = value\"") }
      let key = trimmed(line[..<equals])
      guard values.updateValue(trimmed(line[line.index(after: equals)...]), forKey: key) == nil else {
        throw Malformed("about text: \"\(key)\" stands there twice")
      }
      order.append(key)
    }
    return (values, order)
  }

  /// The lines `config.KEY`, or `config = none`; with neither, nil.
  private static func configuration(
    none: String?, _ keys: [String], _ line: (String) throws(Malformed) -> String
  ) throws(Malformed) -> [ConfigurationKey]? {
    if let none, none != "none" || !keys.isEmpty {
      throw Malformed("about text: \"config\" is \"none\", or there are lines \"config.KEY = type, default, one line\"")
    }
    var declared: [ConfigurationKey] = []
    for key in keys { declared.append(try ConfigurationKey(key, declared: try line(key))) }
    return declared.isEmpty && none == nil ? nil : declared
  }

  static func trimmed(_ text: String) -> String { String(trimmed(text[...])) }

  private static func words(_ text: String) -> [String] { text.split { $0 == " " || $0 == "\t" }.map(String.init) }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}

extension About.StateSchema {
  fileprivate init(_ text: String) throws(About.Malformed) {
    let words = text.split(separator: " ")
    guard words.count == 1 || (words.count == 3 && words[1] == "reads"), let writes = UInt32(words[0]),
      let reads = UInt32(words[words.count - 1]),
      reads >= 1, reads <= writes
    else { throw About.Malformed("about text: state is \"\(text)\"; say \"N\" or \"N reads M\", whole numbers with 1 <= M <= N") }
    self.init(writes: writes, reads: reads)
  }
}

extension About {
  /// As the wire tells it.
  public var described: Personas.About {
    func schema(_ text: String?) -> JSON? { text.flatMap { try? JSON(parsing: $0.utf8) } }
    return Personas.About(
      name: name, version: version, summary: summary, talk: talk, state: state.map { .init(writes: $0.writes, reads: $0.reads) },
      needs: needs, wants: wants,
      methods: methods.map { .init(name: $0.name, summary: $0.summary, takes: schema($0.takes), gives: schema($0.gives)) },
      config: configuration?.map(\.described))
  }
}

extension ConfigurationKey {
  /// As the wire tells it.
  fileprivate var described: Personas.About.Key {
    var value: JSON?
    if case .value(let standard) = standard { value = standard }
    return .init(name: name, type: kind.rawValue, standard: value, required: standard == .required, summary: summary)
  }
}
