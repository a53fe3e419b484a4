import Protocol
import Wire

/// What an answer cites: passages of the memory, numbered from 1 as they are shown.
struct Citations {
  private(set) var all: [Memory.Citation] = []

  init() {}

  /// Citations of other makers (a persona may write its own) are left out if they name no passage of the memory.
  init(of payload: JSON) {
    all = (payload["citations"]?.array ?? []).compactMap { try? PayloadCoding.value(Memory.Citation.self, from: $0.bytes) }
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

  static func whereabouts(_ citation: Memory.Citation) -> String {
    (citation.source ?? "\(citation.collection) \(citation.id)") + (citation.place.map { ", \($0)" } ?? "")
  }

  /// The request for the passage.
  static func request(_ citation: Memory.Citation) -> MemoryMethods.Get {
    MemoryMethods.Get(collection: citation.collection, ids: [citation.id])
  }

  /// What to print of its reply.
  static func passage(_ reply: Memory.Documents, _ citation: Memory.Citation, style: Style) -> String {
    guard let document = reply.documents.first else {
      return "\(whereabouts(citation)) is not in \(citation.collection) any more\n".harmless
    }
    let head = whereabouts(citation) + " · added by \(document.persona.shownName)"
    return style.dim(head.oneLine(400)) + "\n" + document.text.harmless + "\n"
  }
}
