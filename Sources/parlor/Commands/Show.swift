import Kernel
import Protocol
import Workbench
import Wire

extension Command {
  static let show = Command(
    name: "show", usage: "parlor show NAME|LIBRARY.so [--json]", summary: "all that is known of one persona, or of a library's file",
    help: """
      Of a persona NAME, as the kernel knows it: version, library, state, services, methods with what they take and
      give, generations and who still waits for them, messages, errors, tokens, and the last change of its code.
      Of a file (an operand with a slash, or that ends in .so): what the library says of itself. None of its code is
      run, and no kernel is needed.

        --json    as one line of JSON, with the methods' JSON schemas whole
      """,
    flags: ["--json"], operands: 1...1,
    run: { arguments throws(CLIError) in
      let subject = arguments.operands[0]
      let style = Style(for: .answer)
      if subject.contains("/") || subject.hasSuffix(".so") {
        let facts: LibraryFacts
        do throws(LibraryError) { facts = try LibraryFacts(reading: subject) } catch { throw CLIError(.failed, error.message) }
        let json = facts.json
        try Output.answer.write(arguments.has("--json") ? json.text + "\n" : PersonaText.text(ofLibrary: json, style: style))
        return .ok
      }
      let connection = try arguments.connect()
      let name = Names.resolve(subject, among: connection.personas)
      let details: JSON
      do throws(CLIError) {
        details = try connection.ask(Request(method: "personas.show", payload: ["name": .string(name)]))
      } catch { throw Names.explain(error, personas: connection.personas) }
      try Output.answer.write(arguments.has("--json") ? details.text + "\n" : PersonaText.text(details, style: style))
      return .ok
    })
}

extension LibraryFacts {
  /// As `parlor show FILE --json` tells it.
  var json: JSON {
    guard let about = try? JSON(parsing: PayloadCoding.bytes(of: about.described)) else {
      preconditionFailure("an about text can be written")
    }
    return ["path": .string(path), "hash": .string(hash), "about": about, "warnings": .array(warnings.map { .string($0) })]
  }
}

/// One persona, for people.
enum PersonaText {
  private static func row(_ key: String, _ value: String, _ style: Style) -> String {
    value.isEmpty ? "" : style.dim("  " + (key + ":").padded(13)) + value.oneLine(400) + "\n"
  }

  static func text(ofLibrary facts: JSON, style: Style) -> String {
    let about = facts["about"] ?? .null
    var text = head(about["name"]?.string ?? "?", about, style)
    text += row("file", facts["path"]?.string ?? "", style) + row("SHA-256", facts["hash"]?.string ?? "", style)
    text += traits(about, style)
    for warning in facts["warnings"]?.array ?? [] { text += row("warning", warning.plain, style) }
    return text + methods(about, style)
  }

  static func text(_ details: JSON, style: Style) -> String {
    let persona = details["persona"] ?? .null
    let about = details["about"] ?? .null
    var text = head(persona["name"]?.string ?? "?", about, style, summary: persona["summary"]?.string)
    let generation = persona["generation"]?.int.map { ", generation \($0)" } ?? ""
    text += row("state", (persona["state"]?.plain ?? "?") + generation, style)
    if let reason = persona["reason"]?.string { text += style.bad("  " + reason.oneLine(400)) + "\n" }
    text += row("library", details["library"]?["path"]?.string ?? persona["library"]?.plain ?? "", style)
    text += row("SHA-256", details["library"]?["hash"]?.string ?? "", style)
    for warning in details["library"]?["warnings"]?.array ?? [] { text += row("warning", warning.plain, style) }
    text += traits(about, style)
    let saved = (details["saved"]?.array ?? []).map { "schema \($0["schema"]?.plain ?? "?"), \($0["bytes"]?.plain ?? "?") bytes" }
    text += row("saved", saved.joined(separator: "; "), style)
    if let count = details["values"]?["count"]?.int, count > 0 {
      text += row("values", "\(count), \(details["values"]?["bytes"]?.plain ?? "?") bytes", style)
    }
    func number(_ key: String) -> String { persona[key]?.plain ?? "?" }
    text += row("messages", "\(number("received")) received, \(number("failed")) failed, \(number("queued")) waiting", style)
    if let tokens = details["tokens"] {
      text += row(
        "model",
        "\(tokens["answered"]?.plain ?? "?") of \(tokens["requests"]?.plain ?? "?") questions answered, "
          + "\(tokens["prompt_tokens"]?.plain ?? "?") tokens read, \(tokens["completion_tokens"]?.plain ?? "?") written", style)
    }
    if let receipt = details["last_receipt"], receipt != .null { text += row("last change", Receipt(json: receipt).sentence, style) }
    return text + generations(details, kept: persona["kept"]?.int ?? 0, style) + methods(about, style)
  }

