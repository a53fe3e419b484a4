import Kernel
import Protocol
import Workbench
import Wire

extension Command {
  static let personas = Command(
    name: "personas", usage: "parlor personas [FOLDER|LIBRARY.so…] [--json]", summary: "list the personas and their generations",
    help: """
      Lists the personas: name, state, generation, kept generations, messages received and failed, summary.
      Of folders and library files: what personas are in there. None of their code is run, and no kernel is needed.

        --json    as one line of JSON
      """,
    flags: ["--json"], operands: 0...Int.max,
    run: { arguments throws(CLIError) in
      if !arguments.operands.isEmpty { return try libraries(arguments) }
      let list = try arguments.connect().ask(Request(method: "personas.list"))
      if arguments.has("--json") {
        try Output.answer.line(list.text)
      } else {
        try Output.answer.write(PersonaTable.text(list["personas"]?.array ?? [], style: Style(for: .answer)))
      }
      return .ok
    })

  /// A file that was named must be a persona; in a folder other libraries are passed over.
  private static func libraries(_ arguments: Arguments) throws(CLIError) -> ExitCode {
    var all: [JSON] = []
    var outcome = ExitCode.ok
    for operand in arguments.operands {
      guard let paths = LibraryFacts.paths(in: operand) else { throw CLIError(.failed, "the folder \(operand) cannot be read") }
      for path in paths {
        do throws(LibraryError) { all.append(try LibraryFacts(reading: path).json) } catch {
          if paths != [operand], error.kind == .noEntry { continue }
          try Output.diagnostics.line("parlor: \(error.message)")
          outcome = .failed
        }
      }
    }
    if arguments.has("--json") {
      try Output.answer.line(JSON.object(["libraries": .array(all)]).text)
    } else {
      for facts in all {
        let about = facts["about"] ?? .null
        let name = [about["name"], about["version"]].map { $0?.plain ?? "?" }.joined(separator: " ")
        try Output.answer.line("\(name.padded(20)) \((about["summary"]?.plain ?? "").oneLine(100))  \(facts["path"]?.plain ?? "")")
      }
    }
    return outcome
  }

  static let reload = Command(
    name: "reload", usage: "parlor reload NAME…|--all [--force] [--shadow N|--promote|--drop] [--library FILE] [--json]",
    summary: "replace the code of personas; nobody is disconnected",
    help: """
      Opens the library of each persona anew and switches to it between two messages. A library that cannot be
      used is refused with the reason, and the running generation goes on (exit status 1).

        --all           every persona
        --force         also when the file has not changed, and when the running one hangs (its state is then lost)
        --shadow N      do not switch: let the new version answer copies of the last N messages, where nobody sees it and
                        nothing that it does takes effect, and show what differs (exit status 1 if something does)
        --promote       switch to the version that was shadowed, as it was then
        --drop          forget the shadowed version
        --library FILE  this file instead of the persona's own, this once
        --deadline SECONDS  how long the whole of a shadow may take; else an hour
        --json          print the receipts, or the comparison, as one line of JSON
      """,
    flags: ["--all", "--force", "--promote", "--drop", "--json"], values: ["--shadow", "--library", "--deadline"], operands: 0...Int.max,
    run: { arguments throws(CLIError) in
      if arguments.value("--shadow") != nil || arguments.has("--promote") || arguments.has("--drop") { return try shadow(arguments) }
      guard arguments.has("--all") == arguments.operands.isEmpty else {
        throw CLIError(.usage, "name the personas to reload, or say --all: see `parlor reload --help`")
      }
      let connection = try arguments.connect()
      var names = arguments.operands.map { Names.resolve($0, among: connection.personas) }
      if arguments.has("--all") {
        let list = try connection.ask(Request(method: "personas.list"))
        names = (list["personas"]?.array ?? []).filter { $0["state"]?.string != "unloaded" }.compactMap { $0["name"]?.string }
      }
      var payload: [String: JSON] = ["names": .array(names.map(JSON.string))]
      if arguments.has("--force") { payload["force"] = true }
      if let library = try library(arguments) { payload["library"] = .string(library) }
      return try change(Request(method: "personas.reload", payload: .object(payload)), over: connection, json: arguments.has("--json"))
    })

  private static func library(_ arguments: Arguments) throws(CLIError) -> String? {
    guard let file = arguments.value("--library") else { return nil }
    guard let path = PersonaSource.real(file) else { throw CLIError(.failed, "\(file): there is no such library") }
    return path
  }

