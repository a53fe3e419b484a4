import Glibc
import Workbench

/// parlor: the terminal client of the B.A.T. Computer.
@main enum Main {
  static func main() {
    do {
      exit(try run(Array(CommandLine.arguments.dropFirst())).rawValue)
    } catch {
      if !error.message.isEmpty {
        // Where the standard error is closed, only the status is left to speak.
        try? Output.diagnostics.line("parlor: \(Terminal.has(2) ? error.message.harmless : error.message)")
      }
      exit(error.exit.rawValue)
    }
  }

  private static func run(_ words: [String]) throws(CLIError) -> ExitCode {
    if words.first == CheckChild.word { CheckChild.perform(words) }
    Signals.catching([])
    let arguments = try Arguments(words, commands: Command.all)
    let command = Command.all.first { $0.name == arguments.command } ?? .conversation
    if arguments.has("--help") {
      try Output.answer.write(command.helpText)
      return .ok
    }
    if arguments.has("--version") {
      try Output.answer.line("parlor \(Command.version)")
      return .ok
    }
    return try command.run(arguments)
  }
}