  private static func head(_ name: String, _ about: JSON, _ style: Style, summary: String? = nil) -> String {
    let version = about["version"]?.string.map { " " + $0.oneLine(64) } ?? ""
    let summary = (summary ?? about["summary"]?.string).map { " · " + $0.oneLine(200) } ?? ""
    return style.bold(name.oneLine(64)) + version + summary + "\n"
  }

  private static func traits(_ about: JSON, _ style: Style) -> String {
    func words(_ key: String) -> String { (about[key]?.array ?? []).map(\.plain).joined(separator: " ") }
    var text = ""
    if let state = about["state"], let writes = state["writes"]?.int, let reads = state["reads"]?.int {
      text += row("keeps state", reads == writes ? "schema \(writes)" : "writes schema \(writes), reads \(reads) to \(writes)", style)
    }
    return text + row("needs", words("needs"), style) + row("wants", words("wants"), style)
  }

  private static func generations(_ details: JSON, kept: Int, _ style: Style) -> String {
    let shown = details["generations"]?.array ?? []
    if shown.isEmpty { return "" }
    var text = style.dim(kept > shown.count ? "generations (the last \(shown.count) of \(kept) that are kept)" : "generations") + "\n"
    for generation in shown {
      var words = ["version \(generation["version"]?.plain ?? "?")", String((generation["hash"]?.string ?? "").prefix(8))]
      if let phase = generation["phase"]?.string { words.append(phase) }
      let askers = Dictionary((generation["askers"]?.array ?? []).map { ($0.plain, 1) }, uniquingKeysWith: +)
      if !askers.isEmpty {
        words.append("answers " + askers.sorted { $0.key < $1.key }.map { $1 == 1 ? $0 : "\($0) (\($1))" }.joined(separator: ", "))
      }
      if let requests = generation["requests"]?.int, requests > 0 { words.append("waits for \(requests) itself") }
      text += "  " + (generation["number"]?.plain ?? "?").padded(4) + words.joined(separator: " · ").oneLine(300) + "\n"
    }
    return text
  }

  private static func methods(_ about: JSON, _ style: Style) -> String {
    let methods = about["methods"]?.array ?? []
    if methods.isEmpty { return "" }
    var text = style.dim("methods") + "\n"
    for method in methods {
      text += "  " + style.name((method["name"]?.plain ?? "?").oneLine(64)) + "  " + (method["summary"]?.plain ?? "").oneLine(200) + "\n"
      if let takes = method["takes"] { text += style.dim("    takes ") + SchemaText.short(takes).oneLine(300) + "\n" }
      if let gives = method["gives"] { text += style.dim("    gives ") + SchemaText.short(gives).oneLine(300) + "\n" }
    }
    return text
  }
}

/// A JSON schema in a few words: `{content: string, delegate?: string}`.
enum SchemaText {
  static func short(_ schema: JSON, depth: Int = 0) -> String {
    if let values = schema["enum"]?.array { return values.map(\.text).joined(separator: "|") }
    if let value = schema["const"] { return value.text }
    if let choices = (schema["anyOf"] ?? schema["oneOf"])?.array { return choices.map { short($0, depth: depth) }.joined(separator: "|") }
    switch schema["type"] {
    case .string("object")?, nil:
      guard let properties = schema["properties"]?.object, depth < 3 else { return schema["type"] == nil ? "anything" : "{…}" }
      let required = (schema["required"]?.array ?? []).compactMap(\.string)
      // What is required first: objects forget the order of their keys.
      let keys = required.filter { properties[$0] != nil } + properties.keys.sorted().filter { !required.contains($0) }
      return "{"
        + keys.map { "\($0)\(required.contains($0) ? "" : "?"): \(short(properties[$0] ?? .null, depth: depth + 1))" }.joined(
          separator: ", ")
        + "}"
    case .string("array")?: return "[\(short(schema["items"] ?? .null, depth: depth + 1))]"
    case .string(let type)?: return type
    case .array(let types)?: return types.map(\.plain).joined(separator: "|")
    default: return "anything"
    }
  }
}
