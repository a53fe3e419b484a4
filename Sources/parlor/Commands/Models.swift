import Wire

extension Command {
  static let models = Command(
    name: "models", usage: "parlor models [PROVIDER] [--json]", summary: "the language models that personas can be answered by",
    help: """
      Asks each provider of personas.toml, or the one named, which models it has. The one with a star is asked if neither
      the question nor the persona names another. A provider that does not tell is shown with the reason (exit status 7).

        --json    as one line of JSON
      """,
    flags: ["--json"], operands: 0...1,
    run: { arguments throws(CLIError) in
      let payload: JSON = arguments.operands.first.map { ["provider": .string($0)] } ?? .null
      let reply = try arguments.connect().ask(Request(method: "models.list", payload: payload))
      let providers = reply["providers"]?.array ?? []
      try Output.answer.write(
        arguments.has("--json") ? reply.text + "\n" : providers.map { ModelsText.text($0, style: Style(for: .answer)) }.joined())
      return providers.contains { $0["error"] != nil } ? .llm : .ok
    })
}

/// One provider's models, for people.
enum ModelsText {
  static func text(_ provider: JSON, style: Style) -> String {
    let usual = provider["model"]?.string
    let name = (provider["name"]?.plain ?? "?").oneLine(64)
    var text =
      style.bold(name) + "  " + style.dim("\(provider["provider"]?.plain ?? "?") at \(provider["url"]?.plain ?? "?")".oneLine(300)) + "\n"
    if let error = provider["error"]?.string { return text + "  " + style.bad(error.oneLine(400)) + "\n" }
    let models = (provider["models"]?.array ?? []).map(\.plain)
    // Ollama lists "llama3.2:latest" for what is called "llama3.2".
    let listed = usual.flatMap { usual in models.first { $0 == usual || $0 == usual + ":latest" } }
    for model in models { text += (model == listed || models.count == 1 && usual == nil ? "* " : "  ") + model.oneLine(200) + "\n" }
    if models.isEmpty { text += style.dim("  none") + "\n" }
    if let usual, listed == nil { text += style.bad("  \(usual.oneLine(200)), which personas.toml names, is not among them") + "\n" }
    return text
  }
}
