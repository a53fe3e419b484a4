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
    run: { arguments throws(CLIError) in
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
          if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
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
    let told: Set = [
      "version", "pid", "uptime_s", "memory_kb", "connections", "messages", "errors", "undelivered", "personas", "llm", "memory",
    ]
    for (key, value) in (stats.object ?? [:]).sorted(by: { $0.key < $1.key }) where !told.contains(key) { row(key, value.plain) }
    for (key, value) in (stats["memory"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) { row("rag " + key, plain(value)) }
    let apart: Set = ["personas", "providers", "budget"]
    for (key, value) in (stats["llm"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) where !apart.contains(key) {
      row("llm " + key, plain(value))
    }
    let budget = stats["llm"]?["budget"] ?? .null
    if budget != .null { row("llm today", spent(budget)) }
    let providers = stats["llm"]?["providers"]?.object ?? [:]
    for (name, provider) in providers.sorted(by: { $0.key < $1.key }) { row("llm at " + name.oneLine(64), self.provider(provider)) }
    for (name, usage) in (stats["llm"]?["personas"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      let today = (budget["personas"]?[name]).map { ", today " + spent($0) } ?? ""
      row("llm " + name.oneLine(64), self.usage(usage) + today)
      let generations = (usage["generations"]?.object ?? [:]).sorted { Int($0.key) ?? 0 < Int($1.key) ?? 0 }
      // Of one generation all has been said.
      for (number, usage) in generations where generations.count > 1 { row("  generation " + number.oneLine(20), self.usage(usage)) }
    }
    if let personas = stats["personas"]?.array { text += "\n" + PersonaTable.text(personas, style: style) }
    return text
  }

  /// As in "1200 of 50000 tokens".
  private static func spent(_ share: JSON) -> String {
    let limit = share["limit"].flatMap { $0 == .null ? nil : " of \($0.plain)" } ?? ""
    return "\(share["spent"]?.plain ?? "?")\(limit) tokens"
  }

  /// A value as it is; of an object its members, as in "llm_refused 1, invalid 2".
  private static func plain(_ value: JSON) -> String {
    guard let members = value.object else { return value.plain }
    if members.isEmpty { return "none" }
    return members.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.plain)" }.joined(separator: ", ")
  }

  private static func usage(_ usage: JSON) -> String {
    func number(_ key: String) -> String { usage[key]?.plain ?? "?" }
    var words = [
      "\(number("answered")) of \(number("requests")) answered", "\(number("prompt_tokens")) tokens read",
      "\(number("completion_tokens")) written",
    ]
    if let latency = usage["first_piece_ms"]?["p50"]?.plain { words.append("first piece after \(latency) ms") }
    if let rate = usage["tokens_per_s"]?.plain { words.append("\(rate) tokens/s") }
    return words.joined(separator: ", ")
  }

  private static func provider(_ provider: JSON) -> String {
    func count(_ key: String) -> Int { provider[key]?.int ?? 0 }
    var words = ["\(count("answered")) of \(count("sent")) answered", "\(count("running")) running", "\(count("waiting")) waiting"]
    if count("retries") > 0 { words.append("\(count("retries")) sent again") }
    if count("fallbacks") > 0 { words.append("\(count("fallbacks")) went elsewhere") }
    if let breaker = provider["breaker"]?.string, breaker != "closed" { words.append("left in peace (\(breaker))") }
    let place = "\(provider["provider"]?.plain ?? "?") \(provider["url"]?.plain ?? "?") \(provider["model"]?.plain ?? "")"
    return words.joined(separator: ", ") + " · " + place
  }

  static func uptime(_ seconds: Int) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    if hours > 0 { return "\(hours) h \(minutes) min" }
    return minutes > 0 ? "\(minutes) min \(seconds % 60) s" : "\(seconds) s"
  }
}
