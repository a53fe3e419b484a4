import Wire

/// What came of an attempt to load, reload, roll back or unload a persona: docs/WIRE.md, "Receipts".
struct Receipt {
  let json: JSON

  var persona: String { json["persona"]?.string ?? "?" }
  var refused: Bool { json["outcome"]?.string == "refused" }

  /// "generation 3 → 4, 0.2 ms pause"
  var change: String {
    let pause = json["pause_us"]?.number.map { ", \(Self.milliseconds($0)) ms pause" } ?? ""
    let held = json["held"]?.int.flatMap { $0 > 0 ? ", \($0) message\($0 == 1 ? "" : "s") held" : nil } ?? ""
    return "generation " + [json["from"]?.int, json["to"]?.int].compactMap { $0.map(String.init) }.joined(separator: " → ") + pause + held
  }

  /// One line for people.
  var sentence: String {
    let from = json["from"]?.int
    let to = json["to"]?.int
    switch json["outcome"]?.string {
    case "loaded":
      return "\(persona) loaded: generation \(to.map(String.init) ?? "?")\(json["version"]?.string.map { " (version \($0))" } ?? "")"
    case "reloaded": return "\(persona) reloaded: \(change)"
    case "rolled_back": return "\(persona) rolled back: \(change)\(json["reason"]?.string.map { " (\($0))" } ?? "")"
    case "unloaded": return "\(persona) unloaded\(from.map { ": generation \($0) is retired" } ?? "")"
    case "unchanged": return "\(persona) unchanged: generation \((from ?? to).map(String.init) ?? "?") goes on"
    case "refused":
      let goesOn = from.map { "; generation \($0) goes on" } ?? ""
      return "\(persona) not changed: \(json["reason"]?.string ?? "no reason was given")\(goesOn)"
    default: return json.text
    }
  }

  /// Microseconds as milliseconds: two digits below 0.1, one up to 10, none above.
  static func milliseconds(_ microseconds: Double) -> String {
    if microseconds < 100 { return fixed(microseconds / 1000, 2) }
    return fixed(microseconds / 1000, microseconds < 10_000 ? 1 : 0)
  }
}

/// A number with so many digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 1e15 else { return "\(value)" }
  let whole = Int(scaled / scale)
  let sign = value < 0 && scaled > 0 ? "-" : ""
  if digits == 0 { return "\(sign)\(whole)" }
  let part = String(Int(scaled) - whole * Int(scale))
  return "\(sign)\(whole)." + String(repeating: "0", count: digits - part.count) + part
}
