import Wire

extension About {
  /// Whether a text can be the name of a method: at most 64 bytes, no blanks.
  static func isMethod(_ name: String) -> Bool { !name.isEmpty && name.utf8.count <= 64 && !name.contains(where: \.isWhitespace) }

  /// The same about text with methods that were declared while it ran; one of the same name takes the other's place.
  func with(_ declared: [Method]) -> About {
    let names = Set(declared.map(\.name))
    var about = self
    about.methods = methods.filter { !names.contains($0.name) } + declared
    return about
  }
}

extension [About.Method] {
  /// What `bus->declare` of persona.h is given: an array of `{"name","summary","takes","gives"}`.
  public init(declared json: [UInt8]) throws(About.Malformed) {
    guard json.count <= About.longest else { throw .init("declare: the methods have more than \(About.longest) bytes") }
    guard let list = (try? JSON(parsing: json))?.array else {
      throw .init("declare: it is given no array of {\"name\",\"summary\",\"takes\",\"gives\"}")
    }
    self = []
    var names: Set<String> = []
    for item in list {
      guard let name = item["name"]?.string, About.isMethod(name), Self.isPlain(name) else {
        throw .init("declare: \(item["name"]?.text ?? "a method without \"name\"") names no method: at most 64 bytes, no blanks")
      }
      guard names.insert(name).inserted else { throw .init("declare: \"\(name)\" stands there twice") }
      guard let summary = item["summary"]?.string, !summary.isEmpty, summary.utf8.count <= 200, Self.isPlain(summary) else {
        throw .init("declare: the \"summary\" of \(name) is not one line of 1 to 200 bytes")
      }
      append(.init(name: name, summary: summary, takes: try Self.schema(item, "takes"), gives: try Self.schema(item, "gives")))
    }
  }

  private static func isPlain(_ text: String) -> Bool { text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }

  private static func schema(_ item: JSON, _ key: String) throws(About.Malformed) -> String? {
    switch item[key] {
    case nil, .null: return nil
    case .object(let members): return JSON.object(members).text
    default: throw .init("declare: \"\(key)\" of \(item["name"]?.plain ?? "a method") is no JSON schema: it must be an object")
    }
  }
}
