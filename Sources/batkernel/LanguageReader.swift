import Kernel

/// `[llm]` and what lies below it, and the names of providers in the personas' tables.
struct LanguageReader {
  /// A path as it is written in the file, for one from where the kernel runs.
  let path: (String) -> String

  func read(_ table: TableReader, _ language: inout LanguageConfiguration) {
    provider(table, &language.standard)
    language.fallbacks = table.strings("fallbacks", mayBeEmpty: true) ?? []
    table.read("tokens_per_day", 1...1_000_000_000_000, into: &language.tokensPerDay)
    table.read("summarise", into: &language.summarises)
    let local = table.table("local")
    if let command = local.strings("command") { language.local.command = command }
    if let log = local.string("log") { language.local.logPath = path(log) }
    local.refuseOthers()
    let providers = table.table("providers")
    for entry in providers.entries { named(entry.key, providers, &language) }
    table.refuseOthers()
    for name in language.fallbacks { refuseUnknown(name, "fallbacks", table, language) }
  }

  /// The names that personas give must be there.
  func check(_ personas: TableReader, _ configuration: Configuration) {
    for persona in configuration.personas {
      let table = personas.table(persona.name)
      if let name = persona.language.provider, configuration.language.provider(name) == nil {
        table.note("llm", unknown(name, configuration.language))
      }
      for name in persona.language.fallbacks ?? [] { refuseUnknown(name, "fallbacks", table, configuration.language) }
    }
  }

  private func named(_ name: String, _ tables: TableReader, _ language: inout LanguageConfiguration) {
    var configuration = ProviderConfiguration()
    let table = tables.table(name)
    if name != LanguageConfiguration.localName { configuration.kind = .openai }
    provider(table, &configuration)
    table.refuseOthers()
    language.providers[name] = configuration
    if !About.isName(name) {
      tables.note(name, "no name for a provider: a letter, then letters, digits, '-' or '_', at most 64")
    } else if name == LanguageConfiguration.standardName {
      tables.note(name, "that is the name of what [llm] itself says; choose another")
    } else if name == LanguageConfiguration.localName, configuration.kind != .local {
      tables.note(name, "that is the name of the kernel's own model; choose another")
    } else if name != LanguageConfiguration.localName, configuration.kind == .local {
      tables.note(name, "the kernel has one local model, and its name is \"local\": write [llm.providers.local], or nothing at all")
    } else if name == LanguageConfiguration.localName, language.standard.kind == .local {
      tables.note(name, "[llm] is the local model already: say it there, or set provider in [llm]")
    } else if table.value("provider") == nil, configuration.kind != .local {
      tables.note(name, "needs to say its provider: ollama or openai")
    }
  }

  private func provider(_ table: TableReader, _ provider: inout ProviderConfiguration) {
    if let kind = table.choice("provider", ProviderConfiguration.Kind.allCases.map { ($0.rawValue, $0) }) { provider.kind = kind }
    table.read("url", into: &provider.url)
    table.read("model", into: &provider.model)
    table.read("api_key_env", into: &provider.apiKeyVariable)
    if let file = table.string("api_key_file") { provider.apiKeyFile = path(file) }
    table.read("context_tokens", 256...10_000_000, into: &provider.contextTokens)
    table.read("temperature", 0...2, into: &provider.temperature)
    table.read("max_tokens", 1...10_000_000, into: &provider.maxTokens)
    table.read("silence_ms", 100...86_400_000, into: &provider.silenceMilliseconds)
    table.read("parallel", 1...1000, into: &provider.parallel)
    table.read("retries", 0...10, into: &provider.retries)

    let kindIsRight = table.value("provider").map { $0.content == .string(provider.kind.rawValue) } ?? true
    if let url = provider.url, table.checkURL(url), provider.kind == .local, kindIsRight {
      table.note("url", "has no effect with provider \"local\"; set provider to ollama or openai, or leave the line out")
    }
    if provider.kind == .openai, table.value("provider") != nil, table.value("url") == nil {
      table.note("provider", "\"openai\" needs to know the server: set url, e.g. http://127.0.0.1:8080/v1")
    }
    if let variable = provider.apiKeyVariable { table.checkVariable(variable) }
    if provider.apiKeyVariable != nil, provider.apiKeyFile != nil {
      table.note("api_key_file", "and api_key_env both name a key; leave one of the lines out")
    }
  }

  /// `fallback` is "NAME" or "NAME/model".
  private func refuseUnknown(_ fallback: String, _ key: String, _ table: TableReader, _ language: LanguageConfiguration) {
    let name = String(fallback.prefix { $0 != "/" })
    if language.provider(name) == nil { table.note(key, unknown(name, language)) }
    if fallback.hasSuffix("/") { table.note(key, "\"\(fallback)\" names no model behind the slash") }
  }

  private func unknown(_ name: String, _ language: LanguageConfiguration) -> String {
    let names = language.providerNames
    return "there is no provider \"\(name)\": write [llm.providers.\(name)], or name one of \(names.joined(separator: ", "))"
      + TableReader.question(name, names)
  }
}
