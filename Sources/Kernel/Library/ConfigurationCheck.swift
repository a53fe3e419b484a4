import Wire

/// What in a persona's table does not suit the keys that its library declares.
public struct ConfigurationCheck: Sendable {
  public enum Fault: Sendable, Equatable {
    /// The library cannot work with it.
    case wrong
    /// The library reads no such key.
    case unknown
  }
  public struct Finding: Sendable, Equatable {
    public var key: String
    public var fault: Fault
    public var message: String
  }

  public let findings: [Finding]

  /// - Parameters:
  ///   - table: the persona's part of personas.toml, with its "name".
  ///   - about: of its library.
  public init(_ table: JSON, for about: About) {
    let members = table.object ?? [:]
    let common = Set(PersonaConfiguration.keys.map(\.name) + ["name"])
    var findings: [Finding] = []
    let declared = about.configuration ?? []
    for key in declared {
      // What every persona may have is checked where the file is read.
      if let value = members[key.name] {
        guard !common.contains(key.name), let why = key.refusal(of: value) else { continue }
        findings.append(.init(key: key.name, fault: .wrong, message: why))
      } else if key.standard == .required {
        let why = "is missing, and \(about.name) \(about.version) cannot be without it: \(key.summary) (\(key.kind.words))"
        findings.append(.init(key: key.name, fault: .wrong, message: why))
      }
    }
    let names = declared.map(\.name)
    for key in members.keys.sorted() where !common.contains(key) && !names.contains(key) {
      findings.append(.init(key: key, fault: .unknown, message: Self.unknown(key, about)))
    }
    self.findings = findings
  }

  private static func unknown(_ key: String, _ about: About) -> String {
    guard let declared = about.configuration?.map(\.name) else {
      return "\(about.name) \(about.version) does not say in its about text which keys it reads: whether this is one is not known"
    }
    if key.utf8.count <= 64, let near = Suggestion.nearest(to: key, among: declared + PersonaConfiguration.keys.map(\.name)) {
      return "unknown key; did you mean \(near)?"
    }
    let reads = declared.isEmpty ? "no key of its own" : declared.sorted().joined(separator: ", ")
    return "unknown key: \(about.name) \(about.version) reads \(reads)"
  }
}

extension About {
  /// A persona's part of personas.toml as its code gets it: with the defaults of keys that are not there.
  public func completed(_ table: [UInt8]) -> [UInt8] {
    guard let keys = configuration, let members = (try? JSON(parsing: table))?.object,
      let end = table.lastIndex(of: UInt8(ascii: "}"))
    else { return table }
    var completed = Array(table[..<end])
    var isEmpty = members.isEmpty
    for key in keys where members[key.name] == nil {
      guard case .value(let value) = key.standard else { continue }
      if !isEmpty { completed.append(UInt8(ascii: ",")) }
      isEmpty = false
      completed.appendJSON(key.name)
      completed.append(UInt8(ascii: ":"))
      completed += value.bytes
    }
    return completed + [UInt8(ascii: "}")]
  }
}
