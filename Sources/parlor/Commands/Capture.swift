import Wire
import Workbench

extension Command {
  static let capture = Command(
    name: "capture", usage: "parlor capture NAME [--failed] [--last N | --token T] [--output FILE] | --list [--json]",
    summary: "keep the last messages of a persona in a file, to replay them",
    help: """
      Writes the last message that the persona NAME has worked on, with what it asked of the model and of others, what it
      was answered, and its state and configuration of now: all that `parlor replay` needs. The kernel keeps the last 32
      messages of each persona ([reload] record).

        --failed           the last one that failed
        --last N           the last N; with --failed, of those that failed
        --token T          the one that --list shows with this token
        -o, --output FILE  write into FILE, else to standard output
        --list             only show what the kernel remembers, a line for each message
        --json             that as one line of JSON
      """,
    flags: ["--failed", "--list", "--json"], values: ["--last", "--token", "--output"], operands: 1...1,
    run: { arguments throws(CLIError) in
      if arguments.has("--list") { return try list(arguments) }
      let count = try arguments.count("--last") ?? 1
      let connection = try arguments.connect()
      let name = Names.resolve(arguments.operands[0], among: connection.personas)
      var payload: [String: JSON] = ["name": .string(name), "last": .int(count), "failed": .bool(arguments.has("--failed"))]
      if let token = try arguments.count("--token") { payload["token"] = .int(token) }
      let recording: JSON
      do throws(CLIError) { recording = try connection.ask(Request(method: "recordings.get", payload: .object(payload))) } catch {
        throw Names.explain(error, personas: connection.personas)
      }
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
        try Output.answer.line(recording.text)
        return .ok
      }
      do throws(FileError) { try writeFile(file.hasPrefix("/") ? file : currentFolder() + "/" + file, recording.text + "\n") } catch {
        throw CLIError(.failed, error.message)
      }
      try Output.answer.line(
        "kept \(found) message\(found == 1 ? "" : "s") of \(name) in \(file); `parlor replay \(file)` plays \(found == 1 ? "it" : "them") again"
      )
      return .ok
    })

  private static func list(_ arguments: Arguments) throws(CLIError) -> ExitCode {
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    var payload: [String: JSON] = ["name": .string(name)]
    payload["last"] = try arguments.count("--last").map(JSON.int)
    let list: JSON
    do throws(CLIError) { list = try connection.ask(Request(method: "recordings.list", payload: .object(payload))) } catch {
      throw Names.explain(error, personas: connection.personas)
    }
    let messages = list["messages"]?.array ?? []
    if arguments.has("--json") {
      try Output.answer.line(list.text)
    } else if messages.isEmpty {
      try Output.answer.line("the kernel remembers no messages of \(name)")
    } else {
      try Output.answer.write(RecordedTable.text(messages, style: Style(for: .answer)))
    }
    return .ok
  }

  private static func currentFolder() -> String { PersonaSource.real(".") ?? "/" }
}

/// What the kernel remembers of a persona, a line for each message, oldest first.
enum RecordedTable {
  static func text(_ messages: [JSON], style: Style) -> String {
    let head = ["TOKEN", "FROM", "METHOD", "GEN", "MS", "END", ""]
    let rows = messages.map { message in
      var said = message["error"]?.string ?? message["text"]?.string ?? ""
      if message["too_large"] == true { said = "(too large to be kept) " + said }
      return ["token", "source", "method", "generation", "ms", "end"].map { (message[$0] ?? .null).plain.oneLine(40) } + [said.oneLine(80)]
    }
    return Table.text(head, rows, style: style)
  }
}
