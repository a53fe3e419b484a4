import Client
import Glibc

/// `parlor` without a command: the conversation.
struct ConversationCommand: Command {
  let name = ""
  let usage = "parlor [--thread T]"
  let summary = "talk with the personas"
  let help = """
    Without a command, parlor is a conversation: write, and the persona that the prompt names answers.
    `@NAME text` speaks to another one and stays with it, `@all text` to each. /help says what else can be written.
    Where standard input is no terminal, each of its lines is a question; the exit status is the last one's.

    You are known by the name of --name, else of the line `name = "NAME"` in ~/.config/bat/parlor.toml, else of $USER; who has it
    already is told apart, as in "selina-2". What you write is kept in ~/.local/state/bat/parlor-history, for Up.

      --thread T     which conversation with the personas to go on with; else the main one. With --name, that is your own
    """
  let values: Set = ["--thread"]

  func run(_ arguments: Arguments) throws -> ExitCode {
    Signals.catching([SIGINT, SIGTERM, SIGHUP, SIGWINCH])
    let name = PersonName(arguments, command: "")
    let connection = try KernelConnection(
      path: arguments.socketPath, name: name.name, distinct: !name.isGiven, within: .seconds(5), interrupt: Signals.interrupt)
    let console = try Console()
    if console.isInteractive { Signals.catching([SIGTSTP, SIGCONT]) }
    let repl = Repl(console: console, connection: connection, name: name, thread: arguments.value("--thread"))
    do {
      let exit = try repl.run()
      try console.close()
      return exit
    } catch {
      // The first error is the one to tell.
      try? console.close()
      throw error
    }
  }
}
