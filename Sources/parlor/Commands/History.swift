import Client
import Protocol
import System

/// `parlor history`: what was said.
struct HistoryCommand: Command {
  let name = "history"
  let usage = "parlor history [PERSONA [THREAD]] [--asks] [--last N] [--export md|json] [--forget] [--json]"
  let summary = "what was said: list, read, export or forget conversations"
  let help = """
    Conversations are kept over restarts. Without a name all of them are listed, the last one first; with PERSONA its
    own; with THREAD what was said in that one. A conversation has the name of whoever talks, or that of --thread.
    Single questions of `parlor ask` are counted, and go when nobody has used them for 30 days.

      --asks         list the single questions
      --last N       only the last N turns
      --export md    what was said as Markdown; `--export json` as one JSON object. THREAD is main if none is named
      --forget       remove the conversation, or all of PERSONA's, with every trace of it in the file
      --json         print the reply as one line of JSON
    """
  let flags: Set = ["--asks", "--forget", "--json"]
  let values: Set = ["--last", "--export"]
  let operands = 0...2

  func run(_ arguments: Arguments) throws -> ExitCode {
    let last = try arguments.count("--last")
    let export = try format(arguments.value("--export"))
    if export != nil, arguments.has("--forget") { throw CLIError(.usage, "export first, and forget then: one at a time") }
    if arguments.operands.isEmpty, export != nil || arguments.has("--forget") {
      throw CLIError(.usage, "name the persona: see `parlor history --help`")
    }
    let asks = arguments.has("--asks")
    if asks, arguments.operands.count > 1 || export != nil || arguments.has("--forget") {
      throw CLIError(.usage, "--asks lists the single questions, of all or of one persona")
    }
    let connection = try arguments.connect()
    let thread = arguments.operands.dropFirst().first
    func show<M: KernelMethod>(_ method: M, _ text: (M.Reply, Style) -> String) throws -> ExitCode {
      let payload = try connection.ask(Request(method))
      try Output.answer.reply(payload, json: arguments.has("--json"), text(payload.reply(to: M.self), Style(for: .answer)))
      return .ok
    }
    guard let persona = arguments.operands.first.map({ Names.resolve($0, among: connection.personas) }) else {
      return try show(History.List()) { HistoryText.table($0.threads, asks: asks, style: $1) }
    }
    if let export {
      let text = try connection.call(History.Export(persona: persona, thread: thread, last: last, format: export)).text
      // JSON stays JSON on a terminal, too.
      if export == .json { try Output.answer.json(text.trimmed) } else { try Output.answer.write(text) }
      return .ok
    }
    if arguments.has("--forget") {
      return try show(History.Forget(persona: persona, thread: thread)) { reply, _ in
        HistoryText.forgotten(reply, persona: persona, thread: thread) + "\n"
      }
    }
    if thread != nil { return try show(History.Get(persona: persona, thread: thread, last: last)) { HistoryText.text($0, style: $1) } }
    return try show(History.List(persona: persona)) { HistoryText.table($0.threads, asks: asks, style: $1) }
  }

  private func format(_ word: String?) throws(CLIError) -> History.Export.Format? {
    switch word {
    case nil: return nil
    case "md", "markdown": return .markdown
    case "json": return .json
    case let word?: throw CLIError(.usage, "--export \(word): it is md or json")
    }
  }
}

/// The replies of `history.*`, for people.
enum HistoryText {
  /// The conversations, and how many single questions there are beside them; `asks`: the single questions.
  static func table(_ threads: [History.Thread], asks: Bool = false, style: Style) -> String {
    let shown = threads.filter { $0.thread.hasPrefix(History.askPrefix) == asks }
    let rest = asks ? 0 : threads.count - shown.count
    let count = "\(rest) single question\(rest == 1 ? "" : "s") of `parlor ask`; --asks lists them"
    var text = shown.isEmpty ? "no \(asks ? "single questions" : "conversations")\n" : rows(shown, style: style)
    if rest > 0 { text += style.dim(count) + "\n" }
    return text
  }

  private static func rows(_ threads: [History.Thread], style: Style) -> String {
    let head = ["PERSONA", "THREAD", "TURNS", "SUMMARISED", "LAST USED"]
    let rows = threads.map { thread in
      [thread.persona.shownName, thread.thread.oneLine(64), "\(thread.turns)", "\(thread.summarised_turns)", date(thread.used_ms)]
    }
    return Table.text(head, rows, style: style)
  }

  static func text(_ conversation: History.Get.Reply, style: Style) -> String {
    var text = ""
    if let summary = conversation.summary {
      text += style.dim("summary of the first \(conversation.summarised_turns) turns:") + "\n\(shown(summary))\n\n"
    }
    for turn in conversation.turns {
      let model = turn.model.map { " · \($0.oneLine(64))" } ?? ""
      text += style.dim("\(turn.number) · \(date(turn.at_ms))\(model)") + "\n"
      for message in turn.messages {
        text += style.name(message.role == "assistant" ? conversation.persona : message.role) + ": \(shown(message.content))\n"
      }
      text += "\n"
    }
    return text
  }

  static func forgotten(_ counts: History.Forget.Reply, persona: String, thread: String?) -> String {
    guard counts.turns > 0 else { return "\(persona) has kept nothing\(thread.map { " of \($0)" } ?? "")" }
    if let thread { return "\(persona) has forgotten \(counts.turns) turns of \(thread)" }
    return "\(persona) has forgotten \(counts.threads) conversations, \(counts.turns) turns"
  }

  /// For a terminal: harmless, and broken between words.
  private static func shown(_ text: String) -> String {
    guard let columns = Terminal.answerColumns else { return text }
    return WordWrap.rows(text.harmless, columns: columns)
  }

  /// In the user's own time.
  private static func date(_ milliseconds: Int64) -> String { localTime(milliseconds, "%Y-%m-%d %H:%M:%S") }
}
