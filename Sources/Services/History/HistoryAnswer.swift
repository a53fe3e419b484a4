import Kernel
import System
import Wire

/// What is said to people who ask for kept conversations (docs/HISTORY.md).
enum HistoryAnswer {
  static func answer(_ request: HistoryRequest, _ store: HistoryStore) throws(MemoryError) -> JSON {
    switch request {
    case .list(let persona): return ["threads": .array(try store.threads(of: persona).map(json))]
    case .get(let persona, let thread, let last):
      return document(try find(ThreadKey(persona: persona, thread: thread), last: last, store))
    case .export(let persona, let thread, let last, let format):
      let found = try find(ThreadKey(persona: persona, thread: thread), last: last, store)
      let text = format == .json ? document(found).text + "\n" : markdown(found)
      return ["persona": .string(persona), "thread": .string(thread), "format": .string(format.rawValue), "text": .string(text)]
    case .forget(let persona, let thread):
      let counts = try store.forget(persona, thread: thread)
      return ["threads": .int(counts.threads), "turns": .int(counts.turns)]
    }
  }

  private typealias Found = (entry: ThreadEntry, summary: String?, turns: [KeptTurn])

  private static func find(_ key: ThreadKey, last: Int?, _ store: HistoryStore) throws(MemoryError) -> Found {
    if let found = try store.read(key, last: last) { return found }
    let names = try store.threads(of: key.persona).map(\.key.thread)
    let advice = names.isEmpty ? "it has none" : "it has \(names.prefix(20).joined(separator: ", "))"
    throw MemoryError(.notFound, "\(key.persona) has no conversation \(key.thread); \(advice)")
  }

  private static func json(_ entry: ThreadEntry) -> JSON {
    [
      "persona": .string(entry.key.persona), "thread": .string(entry.key.thread), "turns": .int(entry.turns), "bytes": .int(entry.bytes),
      "left_out_turns": .int(entry.leftOut), "summarised_turns": .int(entry.summarised), "began_ms": .int(Int(entry.began)),
      "used_ms": .int(Int(entry.used)),
    ]
  }

  private static func document(_ found: Found) -> JSON {
    var members = json(found.entry).object ?? [:]
    members["total_turns"] = members["turns"]
    members["turns"] = .array(found.turns.map(json))
    members["summary"] = found.summary.map { .string($0) } ?? .null
    return .object(members)
  }

  private static func json(_ kept: KeptTurn) -> JSON {
    var members: [String: JSON] = [
      "number": .int(kept.number), "at_ms": .int(Int(kept.at)),
      "messages": .array(kept.turn.map { ["role": .string($0.role.rawValue), "content": .string($0.content)] }),
    ]
    members["provider"] = kept.facts.provider.map { .string($0) }
    members["model"] = kept.facts.model.map { .string($0) }
    members["finish"] = kept.facts.finish.map { .string($0) }
    members["prompt_tokens"] = kept.facts.promptTokens.map { .int($0) }
    members["completion_tokens"] = kept.facts.completionTokens.map { .int($0) }
    return .object(members)
  }

  private static func markdown(_ found: Found) -> String {
    let persona = found.entry.key.persona
    var text = "# \(persona), \(found.entry.key.thread)\n\n"
    text += "\(found.entry.turns) turns, \(date(found.entry.began)) to \(date(found.entry.used))\n"
    if let summary = found.summary {
      text += "\nSummary of the first \(found.entry.summarised) turns, as the model made it:\n\n" + quoted(summary)
    }
    for kept in found.turns {
      text += "\n## \(kept.number) · \(date(kept.at))\(kept.facts.model.map { " · \($0)" } ?? "")\n"
      for message in kept.turn {
        text += "\n**\(message.role == .assistant ? persona : message.role.rawValue)**\n\n\(message.content)\n"
      }
    }
    return text
  }

  private static func quoted(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { "> \($0)\n" }.joined()
  }

  /// In the user's own time.
  private static func date(_ milliseconds: Int64) -> String {
    localTime(milliseconds, "%Y-%m-%d %H:%M:%S")
  }
}
