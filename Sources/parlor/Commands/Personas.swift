import Client
import Protocol
import Wire
import Workbench

/// `parlor personas`: who is there, in a kernel or in files.
struct PersonasCommand: Command {
  let name = "personas"
  let usage = "parlor personas [FOLDER|LIBRARY.so…] [--json]"
  let summary = "list the personas and their generations"
  let help = """
    Lists the personas: name, state, generation, kept generations, messages received and failed, summary.
    Of folders and library files: what personas are in there. None of their code is run, and no kernel is needed.

      --json    as one line of JSON
    """
  let flags: Set = ["--json"]
  let operands = 0...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    if !arguments.operands.isEmpty { return try libraries(arguments) }
    let payload = try arguments.connect().ask(Request(Personas.List()))
    try Output.answer.reply(
      payload, json: arguments.has("--json"),
      PersonaTable.text(payload.reply(to: Personas.List.self).personas, style: Style(for: .answer)))
    return .ok
  }

  /// A file that was named must be a persona; in a folder other libraries are passed over.
  private func libraries(_ arguments: Arguments) throws -> ExitCode {
    var all: [LibraryFacts] = []
    var outcome = ExitCode.ok
    for operand in arguments.operands {
      guard let paths = LibraryFacts.paths(in: operand) else { throw CLIError(.failed, "the folder \(operand) cannot be read") }
      if paths.isEmpty { try Output.diagnostics.line("parlor: there are no libraries in \(operand)") }
      for path in paths {
        do throws(LibraryError) { all.append(try LibraryFacts(reading: path)) } catch {
          if paths != [operand], error.kind == .noEntry { continue }
          try Output.diagnostics.line("parlor: \(error.message)")
          outcome = .failed
        }
      }
    }
    if arguments.has("--json") {
      try Output.answer.json(JSON.object(["libraries": .array(all.map(\.json))]).text)
    } else {
      for facts in all {
        let about = facts.about.described
        let name = "\(about.name.shownName) \(about.version.oneLine(64))"
        try Output.answer.line("\(name.padded(20)) \((about.summary ?? "").oneLine(100))  \(facts.path.oneLine(1000))")
      }
    }
    return outcome
  }
}

/// `parlor load`, `unload` and `rollback`: a change of one persona's code.
struct ChangeCommand: Command {
  let name: String
  let summary: String
  let help: String
  let request: @Sendable (_ persona: String) -> Request
  var usage: String { "parlor \(name) NAME [--json]" }
  let flags: Set = ["--json"]
  let operands = 1...1

  static let load = ChangeCommand(
    name: "load", summary: "load a persona that is not running",
    help: "Loads the persona NAME of personas.toml, which was unloaded or has failed; of one that runs, what has changed.",
    request: { Request(Personas.Load(name: $0)) })
  static let unload = ChangeCommand(
    name: "unload", summary: "end a persona; the kernel keeps its conversations and state",
    help: "Ends the persona NAME when it has done what it was asked. Its histories and values stay for a later load.",
    request: { Request(Personas.Unload(name: $0)) })
  static let rollback = ChangeCommand(
    name: "rollback", summary: "go back to a persona's generation before this one",
    help: "Switches the persona NAME back to the generation before, which is still in memory.",
    request: { Request(Personas.Rollback(name: $0)) })

  func run(_ arguments: Arguments) throws -> ExitCode {
    let connection = try arguments.connect()
    let persona = Names.resolve(arguments.operands[0], among: connection.personas)
    return try Self.change(request(persona), over: connection, json: arguments.has("--json"))
  }

  /// Asks for a change, and prints its receipts: done ones on standard output, refused ones on standard error.
  static func change(_ request: Request, over connection: KernelConnection, json: Bool) throws -> ExitCode {
    let payload = try connection.explaining { try connection.ask(request) }
    let receipts = try Receipt.all(in: payload)
    if json { try Output.answer.json(payload.text) }
    for receipt in receipts where receipt.isRefused || !json {
      if receipt.isRefused {
        try Output.diagnostics.line("parlor: " + receipt.sentence.oneLine(1000))
      } else {
        try Output.answer.line(receipt.sentence.oneLine(1000))
      }
    }
    return receipts.contains(where: \.isRefused) ? .failed : .ok
  }
}

/// Personas in rows.
enum PersonaTable {
  static func text(_ personas: [Personas.Status], style: Style) -> String {
    if personas.isEmpty { return "no personas\n" }
    let head = ["NAME", "STATE", "GEN", "KEPT", "RECEIVED", "FAILED", "SUMMARY"]
    let rows = personas.map { persona in
      [
        persona.name, persona.state.rawValue, persona.generation.map(String.init) ?? "", "\(persona.kept)", "\(persona.received)",
        "\(persona.failed)", persona.summary ?? "",
      ].map { $0.oneLine(200) }
    }
    let lines = Table.lines(head, rows, style: style)
    var text = lines[0] + "\n"
    for (line, persona) in zip(lines.dropFirst(), personas) {
      text += line + "\n"
      if let reason = persona.reason { text += style.bad("  \(reason.oneLine(400))") + "\n" }
    }
    return text
  }
}
