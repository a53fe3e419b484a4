import Kernel
import System
import Wire

extension Command {
  static let history = Command(
    name: "history", usage: "parlor history [PERSONA [THREAD]] [--last N] [--export md|json] [--forget] [--json]",
    summary: "what was said: list, read, export or forget conversations",
    help: """
      Conversations are kept over restarts. Without a name all of them are listed, the last one first; with PERSONA its
      own; with THREAD what was said in that one. A conversation has the name of whoever talks, or that of --thread.

        --last N       only the last N turns
        --export md    what was said as Markdown; `--export json` as one JSON object. THREAD is main if none is named
        --forget       remove the conversation, or all of PERSONA's, with every trace of it in the file
        --json         print the reply as one line of JSON
      """,
    flags: ["--forget", "--json"], values: ["--last", "--export"], operands: 0...2,
    run: { arguments throws(CLIError) in
      let last = try arguments.count("--last")
      let export = try format(arguments.value("--export"))
      if export != nil, arguments.has("--forget") { throw CLIError(.usage, "export first, and forget then: one at a time") }
      if arguments.operands.isEmpty, export != nil || arguments.has("--forget") {
        throw CLIError(.usage, "name the persona: see `parlor history --help`")
      }
      let connection = try arguments.connect()
      var payload: [String: JSON] = [:]
      let persona = arguments.operands.first.map { Names.resolve($0, among: connection.personas) }
      let thread = arguments.operands.dropFirst().first
      payload["persona"] = persona.map { .string($0) }
      payload["thread"] = thread.map { .string($0) }
      payload["last"] = last.map { .int($0) }
      func ask(_ method: String) throws(CLIError) -> JSON {
        try connection.ask(Request(method: "history.\(method)", payload: .object(payload)))
      }
      func show(_ reply: JSON, _ text: (JSON, Style) -> String) throws(CLIError) {
        if arguments.has("--json") { return try Output.answer.line(reply.text) }
        try Output.answer.write(text(reply, Style(for: .answer)))
      }
      if let export {
        payload["format"] = .string(export)
        // A file of the user's own: as it is.
        try Output.answer.write(ask("export")["text"]?.string ?? "")
      } else if arguments.has("--forget") {
        try show(ask("forget")) { reply, _ in HistoryText.forgotten(reply, persona: persona ?? "", thread: thread) + "\n" }
      } else if thread != nil {
        try show(ask("get")) { HistoryText.text($0, style: $1) }
      } else {
        try show(ask("list")) { HistoryText.table($0["threads"]?.array ?? [], style: $1) }
      }
      return .ok
    })

  private static func format(_ word: String?) throws(CLIError) -> String? {
    switch word {
    case nil: return nil
    case "md", "markdown": return "markdown"
    case "json": return "json"
    case let word?: throw CLIError(.usage, "--export \(word): it is md or json")
    }
  }
}

/// The replies of `history.*`, for people.
enum HistoryText {
  static func table(_ threads: [JSON], style: Style) -> String {
    if threads.isEmpty { return "no conversations\n" }
    let head = ["PERSONA", "THREAD", "TURNS", "SUMMARISED", "LAST USED"]
    let rows = threads.map { thread in
      ["persona", "thread", "turns", "summarised_turns"].map { (thread[$0] ?? .null).plain.oneLine(64) } + [date(thread["used_ms"])]
    }
    return Table.text(head, rows, style: style)
  }

  static func text(_ conversation: JSON, style: Style) -> String {
    var text = ""
    let persona = conversation["persona"]?.plain ?? ""
    if let summary = conversation["summary"]?.string {
      text += style.dim("summary of the first \(conversation["summarised_turns"]?.plain ?? "?") turns:") + "\n\(shown(summary))\n\n"
    }
    for turn in conversation["turns"]?.array ?? [] {
      let model = turn["model"]?.string.map { " · \($0.oneLine(64))" } ?? ""
      text += style.dim("\(turn["number"]?.plain ?? "?") · \(date(turn["at_ms"]))\(model)") + "\n"
      for message in turn["messages"]?.array ?? [] {
        let role = message["role"]?.string ?? ""
        text += style.name(role == "assistant" ? persona : role) + ": \(shown(message["content"]?.plain ?? ""))\n"
      }
      text += "\n"
    }
    return text
  }

  static func forgotten(_ counts: JSON, persona: String, thread: String?) -> String {
    let (threads, turns) = (counts["threads"]?.int ?? 0, counts["turns"]?.int ?? 0)
    guard turns > 0 else { return "\(persona) has kept nothing\(thread.map { " of \($0)" } ?? "")" }
    if let thread { return "\(persona) has forgotten \(turns) turns of \(thread)" }
    return "\(persona) has forgotten \(threads) conversations, \(turns) turns"
  }

  /// A terminal is protected from what models and strangers have said.
  private static func shown(_ text: String) -> String { Terminal.has(Output.answer.descriptor) ? text.harmless : text }

  /// Milliseconds since 1970, in the user's own time.
  private static func date(_ milliseconds: JSON?) -> String {
    milliseconds?.int.map { localTime(Int64($0), "%Y-%m-%d %H:%M:%S") } ?? "?"
  }
}
