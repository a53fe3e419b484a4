import Client
import Protocol

/// `parlor models`: what personas can be answered by.
struct ModelsCommand: Command {
  let name = "models"
  let usage = "parlor models [PROVIDER] [--json]"
  let summary = "the language models that personas can be answered by"
  let help = """
    Asks each provider of personas.toml, or the one named, which models it has. The one with a star is asked if neither
    the question nor the persona names another. A provider that does not tell is shown with the reason (exit status 7).

      --json    as one line of JSON
    """
  let flags: Set = ["--json"]
  let operands = 0...1

  func run(_ arguments: Arguments) throws -> ExitCode {
    let payload = try arguments.connect().ask(Request(Models.List(provider: arguments.operands.first)))
    let providers = try payload.reply(to: Models.List.self).providers
    try Output.answer.reply(
      payload, json: arguments.has("--json"), providers.map { ModelsText.text($0, style: Style(for: .answer)) }.joined())
    return providers.contains { $0.error != nil } ? .llm : .ok
  }
}

/// One provider's models, for people.
enum ModelsText {
  static func text(_ provider: Models.Provider, style: Style) -> String {
    var text =
      style.bold(provider.name.oneLine(64)) + "  " + style.dim("\(provider.provider) at \(provider.url)".oneLine(300)) + "\n"
    if let error = provider.error { return text + "  " + style.bad(error.oneLine(400)) + "\n" }
    let models = provider.models ?? []
    // Ollama lists "llama3.2:latest" for what is called "llama3.2".
    let listed = provider.model.flatMap { usual in models.first { $0 == usual || $0 == usual + ":latest" } }
    for model in models {
      text += (model == listed || models.count == 1 && provider.model == nil ? "* " : "  ") + model.oneLine(200) + "\n"
    }
    if models.isEmpty { text += style.dim("  none") + "\n" }
    if let usual = provider.model, listed == nil {
      text += style.bad("  \(usual.oneLine(200)), which personas.toml names, is not among them") + "\n"
    }
    return text
  }
}
