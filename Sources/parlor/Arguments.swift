import Client
import Glibc
import Wire

/// The command line, taken apart: options may stand anywhere, `--` ends them.
struct Arguments: Equatable {
  /// Empty for the conversation.
  var command: String?
  var operands: [String] = []
  private var flags: Set<String> = []
  private var values: [String: String] = [:]

  func has(_ flag: String) -> Bool { flags.contains(flag) }
  func value(_ option: String) -> String? { values[option] }

  /// - Parameters:
  ///   - words: without the program's name.
  ///   - commands: what may stand as the first word, and the options that each one takes.
  /// - Throws: `.usage`, with a sentence that says what to write instead.
  init(_ words: [String], commands: [any Command]) throws(CLIError) {
    var rest = words[...]
    var spec: any Command = Commands.conversation
    while let word = rest.popFirst() {
      if word == "--" {
        operands += rest
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        if command == nil, operands.isEmpty, let found = commands.first(where: { $0.name == word }) {
          command = word
          spec = found
        } else if command == nil {
          throw CLIError(.usage, "there is no command \(word): see `parlor --help`")
        } else {
          operands.append(word)
        }
        continue
      }
      let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let option = Commands.shortOptions[halves[0]] ?? halves[0]
      if Commands.globalFlags.contains(option) || spec.flags.contains(option) {
        if halves.count > 1 { throw CLIError(.usage, "\(option) takes no value") }
        flags.insert(option)
      } else if Commands.globalValues.contains(option) || spec.values.contains(option) {
        guard let value = halves.count > 1 ? halves[1] : rest.popFirst() else { throw CLIError(.usage, "\(option) needs a value") }
        values[option] = value
      } else {
        throw CLIError(.usage, "\(spec.fullName) has no option \(halves[0]): see `\(spec.fullName) --help`")
      }
    }
    if let name = value("--name"), let problem = Name.problem(name.utf8) { throw CLIError(.usage, "--name \"\(name)\": \(problem)") }
    let known = spec.operands
    if !known.contains(operands.count), !has("--help") {
      throw CLIError(.usage, "usage: \(spec.usage)")
    }
  }

  /// `--deadline`, in seconds.
  func deadline() throws(CLIError) -> Duration? {
    guard let text = value("--deadline") else { return nil }
    guard let seconds = Double(text), seconds > 0, seconds < 1e9 else {
      throw CLIError(.usage, "--deadline \(text): a number of seconds is wanted, such as 30 or 0.5")
    }
    return .milliseconds(Int((seconds * 1000).rounded(.up)))
  }

  /// A whole number above 0.
  func count(_ option: String) throws(CLIError) -> Int? {
    guard let text = value(option) else { return nil }
    guard let count = Int(text), count > 0 else { throw CLIError(.usage, "\(option) \(text): a whole number above 0 is wanted") }
    return count
  }

  /// `--socket`, else `$BAT_SOCKET`, else where the kernel listens when nothing is said.
  var socketPath: String {
    if let path = value("--socket") ?? Terminal.environment("BAT_SOCKET") { return path }
    if let folder = Terminal.environment("XDG_RUNTIME_DIR") { return folder + "/bat/kernel.sock" }
    return "/tmp/bat-\(getuid())/kernel.sock"
  }

  /// Connects to the kernel, under the person's name and the command's. From now on Ctrl-C ends what waits for it.
  func connect() throws(ClientError) -> KernelConnection {
    let own = PersonName(self, command: command ?? "")
    Signals.catching([SIGINT])
    return try KernelConnection(
      path: socketPath, name: own.name, distinct: !own.isGiven, within: .seconds(5), interrupt: Signals.interrupt)
  }
}
