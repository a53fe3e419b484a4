import Protocol
import Wire
import Workbench

/// Messages as they were then, beside what came of them now.
struct Comparison {
  struct Pair {
    var then: Recording.Message
    var now: Recording.Message?
    /// It broke here.
    var broke: String?
    var isSame: Bool { now.map(then.isSame(as:)) ?? false }
  }
  let pairs: [Pair]

  init(_ then: [Recording.Message], _ play: ReplayHost.Play) {
    pairs = then.enumerated().map { index, message in
      let now = index < play.messages.count ? play.messages[index] : nil
      return Pair(then: message, now: now, broke: index == play.messages.count ? play.broke?.message : nil)
    }
  }

  /// What `personas.shadow` answers.
  init(_ reply: Personas.Shadow.Reply) throws(Recording.Malformed) {
    var pairs: [Pair] = []
    for entry in reply.messages {
      var pair = Pair(then: try Recording.Message(entry.then), broke: entry.broke)
      if let now = entry.now { pair.now = try Recording.Message(now) }
      pairs.append(pair)
    }
    self.pairs = pairs
  }

  var isSame: Bool { pairs.allSatisfy(\.isSame) }

  var json: JSON {
    [
      "same": .bool(isSame),
      "messages": .array(
        pairs.map { pair in
          var entry: [String: JSON] = ["then": pair.then.json, "same": .bool(pair.isSame)]
          entry["now"] = pair.now?.json
          entry["broke"] = pair.broke.map(JSON.string)
          return .object(entry)
        }),
    ]
  }

  /// One line for each message; of those that differ, how.
  func text(_ persona: String, style: Style) -> String {
    var text = ""
    for (index, pair) in pairs.enumerated() {
      let gram = pair.then.gram
      let said = gram.payload["content"]?.string ?? gram.payload["text"]?.string ?? gram.payload.plain
      let verdict =
        pair.broke != nil ? style.bad("broke") : pair.now == nil ? style.dim("not played") : pair.isSame ? "same" : style.bad("differs")
      text += "\(index + 1). \(gram.source.shownName) \(gram.method.oneLine(40)) \(style.dim(said.oneLine(60))): \(verdict)\n"
      if let broke = pair.broke {
        text += "   then: \(pair.then.end.text.oneLine(300))\n   now:  \(broke.oneLine(300))\n"
      } else if let now = pair.now, !pair.isSame {
        text += differences(pair.then, now)
      }
    }
    let count = pairs.count(where: \.isSame)
    return text + "\(persona): \(count) of \(pairs.count) message\(pairs.count == 1 ? "" : "s") the same\n"
  }

  private func differences(_ then: Recording.Message, _ now: Recording.Message) -> String {
    var text = ""
    let (old, new) = (then.steps.map(\.call), now.steps.map(\.call))
    for call in old where !new.contains(call) { text += "   then, and not now: it \(Self.short(call))\n" }
    for call in new where !old.contains(call) { text += "   now, and not then: it \(Self.short(call))\n" }
    if text.isEmpty, old != new { text += "   it wants the same of others, in another order or number\n" }
    guard then.end != now.end else { return text }
    let (was, isNow) = (then.end.text, now.end.text)
    // Where the words are the same, what differs is not among them.
    if was == isNow { return text + "   then: \(Self.whole(then.end).oneLine(500))\n   now:  \(Self.whole(now.end).oneLine(500))\n" }
    return text + "   then: \(was.oneLine(500))\n   now:  \(isNow.oneLine(500))\n"
  }

  private static func whole(_ end: Recording.End) -> String { if case .result(let json) = end { json.text } else { end.text } }

  private static func short(_ call: OutboundCall) -> String {
    let detail: JSON
    switch call {
    case .chat(let question): detail = question["text"] ?? question
    case .memory(_, let arguments): detail = arguments["text"] ?? arguments
    case .ask(_, _, let payload), .send(_, _, let payload): detail = payload["content"] ?? payload
    }
    return "\(call.text): \(detail.plain)".oneLine(300)
  }
}
