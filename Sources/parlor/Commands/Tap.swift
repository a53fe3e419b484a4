import Client
import Glibc
import Protocol
import Wire

/// `parlor tap`: the messages of others as they flow.
struct TapCommand: Command {
  let name = "tap"
  let usage = "parlor tap [--json]"
  let summary = "show the messages of others as they flow"
  let help = """
    Prints a line for each message on the bus: time, source → target, method, size in bytes, and how its text begins.
    After a persona's error stands the command that keeps the message, to replay it.
    Ends with Ctrl-C (exit status 130).

      --json    print each message whole, as one line of JSON
    """
  let flags: Set = ["--json"]

  func run(_ arguments: Arguments) throws -> ExitCode {
    let connection = try arguments.connect()
    let style = Style(for: .answer)
    _ = try connection.start(Request(Tap(on: true)))
    while true {
      _ = try connection.pause(until: nil)
      for incoming in try connection.advance() {
        switch incoming {
        case .failure(_, let report): throw CLIError(report)
        case .tap(let event):
          if let missed = event.missed, missed > 0 {
            try Output.diagnostics.line("parlor: \(missed) messages are not shown: they came faster than they could be printed")
          }
          guard let gram = event.gram else { continue }
          if arguments.has("--json") {
            try Output.answer.json(gram.text)
          } else {
            try Output.answer.line(TapLine.text(gram, at: .now, personas: connection.personas, style: style))
          }
        default: continue
        }
      }
    }
  }
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

  static func text(_ gram: JSON, at time: Time, personas: [String] = [], style: Style) -> String {
    let (source, target) = (gram["source"]?.string ?? "", gram["target"]?.string ?? "")
    let (method, payload) = (gram["method"]?.string ?? "", gram["payload"] ?? .null)
    let said = payload["content"]?.string ?? payload["text"]?.string ?? payload["message"]?.string ?? payload.text
    let route = "\(style.name(source.shownName)) → \(style.name(target.shownName))"
    let shown = method == "error" ? style.bad("error") : method.oneLine(64)
    let next = method == "error" && personas.contains(source) ? " (parlor capture \(source.shownName) --failed)" : ""
    return "\(style.dim(time.text)) \(route) \(shown) \(gram.text.utf8.count) \(style.dim(said.oneLine(80) + next))"
  }
}
