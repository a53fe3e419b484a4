import Wire

extension Command {
  static let stats = Command(
    name: "stats", usage: "parlor stats [--json] [--watch]", summary: "counters of the kernel, its personas and the model",
    help: """
      Prints what the kernel counts: time up, memory, connections, messages, errors, and what the model did.

        --json    as one line of JSON
        --watch   again every second, until Ctrl-C (exit status 130)
      """,
    flags: ["--json", "--watch"],
    run: { arguments throws(Trouble) in
      let connection = try arguments.connect()
      let style = Style(for: .answer)
      let clear = arguments.has("--watch") && style.colours ? "\u{1B}[H\u{1B}[2J" : ""
      while true {
        let stats = try connection.ask(Request(method: "stats"))
        try Output.answer.write(arguments.has("--json") ? stats.text + "\n" : clear + StatsText.text(stats, style: style))
        guard arguments.has("--watch") else { return .ok }
        let clock = ContinuousClock()
        let next = clock.now + .seconds(1)
        while clock.now < next {
          let ready = waitForInput([connection.descriptor, Signals.descriptor], for: next - clock.now)
          if Signals.takeInterrupt() { throw Trouble(.interrupted, "") }
          // Receipts may come meanwhile; and so we notice the kernel's end at once.
          if ready.contains(connection.descriptor) { _ = try connection.receive() }
        }
      }
    })
}

/// The reply of `stats`, for people.
enum StatsText {
  static func text(_ stats: JSON, style: Style) -> String {
    var text = ""
    func row(_ key: String, _ value: String) { text += style.dim((key + ":").padded(16)) + value.oneLine(300) + "\n" }
    row("kernel", "\(stats["version"]?.plain ?? "?"), pid \(stats["pid"]?.plain ?? "?")")
    if let seconds = stats["uptime_s"]?.number { row("up", uptime(Int(seconds))) }
    if let kilobytes = stats["memory_kb"]?.number { row("memory", "\(fixed(kilobytes / 1024, 1)) MiB") }
    for key in ["connections", "messages", "errors", "undelivered"] {
      if let value = stats[key] { row(key, value.plain) }
    }
    let told: Set = ["version", "pid", "uptime_s", "memory_kb", "connections", "messages", "errors", "undelivered", "personas", "llm"]
    for (key, value) in (stats.object ?? [:]).sorted(by: { $0.key < $1.key }) where !told.contains(key) { row(key, value.plain) }
    for (key, value) in (stats["llm"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) where key != "personas" {
      row("llm " + key, value.plain)
    }
    for (name, usage) in (stats["llm"]?["personas"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      func number(_ key: String) -> String { usage[key]?.plain ?? "?" }
      row(
        "llm " + name.oneLine(64),
        "\(number("answered")) of \(number("requests")) answered, \(number("prompt_tokens")) tokens read, \(number("completion_tokens")) written"
      )
    }
    if let personas = stats["personas"]?.array { text += "\n" + PersonaTable.text(personas, style: style) }
    return text
  }

  static func uptime(_ seconds: Int) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    if hours > 0 { return "\(hours) h \(minutes) min" }
    return minutes > 0 ? "\(minutes) min \(seconds % 60) s" : "\(seconds) s"
  }
}
