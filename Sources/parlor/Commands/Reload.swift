import Client
import Protocol
import Workbench

/// `parlor reload`: new code, or a look at what it would do.
struct ReloadCommand: Command {
  let name = "reload"
  let usage = "parlor reload NAME…|--all [--force] [--shadow N|--promote|--drop] [--library FILE] [--json]"
  let summary = "replace the code of personas; nobody is disconnected"
  let help = """
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
    """
  let flags: Set = ["--all", "--force", "--promote", "--drop", "--json"]
  let values: Set = ["--shadow", "--library", "--deadline"]
  let operands = 0...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    if arguments.value("--shadow") != nil || arguments.has("--promote") || arguments.has("--drop") { return try shadow(arguments) }
    guard arguments.has("--all") == arguments.operands.isEmpty else {
      throw CLIError(.usage, "name the personas to reload, or say --all: see `parlor reload --help`")
    }
    let connection = try arguments.connect()
    var names = arguments.operands.map { Names.resolve($0, among: connection.personas) }
    if arguments.has("--all") {
      names = try connection.call(Personas.List()).personas.filter { $0.state != .unloaded }.map(\.name)
    }
    let reload = Personas.Reload(names: names, force: arguments.has("--force"), library: try library(arguments))
    return try ChangeCommand.change(Request(reload), over: connection, json: arguments.has("--json"))
  }

  private func library(_ arguments: Arguments) throws(CLIError) -> String? {
    guard let file = arguments.value("--library") else { return nil }
    guard let path = PersonaSource.real(file) else { throw CLIError(.failed, "\(file): there is no such library") }
    return path
  }

  /// The new version tries itself on what the old one has answered.
  private func shadow(_ arguments: Arguments) throws -> ExitCode {
    guard arguments.operands.count == 1 else { throw CLIError(.usage, "a shadow is of one persona: name one") }
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    if arguments.has("--promote") {
      return try ChangeCommand.change(Request(Personas.Promote(name: name)), over: connection, json: arguments.has("--json"))
    }
    if arguments.has("--drop") {
      _ = try connection.explaining { try connection.call(Personas.Drop(name: name)) }
      try Output.answer.line("the shadow of \(name) is dropped; its running generation goes on")
      return .ok
    }
    let shadow = Personas.Shadow(name: name, last: try arguments.count("--shadow") ?? 20, library: try library(arguments))
    // A live model may take its time for twenty messages.
    let deadline = try arguments.deadline() ?? .seconds(3600)
    let payload = try connection.explaining { try connection.ask(Request(shadow, deadline: deadline)) }
    let reply = try payload.reply(to: Personas.Shadow.self)
    let comparison: Comparison
    do throws(Recording.Malformed) { comparison = try Comparison(reply) } catch {
      throw CLIError(.failed, "the kernel's answer is not what this parlor knows: \(error.description)")
    }
    if arguments.has("--json") {
      try Output.answer.json(payload.text)
    } else {
      try Output.answer.write(comparison.text("version \(reply.version.oneLine(64))", style: Style(for: .answer)))
      try Output.answer.line(
        "`parlor reload \(name) --promote` switches to it, `--drop` forgets it; until then \(name) is not reloaded by itself")
    }
    return comparison.isSame ? .ok : .failed
  }
}
