import Protocol
import Wire

extension Command {
  static let send = Command(
    name: "send", usage: "parlor send TARGET METHOD [JSON|-] [--deadline SECONDS]",
    summary: "send any request, and print the reply's payload",
    help: """
      Sends a request as it is, to a persona, a client, KERNEL, `#topic` or `*`, and prints the payload of the reply
      as one line of JSON. The payload is JSON, standard input when it is `-`, or null.

        --deadline SECONDS   give up after so long (exit status 5)
      """,
    values: ["--deadline"], operands: 2...3,
    run: { arguments throws(CLIError) in
      let deadline = try arguments.deadline()
      let operands = arguments.operands
      var payload = JSON.null
      if operands.count == 3 {
        let text = operands[2] == "-" ? try standardInput() : operands[2]
        do throws(JSON.Unreadable) { payload = try JSON(parsing: text.utf8) } catch {
          throw CLIError(.usage, "the payload is not JSON: \(error.why)")
        }
      }
      let connection = try arguments.connect()
      let request = Request(target: operands[0], method: operands[1], payload: payload, deadline: deadline)
      do throws(CLIError) {
        try Output.answer.line(try connection.ask(request).text)
      } catch {
        throw Names.explain(error, personas: connection.personas)
      }
      return .ok
    })

  static let ping = Command(
    name: "ping", usage: "parlor ping", summary: "is the kernel there, and how fast does it answer?",
    help: "Asks the kernel for a sign of life, and prints its version and the time that one round trip took.",
    run: { arguments throws(CLIError) in
      let connection = try arguments.connect()
      let clock = ContinuousClock()
      let start = clock.now
      _ = try connection.ask(Request(method: "ping", deadline: .seconds(10)))
      let microseconds = Double((clock.now - start) / .microseconds(1))
      try Output.answer.line("kernel \(connection.welcome["version"]?.plain ?? "?") answers in \(Receipt.milliseconds(microseconds)) ms")
      return .ok
    })
}
