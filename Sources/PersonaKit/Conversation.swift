extension KernelHandle {
  /// Plain conversation: what was said goes to the model, in the gram's thread and under the persona's
  /// prompt; the answer is streamed, and returned as `{"persona", "content", "model"}`.
  ///
  /// Two methods are understood besides: `forget` ends the thread's history, and `describe` tells who this
  /// is and which methods it knows. Published grams are read by nobody and answered by nobody: nil. A gram
  /// without text is refused with a message that says what would have been understood. `text` and `system`
  /// replace what the gram and personas.toml say; `tools` are what the model may call (see `think`), by default the list
  /// `tools` of the persona's part of personas.toml. The model reads the passages in `citing` before it answers, and the reply cites
  /// these and no others; nil leaves it to the kernel, which cites what a query of this gram has found.
  public nonisolated(nonsending) func converse(
    _ gram: BatGram, text: String? = nil, system: String? = nil, tools: [String]? = nil, citing passages: [Memory.Passage]? = nil
  ) async throws -> JSON? {
    if gram.isPublished { return nil }
    switch gram.method {
    case "describe": return describe()
    case "forget":
      try llm.forget(thread: gram.thread)
      return ["persona": .string(name), "content": "Forgotten.", "thread": .string(gram.thread)]
    default:
      guard let text = text ?? gram.text, !text.isEmpty else { throw nothingSaid(gram) }
      let tools = tools ?? (config["tools"]?.array ?? []).compactMap(\.string)
      guard let passages else { return reply(try await llm.think(text, for: gram, system: system, tools: tools)) }
      let system = Self.reading(passages, system ?? config["prompt"]?.string ?? "")
      guard case .object(var members) = reply(try await llm.think(text, for: gram, system: system, tools: tools)) else { return nil }
      members["citations"] = .array(passages.map(\.citation))
      return .object(members)
    }
  }

  /// In characters: a small model's window is soon full.
  private static let longestPassage = 800

  private static func reading(_ passages: [Memory.Passage], _ system: String) -> String {
    if passages.isEmpty { return system }
    let texts = passages.enumerated().map { index, passage in
      "[\(index + 1)] \(passage.source ?? passage.id)\(passage.place.map { ", \($0)" } ?? "")\n\(passage.text.prefix(longestPassage))"
    }
    return system + "\n\nFrom the library. Answer from it if it holds the answer, and name the passage as [1]:\n\n"
      + texts.joined(separator: "\n\n")
  }

  /// An answer of the model as a reply. It also says what whoever reads it must know: `"cut_short"`, when the model ran out of tokens;
  /// `"provider"` and `"fallback_from"`, when another provider has answered; `"tool_calls"`, what it has called; `"history_failed"`.
  public func reply(_ answer: LanguageModel.Answer) -> JSON {
    var reply: [String: JSON] = ["persona": .string(name), "content": .string(answer.text)]
    reply["model"] = answer.model.map { .string($0) }
    if let first = answer.fallback_from {
      reply["provider"] = answer.provider.map { .string($0) }
      reply["fallback_from"] = .string(first)
    }
    if answer.finish == "length" { reply["cut_short"] = true }
    if answer.history_failed == true { reply["history_failed"] = true }
    if let calls = answer.tool_calls, !calls.isEmpty { reply["tool_calls"] = .array(calls.map(\.summary)) }
    if let forgotten = answer.forgotten_turns, forgotten > 0 { reply["forgotten_turns"] = .int(forgotten) }
    return .object(reply)
  }

  private var declared: [DeclaredMethod] { host.declared.withLock { $0 } }

  private var known: [(key: String, value: String)] {
    about.methods.filter { method in !declared.contains { $0.name == method.key } } + declared.map { ($0.name, $0.summary) } + [
      ("talk", "converse; any other method with a text does it too"), ("forget", "forget this conversation"), ("describe", "this list"),
    ]
  }

  private func describe() -> JSON {
    let summary = config["summary"]?.string ?? about["summary"] ?? ""
    let lines = ["\(name): \(summary)"] + known.map { "- \($0.key): \($0.value)" }
    return [
      "persona": .string(name), "summary": .string(summary), "content": .string(lines.joined(separator: "\n")),
      "methods": .object(Dictionary(known.map { ($0.key, .string($0.value)) }) { first, _ in first }),
      "takes": .object(schemas("takes.")), "gives": .object(schemas("gives.")),
    ]
  }

  /// By method. One that is no JSON is left out; the kernel refuses such a library before it runs.
  private func schemas(_ prefix: String) -> [String: JSON] {
    var found: [String: JSON] = [:]
    for method in about.methods { found[method.key] = about[prefix + method.key].flatMap { try? JSON(parsing: $0.utf8) } }
    for method in declared { found[method.name] = prefix == "takes." ? method.takes : method.gives }
    return found
  }

  private func nothingSaid(_ gram: BatGram) -> KernelError {
    if known.contains(where: { $0.key == gram.method }) {
      return .invalid("\(gram.method) of \(name) needs a text in its payload, as in {\"content\":\"…\"}")
    }
    return .unknownMethod(
      "\(name) has no method \"\(gram.method)\"; it knows \(known.map(\.key).joined(separator: ", ")), and takes any other with a text in its payload, as in {\"content\":\"…\"}, for conversation"
    )
  }
}
