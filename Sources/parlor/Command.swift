/// One word of the command line: what it takes, what it says of itself, and what it does.
struct Command: Sendable {
  let name: String
  /// How it is called, on one line.
  let usage: String
  /// One line for the list of all commands.
  let summary: String
  /// The rest of its help.
  let help: String
  var flags: Set<String> = []
  var values: Set<String> = []
  /// How many operands it may have.
  var operands: ClosedRange<Int> = 0...0
  /// parlor's own, for children of its own.
  var isHidden = false
  let run: @Sendable (Arguments) throws(CLIError) -> ExitCode

  var fullName: String { name.isEmpty ? "parlor" : "parlor \(name)" }

  static let globalFlags: Set<String> = ["--help", "--version"]
  static let globalValues: Set<String> = ["--socket", "--name"]
  static let shortOptions = ["-h": "--help", "-o": "--output", "-p": "--persona", "-V": "--version"]

  static let all: [Command] = [
    ask, new, dev, personas, show, load, unload, reload, rollback, capture, replay, check, ingest, memory, models, history, stats, tap,
    send, ping,
    stage,
  ]

  static let version = "0.1.0"

  var helpText: String {
    var text = "usage: \(usage)\n\n\(help)\n"
    if name.isEmpty {
      text += "\nCommands:\n"
      for command in Self.all where !command.isHidden { text += "  \(command.name.padded(10)) \(command.summary)\n" }
      text += "\n`parlor COMMAND --help` says more.\n"
    }
    return text + """

      Everywhere:
        --socket PATH  where the kernel listens; else $BAT_SOCKET, $XDG_RUNTIME_DIR/bat/kernel.sock, /tmp/bat-UID/kernel.sock
        --name NAME    the name to be known by; else the kernel gives one
        --help, --version

      Exit status: 0 done, 1 another error or a refused reload, 2 usage, 3 no kernel, 4 no such persona or collection,
      5 deadline, 7 language model, 130 interrupted.

      """
  }
}
