import Protocol
import Wire

/// The methods of other personas that a question offers the model, by what their about texts say of them. Event loop only.
enum ToolCatalog {
  /// How many a question may offer: more of them than a model can choose from, and few enough for its window.
  static let limit = 64

  /// What the names in a request's "tools" stand for.
  ///
  /// - Throws: what is offered and cannot be called.
  static func tools(of request: ChatRequest, for asker: PersonaSlot) throws(Failure) -> [LanguageTool] {
    var tools: [LanguageTool] = []
    for pattern in request.tools {
      for tool in try Self.tools(pattern, for: asker) where !tools.contains(where: { $0.name == tool.name }) { tools.append(tool) }
    }
    if tools.count > limit {
      throw Failure(.invalid, "llm chat of \(asker.name): it offers \(tools.count) tools, and at most \(limit) can be offered; name fewer")
    }
    return tools
  }

  private static func tools(_ pattern: String, for asker: PersonaSlot) throws(Failure) -> [LanguageTool] {
    func invalid(_ why: String, _ code: Failure.Code = .invalid) -> Failure {
      Failure(code, "llm chat of \(asker.name): the tool \"\(pattern)\" \(why)")
    }
    guard let (name, method) = split(pattern) else { throw invalid("is no \"PERSONA.method\" or \"PERSONA.*\"") }
    if name == asker.name { throw invalid("is its own: a persona cannot call itself") }
    if name == "KERNEL" { throw invalid("is the kernel's, and models are not given that") }
    guard let slot = asker.supervisor.slot(name) else {
      let near = Suggestion.nearest(to: name, among: asker.supervisor.slots.map(\.name))
      throw invalid("belongs to nobody here\(near.map { "; did you mean \($0)?" } ?? "")", .unknownTarget)
    }
    guard let about = slot.current?.about else {
      throw invalid("belongs to \(name), which is not running", .unknownTarget)
    }
    if method == "*" {
      let tools = about.methods.compactMap { tool($0, of: name) }
      if tools.isEmpty { throw invalid("is nothing: the about text of \(name) has no method that takes an object", .unknownMethod) }
      return tools
    }
    guard let found = about.methods.first(where: { $0.name == method }) else {
      let methods = about.methods.map(\.name)
      throw invalid(
        methods.isEmpty
          ? "is not described: the about text of \(name) has no method.\(method)"
          : "is not described: the about text of \(name) has \(methods.joined(separator: ", "))", .unknownMethod)
    }
    guard let tool = tool(found, of: name) else { throw invalid("takes no JSON object, and a model can give it nothing else") }
    return [tool]
  }

  /// Nil: it takes something that is no object.
  private static func tool(_ method: About.Method, of persona: String) -> LanguageTool? {
    if let takes = method.takes, let type = (try? JSON(parsing: Array(takes.utf8)))?["type"] {
      guard type == "object" || type.array?.contains("object") == true else { return nil }
    }
    return LanguageTool(name: "\(persona).\(method.name)", summary: method.summary, takes: method.takes)
  }

  /// The conversation that a request reads and extends, as "PERSONA/thread"; nil: none.
  static func conversation(of request: ChatRequest, of persona: String) -> String? {
    request.conversation.map { "\(persona)/\($0)" }
  }

  /// A question would wait for the question that waits for it.
  static func circle(_ conversation: String) -> Failure {
    Failure(
      .invalid,
      "the conversation \(conversation) waits for this very answer, because its model has called a tool: ask with \"remember\": false, "
        + "or in another \"thread\"")
  }

  /// Personas have no dots in their names; methods may.
  static func split(_ name: String) -> (persona: String, method: String)? {
    guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
    let method = name[name.index(after: dot)...]
    return method.isEmpty ? nil : (String(name[..<dot]), String(method))
  }
}
