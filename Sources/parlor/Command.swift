/// One word of the command line: what it takes, what it says of itself, and what it does.
protocol Command: Sendable {
  /// Empty for the conversation.
  var name: String { get }
  /// How it is called, on one line.
  var usage: String { get }
  /// One line for the list of all commands.
  var summary: String { get }
  /// The rest of its help.
  var help: String { get }
  var flags: Set<String> { get }
  /// Options that are followed by a value.
  var values: Set<String> { get }
  /// How many operands it may have.
  var operands: ClosedRange<Int> { get }
  /// parlor's own, for children of its own.
  var isHidden: Bool { get }

  /// - Throws: what `CLIError` can make a message and an exit status of.
  func run(_ arguments: Arguments) throws -> ExitCode
}

extension Command {
  var flags: Set<String> { [] }
  var values: Set<String> { [] }
  var operands: ClosedRange<Int> { 0...0 }
  var isHidden: Bool { false }

  var fullName: String { name.isEmpty ? "parlor" : "parlor \(name)" }

  var helpText: String {
    var text = "usage: \(usage)\n\n\(help)\n"
    if name.isEmpty {
      text += "\nCommands:\n"
      for command in Commands.all where !command.isHidden { text += "  \(command.name.padded(10)) \(command.summary)\n" }
      text += "\n`parlor COMMAND --help` says more.\n"
    }
    return text + """

      Everywhere:
        --socket PATH  where the kernel listens; else $BAT_SOCKET, $XDG_RUNTIME_DIR/bat/kernel.sock, /tmp/bat-UID/kernel.sock
        --name NAME    the name to be known by; else that of parlor.toml or $USER
        --help, --version

      Exit status: 0 done, 1 another error or a refused reload, 2 usage, 3 no kernel, 4 no such persona or collection,
      5 deadline, 7 language model, 130 interrupted.

      """
  }
}

/// All commands, and the options that every one of them takes.
enum Commands {
  /// What parlor does without a command.
  static let conversation = ConversationCommand()

  static let all: [any Command] = [
    AskCommand(), NewCommand(), DevCommand(), PersonasCommand(), ShowCommand(), ChangeCommand.load, ChangeCommand.unload, ReloadCommand(),
    ChangeCommand.rollback, CaptureCommand(), ReplayCommand(), CheckCommand(), IngestCommand(), MemoryCommand(), ModelsCommand(),
    HistoryCommand(), StatsCommand(), TapCommand(), SendCommand(), PingCommand(), StageCommand(),
  ]

  static let globalFlags: Set<String> = ["--help", "--version"]
  static let globalValues: Set<String> = ["--socket", "--name"]
  static let shortOptions = ["-h": "--help", "-o": "--output", "-p": "--persona", "-V": "--version"]
  static let version = "0.1.0"
}
