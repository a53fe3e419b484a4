import Client
import Protocol
import Wire
import Workbench

/// `parlor show`: all that is known of one persona, or of a library's file.
struct ShowCommand: Command {
  let name = "show"
  let usage = "parlor show NAME|LIBRARY.so [--json]"
  let summary = "all that is known of one persona, or of a library's file"
  let help = """
    Of a persona NAME, as the kernel knows it: version, library, state, services, methods with what they take and
    give, generations and who still waits for them, messages, errors, tokens, and the last change of its code.
    Of a file (an operand with a slash, or that ends in .so): what the library says of itself. None of its code is
    run, and no kernel is needed.

      --json    as one line of JSON, with the methods' JSON schemas whole
    """
  let flags: Set = ["--json"]
  let operands = 1...1

  func run(_ arguments: Arguments) throws -> ExitCode {
    let subject = arguments.operands[0]
    let style = Style(for: .answer)
    if subject.contains("/") || subject.hasSuffix(".so") {
      let facts = try LibraryFacts(reading: subject)
      if arguments.has("--json") {
        try Output.answer.json(facts.json.text)
      } else {
        try Output.answer.write(PersonaText.text(of: facts, style: style))
      }
      return .ok
    }
    let connection = try arguments.connect()
    let name = Names.resolve(subject, among: connection.personas)
    let payload = try connection.explaining { try connection.ask(Request(Personas.Show(name: name))) }
    try Output.answer.reply(
      payload, json: arguments.has("--json"), PersonaText.text(payload.reply(to: Personas.Show.self), style: style))
    return .ok
  }
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

  static func text(of facts: LibraryFacts, style: Style) -> String {
    let about = facts.about.described
    var text = head(about.name, about, style)
    text += row("file", facts.path, style) + row("SHA-256", facts.hash, style)
    text += traits(about, style)
    for warning in facts.warnings { text += row("warning", warning, style) }
    return text + keys(about, style) + methods(about, style)
  }

  static func text(_ details: Personas.Details, style: Style) -> String {
    let persona = details.persona
    var text = head(persona.name, details.about, style, summary: persona.summary)
    let generation = persona.generation.map { ", generation \($0)" } ?? ""
    text += row("state", persona.state.rawValue + generation, style)
    if let reason = persona.reason { text += style.bad("  " + reason.oneLine(400)) + "\n" }
    text += row("library", details.library?.path ?? persona.library, style)
    text += row("SHA-256", details.library?.hash ?? "", style)
    for warning in details.library?.warnings ?? [] { text += row("warning", warning, style) }
    if let about = details.about { text += traits(about, style) }
    let saved = details.saved.map { "schema \($0.schema), \($0.bytes) bytes" }
    text += row("saved", saved.joined(separator: "; "), style)
    if details.values.count > 0 { text += row("values", "\(details.values.count), \(details.values.bytes) bytes", style) }
    text += row("messages", "\(persona.received) received, \(persona.failed) failed, \(persona.queued) waiting", style)
    if let tokens = details.tokens {
      func number(_ key: String) -> String { tokens[key]?.plain ?? "?" }
      text += row(
        "model",
        "\(number("answered")) of \(number("requests")) questions answered, "
          + "\(number("prompt_tokens")) tokens read, \(number("completion_tokens")) written", style)
    }
    if let receipt = details.last_receipt { text += row("last change", receipt.sentence, style) }
    return text + generations(details, style) + (details.about.map { keys($0, style) + methods($0, style) } ?? "")
  }

  private static func head(_ name: String, _ about: Personas.About?, _ style: Style, summary: String? = nil) -> String {
    let version = about.map { " " + $0.version.oneLine(64) } ?? ""
    let summary = (summary ?? about?.summary).map { " · " + $0.oneLine(200) } ?? ""
    return style.bold(name.shownName) + version + summary + "\n"
  }

  private static func traits(_ about: Personas.About, _ style: Style) -> String {
    var text = ""
    if let state = about.state {
      let schemas =
        state.reads == state.writes ? "schema \(state.writes)" : "writes schema \(state.writes), reads \(state.reads) to \(state.writes)"
      text += row("keeps state", schemas, style)
    }
    return text + row("needs", about.needs.joined(separator: " "), style) + row("wants", about.wants.joined(separator: " "), style)
  }

  private static func generations(_ details: Personas.Details, _ style: Style) -> String {
    let (shown, kept) = (details.generations, details.persona.kept)
    if shown.isEmpty { return "" }
    var text = style.dim(kept > shown.count ? "generations (the last \(shown.count) of \(kept) that are kept)" : "generations") + "\n"
    for generation in shown {
      var words = ["version \(generation.version)", String(generation.hash.prefix(8))]
      if let phase = generation.phase { words.append(phase.rawValue) }
      let askers = Dictionary((generation.askers ?? []).map { ($0, 1) }, uniquingKeysWith: +)
      if !askers.isEmpty {
        words.append("answers " + askers.sorted { $0.key < $1.key }.map { $1 == 1 ? $0 : "\($0) (\($1))" }.joined(separator: ", "))
      }
      if let requests = generation.requests, requests > 0 { words.append("waits for \(requests) itself") }
      text += "  " + "\(generation.number)".padded(4) + words.joined(separator: " · ").oneLine(300) + "\n"
    }
    return text
  }

  /// What it reads of personas.toml.
  private static func keys(_ about: Personas.About, _ style: Style) -> String {
    guard let keys = about.config, !keys.isEmpty else { return "" }
    return keys.reduce(style.dim("keys in personas.toml") + "\n") { text, key in
      let standard = key.required ? ", required" : key.standard.map { ", default \($0.text)" } ?? ""
      let kind = style.dim(" (\(key.type)\(standard.oneLine(100)))")
      return text + "  " + style.name(key.name.oneLine(64)) + "  " + key.summary.oneLine(200) + kind + "\n"
    }
  }

  private static func methods(_ about: Personas.About, _ style: Style) -> String {
    if about.methods.isEmpty { return "" }
    var text = style.dim("methods") + "\n"
    for method in about.methods {
      text += "  " + style.name(method.name.oneLine(64)) + "  " + method.summary.oneLine(200) + "\n"
      if let takes = method.takes { text += style.dim("    takes ") + SchemaText.short(takes).oneLine(300) + "\n" }
      if let gives = method.gives { text += style.dim("    gives ") + SchemaText.short(gives).oneLine(300) + "\n" }
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
