import Kernel

/// The command line of batkernel.
struct Arguments: Equatable {
  enum Command: Equatable {
    case run, check, version, help
    /// The kernel starts itself so, to try a library in a child; what follows is between the two.
    case rehearse([String])
    /// The same, to play recorded messages to a library.
    case stage
  }

  var command = Command.run
  var configurationPath = "personas.toml"
  /// Stands above the file's.
  var socketPath: String?
  var logFormat: LogConfiguration.Format?
  /// What --check finds is told as one JSON object.
  var isJSON = false

  /// What is wrong with a command line; the program says it on stderr and exits with 2.
  struct UsageError: Error, Equatable, CustomStringConvertible {
    var message: String
    var description: String { "batkernel: \(message)\nTry batkernel --help." }
  }

  static let help = """
    Usage: batkernel [--config FILE] [--socket PATH] [--log-format text|json] [--check [--json]]

    Hosts the personas of a configuration file, and reloads them while clients stay connected.

      --config FILE        the configuration file (default: personas.toml)
      --socket PATH        the Unix socket to listen on, instead of the file's
      --log-format FORMAT  text or json lines on stderr, instead of the file's
      --check              look for faults in the file and in every library, run nothing, and exit
      --json               with --check: one JSON object, which also has each persona's part of the file
      --version            show the version and exit
      --help               show this and exit

    Signals: SIGTERM and SIGINT end it when everything asked is answered; SIGHUP reads the file again.
    Exit status: 0 success, 1 a fault that is told on stderr, 2 wrong usage.

    """

  /// Reads the words after the program's name.
  static func parse(_ words: [String]) throws(UsageError) -> Arguments {
    var arguments = Arguments()
    var rest = words[...]
    while let word = rest.popFirst() {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let option = word.hasPrefix("--") ? parts[0] : word
      var inline = word.hasPrefix("--") && parts.count == 2 ? parts[1] : nil
      func value(_ what: String) throws(UsageError) -> String {
        let value = inline ?? rest.popFirst()
        inline = nil
        guard let value, !value.isEmpty else { throw UsageError(message: "\(option) needs \(what) after it") }
        return value
      }
      switch option {
      case "--config": arguments.configurationPath = try value("a file")
      case "--socket":
        let path = try value("a path")
        if let reason = ConfigurationFile.refusal(ofSocketPath: path) { throw UsageError(message: "--socket: \(reason)") }
        arguments.socketPath = path
      case "--log-format":
        let word = try value("text or json")
        guard let format = LogConfiguration.Format(rawValue: word) else {
          throw UsageError(message: "--log-format is text or json, and not \"\(word)\"")
        }
        arguments.logFormat = format
      case "--check": arguments.command = .check
      case "--json": arguments.isJSON = true
      case "--version": arguments.command = .version
      case "--help", "-h":
        // Whoever asks for help gets it, whatever else is there.
        arguments.command = .help
        return arguments
      case "--stage":
        arguments.command = .stage
        return arguments
      case "--rehearse":
        arguments.command = .rehearse(Array(rest))
        return arguments
      default:
        let known = ["--config", "--socket", "--log-format", "--check", "--json", "--version", "--help"]
        throw UsageError(
          message: option.hasPrefix("-")
            ? "unknown option \(option)\(TableReader.question(option, known))"
            : "\"\(word)\" is too much; a configuration file is named with --config")
      }
      if inline != nil { throw UsageError(message: "\(option) takes no value") }
    }
    if arguments.isJSON, arguments.command == .run { throw UsageError(message: "--json goes with --check") }
    return arguments
  }
}
