import Glibc
import System
import Workbench

/// parlor: the terminal client of the B.A.T. Computer.
@main enum Main {
  static func main() {
    StandardDescriptors.openClosed()
    do {
      exit(try run(Array(CommandLine.arguments.dropFirst())).rawValue)
    } catch {
      let error = CLIError(error)
      if !error.message.isEmpty {
        // Where the standard error is closed, only the status is left to speak.
        try? Output.diagnostics.line("parlor: \(error.message)")
      }
      exit(error.exit.rawValue)
    }
  }

  private static func run(_ words: [String]) throws -> ExitCode {
    if words.first == CheckChild.word { CheckChild.perform(words) }
    Signals.catching([])
    let arguments = try Arguments(words, commands: Commands.all)
    let command = Commands.all.first { $0.name == arguments.command } ?? Commands.conversation
    if arguments.has("--help") {
      try Output.answer.write(command.helpText)
      return .ok
    }
    if arguments.has("--version") {
      try Output.answer.line("parlor \(Commands.version)")
      return .ok
    }
    return try command.run(arguments)
  }
}
