import Client
import Protocol
import Workbench

/// `parlor capture`: messages that a persona has worked on, kept in a file.
struct CaptureCommand: Command {
  let name = "capture"
  let usage = "parlor capture NAME [--failed] [--last N | --token T] [--output FILE] | --list [--json]"
  let summary = "keep the last messages of a persona in a file, to replay them"
  let help = """
    Writes the last message that the persona NAME has worked on, with what it asked of the model and of others, what it
    was answered, and its state and configuration of now: all that `parlor replay` needs. The kernel keeps the last 32
    messages of each persona ([reload] record).

      --failed           the last one that failed
      --last N           the last N; with --failed, of those that failed
      --token T          the one that --list shows with this token
      -o, --output FILE  write into FILE, else to standard output
      --list             only show what the kernel remembers, a line for each message
      --json             that as one line of JSON
    """
  let flags: Set = ["--failed", "--list", "--json"]
  let values: Set = ["--last", "--token", "--output"]
  let operands = 1...1

  func run(_ arguments: Arguments) throws -> ExitCode {
    if arguments.has("--list") { return try list(arguments) }
    let count = try arguments.count("--last") ?? 1
    let token = try arguments.count("--token").map { UInt64($0) }
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    let request = Recordings.Get(name: name, last: count, failed: arguments.has("--failed"), token: token)
    let payload = try connection.explaining { try connection.ask(Request(request)) }
    let recording = payload.json
    let found = recording["messages"]?.array?.count ?? 0
    let large = recording["left_out"]?.int ?? 0
    if large > 0 {
      try Output.diagnostics.line(
        "parlor: \(large) message\(large == 1 ? " was" : "s were") too large for the kernel to keep, and \(large == 1 ? "is" : "are") left out"
      )
    }
    guard found > 0 else {
      throw CLIError(.failed, "\(name) has no\(arguments.has("--failed") ? " failed" : "") messages that the kernel remembers")
    }
    guard let file = arguments.value("--output") else {
      try Output.answer.json(payload.text)
      return .ok
    }
    try writeFile(file.hasPrefix("/") ? file : (PersonaSource.real(".") ?? "/") + "/" + file, payload.text + "\n")
    try Output.answer.line(
      "kept \(found) message\(found == 1 ? "" : "s") of \(name) in \(file); `parlor replay \(file)` plays \(found == 1 ? "it" : "them") again"
    )
    return .ok
  }

  private func list(_ arguments: Arguments) throws -> ExitCode {
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    let request = Recordings.List(name: name, last: try arguments.count("--last"))
    let payload = try connection.explaining { try connection.ask(Request(request)) }
    try Output.answer.reply(payload, json: arguments.has("--json"), text(of: payload.reply(to: Recordings.List.self).messages, of: name))
    return .ok
  }

  private func text(of messages: [Recordings.List.Entry], of name: String) -> String {
    messages.isEmpty ? "the kernel remembers no messages of \(name)\n" : RecordedTable.text(messages, style: Style(for: .answer))
  }
}

/// What the kernel remembers of a persona, a line for each message, oldest first.
enum RecordedTable {
  static func text(_ messages: [Recordings.List.Entry], style: Style) -> String {
    let head = ["TOKEN", "FROM", "METHOD", "GEN", "MS", "END", ""]
    let rows = messages.map { message in
      var said = message.error ?? message.text ?? ""
      if message.too_large == true { said = "(too large to be kept) " + said }
      let cells = ["\(message.token)", message.source, message.method, "\(message.generation)", "\(message.ms)", message.end]
      return cells.map { $0.oneLine(40) } + [said.oneLine(80)]
    }
    return Table.text(head, rows, style: style)
  }
}
