import Client
import Protocol
import Wire

/// `parlor stats`: what the kernel counts.
struct StatsCommand: Command {
  let name = "stats"
  let usage = "parlor stats [--json] [--watch]"
  let summary = "counters of the kernel, its personas and the model"
  let help = """
    Prints what the kernel counts: time up, memory, connections, messages, errors, and what the model did.

      --json    as one line of JSON
      --watch   again every second, until Ctrl-C (exit status 130)
    """
  let flags: Set = ["--json", "--watch"]

  func run(_ arguments: Arguments) throws -> ExitCode {
    let connection = try arguments.connect()
    let style = Style(for: .answer)
    let clear = arguments.has("--watch") && style.colours ? "\u{1B}[H\u{1B}[2J" : ""
    while true {
      let payload = try connection.ask(Request(Stats()))
      let text = arguments.has("--json") ? "" : try StatsText.text(payload.reply(to: Stats.self), style: style)
      if !arguments.has("--json") { try Output.answer.control(clear) }
      try Output.answer.reply(payload, json: arguments.has("--json"), text)
      guard arguments.has("--watch") else { return .ok }
      let next = ContinuousClock.now + .seconds(1)
      // Receipts may come meanwhile; and so the kernel's end is noticed at once.
      while try connection.pause(until: next) { _ = try connection.advance() }
    }
  }
}

/// The reply of `stats`, for people.
enum StatsText {
  static func text(_ stats: Stats.Reply, style: Style) -> String {
    var rows: [(String, String)] = [
      ("kernel", "\(stats.version), pid \(stats.pid)"), ("up", uptime(stats.uptime_s)),
      ("memory", "\(fixed(Double(stats.memory_kb) / 1024, 1)) MiB"), ("connections", "\(stats.connections)"),
      ("messages", "\(stats.messages)"), ("errors", "\(stats.errors)"), ("undelivered", "\(stats.undelivered)"),
      ("requests", "\(stats.requests)"),
    ]
    for stuck in stats.stuck ?? [] {
      let (busy, processor) = (fixed(Double(stuck.busy_ms) / 1000, 1), fixed(Double(stuck.cpu_ms) / 1000, 1))
      let end = stuck.replaced ? ", replaced; its thread goes on until the kernel ends" : "; `parlor reload \(stuck.persona) --force` helps"
      let row = "\(stuck.persona) generation \(stuck.generation): \(busy) s in a call, \(processor) s of processor time\(end)"
      rows.append(("stuck", row))
    }
    rows += members(stats.memory).map { ("rag " + $0.key, plain($0.value)) }
    rows += model(stats.llm)
    let text = rows.map { style.dim(($0.0 + ":").padded(16)) + $0.1.oneLine(300) + "\n" }.joined()
    return text + "\n" + PersonaTable.text(stats.personas, style: style)
  }

  /// What the language service counts, which only it knows the shape of.
  private static func model(_ llm: JSON) -> [(String, String)] {
    let apart: Set = ["personas", "providers", "budget"]
    var rows = members(llm).filter { !apart.contains($0.key) }.map { ("llm " + $0.key, plain($0.value)) }
    let budget = llm["budget"] ?? .null
    if budget != .null { rows.append(("llm today", spent(budget))) }
    for (name, provider) in members(llm["providers"]) { rows.append(("llm at " + name.oneLine(64), self.provider(provider))) }
    for (name, usage) in members(llm["personas"]) {
      let today = (budget["personas"]?[name]).map { ", today " + spent($0) } ?? ""
      rows.append(("llm " + name.oneLine(64), self.usage(usage) + today))
      let generations = members(usage["generations"]).sorted { Int($0.key) ?? 0 < Int($1.key) ?? 0 }
      // Of one generation all has been said.
      for (number, usage) in generations where generations.count > 1 {
        rows.append(("  generation " + number.oneLine(20), self.usage(usage)))
      }
    }
    return rows
  }

  private static func members(_ object: JSON?) -> [(key: String, value: JSON)] {
    (object?.object ?? [:]).sorted { $0.key < $1.key }
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
