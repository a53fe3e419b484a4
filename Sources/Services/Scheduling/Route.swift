import Kernel
import Protocol

/// To which providers a question goes, in the order in which they are tried.
struct Route: Equatable, Sendable {
  struct Leg: Equatable, Sendable {
    var provider: String
    /// Nil: the provider's own.
    var model: String?

    init(provider: String, model: String? = nil) {
      self.provider = provider
      self.model = model
    }

    /// Reads "NAME" or "NAME/model"; models may have slashes in their names.
    init(_ text: String) {
      provider = String(text.prefix { $0 != "/" })
      let rest = text.dropFirst(provider.count + 1)
      model = rest.isEmpty ? nil : String(rest)
    }
  }

  var legs: [Leg]

  /// What the question says stands above the persona's part of personas.toml, and that above `[llm]`. The persona's model
  /// is one of the persona's provider, and means nothing at another.
  /// - Throws: `.invalid` for a provider that is not there.
  init(_ question: ChatQuestion, _ overrides: LanguageOverrides, _ configuration: LanguageConfiguration) throws(Failure) {
    let usual = configuration.canonical(overrides.provider ?? LanguageConfiguration.standardName)
    let provider = question.provider.map(configuration.canonical) ?? usual
    let first = Leg(provider: provider, model: question.model ?? (provider == usual ? overrides.model : nil))
    legs = [first]
    for fallback in (overrides.fallbacks ?? configuration.fallbacks).map(Leg.init) {
      let leg = Leg(provider: configuration.canonical(fallback.provider), model: fallback.model)
      if !legs.contains(leg) { legs.append(leg) }
    }
    for leg in legs where configuration.provider(leg.provider) == nil {
      throw Failure(
        .invalid,
        "llm chat of \(question.persona): there is no provider \"\(leg.provider)\" in personas.toml; there are "
          + configuration.providerNames.joined(separator: ", "))
    }
  }
}
