import Wire

/// What an answer cites: passages of the memory, numbered from 1 as they are shown.
struct Citations {
  struct Citation: Equatable {
    var collection: String
    var id: String
    /// The file or message that it comes from.
    var source: String?
    /// Where in it.
    var place: String?
    var score: Double?
  }
  private(set) var all: [Citation] = []

  /// Citations of other makers (a persona may write its own) are left out if they name no passage of the memory.
  init(of payload: JSON) {
    for citation in payload["citations"]?.array ?? [] {
      guard let collection = citation["collection"]?.string, let id = citation["id"]?.string else { continue }
      all.append(
        Citation(
          collection: collection, id: id, source: citation["source"]?.string, place: citation["place"]?.string,
          score: citation["score"]?.number))
    }
  }

  /// Lines such as "[2] /home/me/notes.md, lines 3–9".
  func lines(hint: String?) -> [String] {
    guard !all.isEmpty else { return [] }
    var lines = all.prefix(9).enumerated().map { index, citation in
      "[\(index + 1)] \(Self.whereabouts(citation))".oneLine(300) + (citation.score.map { " (\(fixed($0, 3)))" } ?? "")
    }
    if all.count > 9 { lines.append("and \(all.count - 9) more") }
    if let hint { lines[0] += "   \(hint)" }
    return lines
  }

  static func whereabouts(_ citation: Citation) -> String {
    (citation.source ?? "\(citation.collection) \(citation.id)") + (citation.place.map { ", \($0)" } ?? "")
  }

  /// The request for the passage, and what to print of its reply.
  static func request(_ citation: Citation) -> Request {
    Request(method: "memory.get", payload: ["collection": .string(citation.collection), "ids": [.string(citation.id)]])
  }

  static func passage(_ reply: JSON, _ citation: Citation, style: Style) -> String {
    guard let document = reply["documents"]?.array?.first else {
      return "\(whereabouts(citation)) is not in \(citation.collection) any more\n".harmless
    }
    var head = whereabouts(citation)
    if let persona = document["persona"]?.string { head += " · added by \(persona)" }
    return style.dim(head.oneLine(400)) + "\n" + (document["text"]?.string ?? "").harmless + "\n"
  }
}
