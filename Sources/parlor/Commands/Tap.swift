import Glibc
import Wire

extension Command {
  static let tap = Command(
    name: "tap", usage: "parlor tap [--json]", summary: "show the messages of others as they flow",
    help: """
      Prints a line for each message on the bus: time, source → target, method, size in bytes, and how its text begins.
      After a persona's error stands the command that keeps the message, to replay it.
      Ends with Ctrl-C (exit status 130).

        --json    print each message whole, as one line of JSON
      """,
    flags: ["--json"],
    run: { arguments throws(CLIError) in
      let connection = try arguments.connect()
      let style = Style(for: .answer)
      _ = try connection.start(Request(method: "tap", payload: ["on": true]))
      while true {
        let ready = waitForInput([connection.descriptor, Signals.descriptor])
        if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
        guard ready.contains(connection.descriptor) else { continue }
        for message in try connection.receive() {
          if message.method == "error" { throw CLIError(errorPayload: message.payload) }
          guard message.method == "tap" else { continue }
          if let missed = message.payload["missed"]?.int, missed > 0 {
            try Output.diagnostics.line("parlor: \(missed) messages are not shown: they came faster than they could be printed")
          }
          guard let gram = message.payload["gram"] else { continue }
          try Output.answer.line(
            arguments.has("--json") ? gram.text : TapLine.text(Gram(json: gram), at: .now, personas: connection.personas, style: style))
        }
      }
    })
}

/// One message of the flow, in one line.
enum TapLine {
  /// A time of the day, as the machine's clock tells it.
  struct Time {
    var hours = 0
    var minutes = 0
    var seconds = 0
    var milliseconds = 0

    static var now: Time {
      var now = timespec()
      clock_gettime(CLOCK_REALTIME, &now)
      var local = tm()
      localtime_r(&now.tv_sec, &local)
      return Time(
        hours: Int(local.tm_hour), minutes: Int(local.tm_min), seconds: Int(local.tm_sec), milliseconds: Int(now.tv_nsec / 1_000_000))
    }

    var text: String {
      func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
      return "\(two(hours)):\(two(minutes)):\(two(seconds)).\(milliseconds < 10 ? "00" : milliseconds < 100 ? "0" : "")\(milliseconds)"
    }
  }

  static func text(_ gram: Gram, at time: Time, personas: [String] = [], style: Style) -> String {
    let payload = gram.payload
    let said = payload["content"]?.string ?? payload["text"]?.string ?? payload["message"]?.string ?? payload.text
    let route = "\(style.name(gram.source.oneLine(64))) → \(style.name(gram.target.oneLine(64)))"
    let method = gram.method == "error" ? style.bad("error") : gram.method.oneLine(64)
    let next = gram.method == "error" && personas.contains(gram.source) ? " (parlor capture \(gram.source.oneLine(64)) --failed)" : ""
    return "\(style.dim(time.text)) \(route) \(method) \(gram.json.text.utf8.count) \(style.dim(said.oneLine(80) + next))"
  }
}
