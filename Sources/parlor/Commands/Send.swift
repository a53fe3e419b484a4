import Client
import Protocol
import Wire

/// `parlor send`: any request; and a list of those that the kernel itself answers.
struct SendCommand: Command {
  let name = "send"
  let usage = "parlor send TARGET METHOD [JSON|-] [--deadline SECONDS] | --list [--json]"
  let summary = "send any request, and print the reply's payload"
  let help = """
    Sends a request as it is, to a persona, a client, KERNEL, `#topic` or `*`, and prints the payload of the reply
    as one line of JSON. The payload is JSON, standard input when it is `-`, or null.

      --deadline SECONDS   give up after so long (exit status 5)
      --list               the methods of KERNEL, and what each does; no kernel is needed
      --json               that as one line of JSON, with what each takes and gives
    """
  let flags: Set = ["--list", "--json"]
  let values: Set = ["--deadline"]
  let operands = 0...3

  func run(_ arguments: Arguments) throws -> ExitCode {
    let operands = arguments.operands
    if arguments.has("--list") {
      if !operands.isEmpty { throw CLIError(.usage, "--list takes no \(operands[0]): see `parlor send --help`") }
      if arguments.has("--json") {
        try Output.answer.json(MethodList.json.text)
      } else {
        try Output.answer.write(MethodList.text(style: Style(for: .answer)))
      }
      return .ok
    }
    if operands.count < 2 { throw CLIError(.usage, "usage: \(usage)") }
    let deadline = try arguments.deadline()
    // What is to be read is measured by what the kernel takes; what is written here can be checked without one.
    var payload = JSON.null
    let isRead = operands.count == 3 && operands[2] == "-"
    if operands.count == 3, !isRead { payload = try read(operands[2]) }
    let connection = try arguments.connect()
    if isRead { payload = try read(StandardInput.read(atMost: connection.welcome?.limits.frame_bytes)) }
    let request = Request(target: operands[0], method: operands[1], payload: payload, deadline: deadline)
    try Output.answer.json(try connection.explaining { try connection.ask(request) }.text)
    return .ok
  }

  private func read(_ text: String) throws(CLIError) -> JSON {
    do throws(JSON.Unreadable) { return try JSON(parsing: text.utf8) } catch {
      throw CLIError(.usage, "the payload is not JSON: \(error.why)")
    }
  }
}

/// The methods of KERNEL that this parlor knows.
enum MethodList {
  static func text(style: Style) -> String {
    let width = KernelMethods.descriptions.map(\.name.count).max() ?? 0
    return KernelMethods.descriptions.map { "\(style.name($0.name.padded(width)))  \(plain($0.summary))\n" }.joined()
  }

  static var json: JSON {
    let methods = KernelMethods.descriptions.map { method -> JSON in
      [
        "name": .string(method.name), "summary": .string(plain(method.summary)), "takes": .string(plain(method.takes)),
        "gives": .string(plain(method.gives)), "callers": .string(method.callers.rawValue),
      ]
    }
    return ["methods": .array(methods)]
  }

  /// Without the marks of Markdown, which the pages need.
  private static func plain(_ text: String) -> String {
    text.replacing(/\[([^\]]*)\]\([^)]*\)/) { "docs/\($0.output.1)" }.replacing("`", with: "")
  }
}

/// `parlor ping`: is the kernel there?
struct PingCommand: Command {
  let name = "ping"
  let usage = "parlor ping"
  let summary = "is the kernel there, and how fast does it answer?"
  let help = "Asks the kernel for a sign of life, and prints its version and the time that one round trip took."

  func run(_ arguments: Arguments) throws -> ExitCode {
    let connection = try arguments.connect()
    let start = ContinuousClock.now
    _ = try connection.call(Ping(), deadline: .seconds(10))
    let microseconds = Double((ContinuousClock.now - start) / .microseconds(1))
    try Output.answer.line("kernel \(connection.version) answers in \(milliseconds(microseconds)) ms")
    return .ok
  }
}