  /// The new version tries itself on what the old one has answered.
  private static func shadow(_ arguments: Arguments) throws(CLIError) -> ExitCode {
    guard arguments.operands.count == 1 else { throw CLIError(.usage, "a shadow is of one persona: name one") }
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    var payload: [String: JSON] = ["name": .string(name)]
    if arguments.has("--promote") {
      return try change(Request(method: "personas.promote", payload: .object(payload)), over: connection, json: arguments.has("--json"))
    }
    do throws(CLIError) {
      if arguments.has("--drop") {
        _ = try connection.ask(Request(method: "personas.drop", payload: .object(payload)))
        try Output.answer.line("the shadow of \(name) is dropped; its running generation goes on")
        return .ok
      }
      payload["last"] = .int(try arguments.count("--shadow") ?? 20)
      if let library = try library(arguments) { payload["library"] = .string(library) }
      // A live model may take its time for twenty messages.
      let deadline = try arguments.deadline() ?? .seconds(3600)
      let answer = try connection.ask(Request(method: "personas.shadow", payload: .object(payload), deadline: deadline))
      let comparison: Comparison
      do throws(Recording.Malformed) { comparison = try Comparison(answer) } catch {
        throw CLIError(.failed, "the kernel's answer is not what this parlor knows: \(error.description)")
      }
      if arguments.has("--json") {
        try Output.answer.line(answer.text)
      } else {
        try Output.answer.write(comparison.text("version \((answer["version"]?.plain ?? "?").oneLine(64))", style: Style(for: .answer)))
        try Output.answer.line(
          "`parlor reload \(name) --promote` switches to it, `--drop` forgets it; until then \(name) is not reloaded by itself")
      }
      return comparison.isSame ? .ok : .failed
    } catch {
      throw Names.explain(error, personas: connection.personas)
    }
  }

  static let load = changing(
    "load", summary: "load a persona that is not running",
    help: "Loads the persona NAME of personas.toml, which was unloaded or has failed; of one that runs, what has changed.")
  static let unload = changing(
    "unload", summary: "end a persona; the kernel keeps its conversations and state",
    help: "Ends the persona NAME when it has done what it was asked. Its histories and values stay for a later load.")
  static let rollback = changing(
    "rollback", summary: "go back to a persona's generation before this one",
    help: "Switches the persona NAME back to the generation before, which is still in memory.")

  private static func changing(_ verb: String, summary: String, help: String) -> Command {
    Command(
      name: verb, usage: "parlor \(verb) NAME [--json]", summary: summary, help: help, flags: ["--json"], operands: 1...1,
      run: { arguments throws(CLIError) in
        let connection = try arguments.connect()
        let name = Names.resolve(arguments.operands[0], among: connection.personas)
        let request = Request(method: "personas.\(verb)", payload: ["name": .string(name)])
        return try change(request, over: connection, json: arguments.has("--json"))
      })
  }

  /// Asks for a change, and prints its receipts: done ones on standard output, refused ones on standard error.
  private static func change(_ request: Request, over connection: KernelConnection, json: Bool) throws(CLIError) -> ExitCode {
    let reply: JSON
    do { reply = try connection.ask(request) } catch { throw Names.explain(error, personas: connection.personas) }
    let receipts = (reply["receipts"]?.array ?? [reply]).map(Receipt.init)
    if json { try Output.answer.line(reply.text) }
    for receipt in receipts where receipt.refused || !json {
      if receipt.refused {
        try Output.diagnostics.line("parlor: " + receipt.sentence)
      } else {
        try Output.answer.line(receipt.sentence)
      }
    }
    return receipts.contains(where: \.refused) ? .failed : .ok
  }
}

/// Personas in rows.
enum PersonaTable {
  static func text(_ personas: [JSON], style: Style) -> String {
    if personas.isEmpty { return "no personas\n" }
    let head = ["NAME", "STATE", "GEN", "KEPT", "RECEIVED", "FAILED", "SUMMARY"]
    let rows = personas.map { persona in
      ["name", "state", "generation", "kept", "received", "failed", "summary"].map { (persona[$0] ?? .null).plain.oneLine(200) }
    }
    let lines = Table.lines(head, rows, style: style)
    var text = lines[0] + "\n"
    for (line, persona) in zip(lines.dropFirst(), personas) {
      text += line + "\n"
      if let reason = persona["reason"]?.string { text += style.bad("  \(reason.oneLine(400))") + "\n" }
    }
    return text
  }
}
