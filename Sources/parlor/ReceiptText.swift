import Client
import Protocol

/// What came of an attempt to load, reload, roll back or unload a persona, for people: docs/WIRE.md, "Receipts".
extension Receipt {
  var isRefused: Bool { outcome == .refused }

  /// "generation 3 → 4, 0.2 ms pause"
  var change: String {
    let pause = pause_us.map { ", \(milliseconds(Double($0))) ms pause" } ?? ""
    let held = held.flatMap { $0 > 0 ? ", \($0) message\($0 == 1 ? "" : "s") held" : nil } ?? ""
    return "generation " + [from, to].compactMap { $0.map(String.init) }.joined(separator: " → ") + pause + held
  }

  /// What was taken over of personas.toml: " with prompt, tools of personas.toml".
  private var taken: String { changes.map { " with \($0.joined(separator: ", ")) of personas.toml" } ?? "" }

  /// One line for people.
  var sentence: String {
    let persona = persona.shownName
    return switch outcome {
    case .loaded: "\(persona) loaded: generation \(to.map(String.init) ?? "?")\(version.map { " (version \($0))" } ?? "")\(taken)"
    case .reloaded: "\(persona) reloaded: \(change)\(taken)"
    case .rolledBack: "\(persona) rolled back: \(change)\(reason.map { " (\($0))" } ?? "")"
    case .unloaded: "\(persona) unloaded\(from.map { ": generation \($0) is retired" } ?? "")"
    case .unchanged: "\(persona) unchanged: generation \((from ?? to).map(String.init) ?? "?") goes on\(taken)"
    case .unwell: "\(persona) is not well: \(reason ?? "no reason was given")\(to.map { "; generation \($0) goes on" } ?? "")"
    case .configured: "\(persona) goes on\(taken)"
    case .refused:
      "\(persona) not changed: \(reason ?? "no reason was given")\(from.map { "; generation \($0) goes on" } ?? "")"
    }
  }

  /// Those of a reply: of a reload there are several, of the other changes one.
  static func all(in payload: Payload) throws(ClientError) -> [Receipt] {
    if let several = try? payload.value(Personas.Reload.Reply.self) { return several.receipts }
    do { return [try payload.value(Receipt.self)] } catch { throw .unreadable(method: Personas.Load.method.name, why: error.description) }
  }
}
