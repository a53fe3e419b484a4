extension KernelHandle {
  /// Plain conversation: what was said goes to the model, in the gram's thread and under the persona's
  /// prompt; the answer is streamed, and returned as `{"persona", "content", "model"}`.
  ///
  /// Published grams are read by nobody and answered by nobody: nil. A gram without text is refused with
  /// a message that says what would have been understood. `text` and `system` replace what the gram and
  /// personas.toml say.
  public nonisolated(nonsending) func converse(_ gram: BatGram, text: String? = nil, system: String? = nil) async throws -> JSON? {
    if gram.isPublished { return nil }
    if gram.method == "forget" {
      try llm.forget(thread: gram.thread)
      return ["persona": .string(name), "content": "Forgotten.", "thread": .string(gram.thread)]
    }
    guard let text = text ?? gram.text, !text.isEmpty else {
      throw KernelError.invalid("\(name) was sent \(gram.method) without a text: put one into the payload, as in {\"content\":\"…\"}")
    }
    let answer = try await llm.think(text, for: gram, system: system)
    return reply(answer)
  }

  /// An answer of the model as a reply.
  public func reply(_ answer: LanguageModel.Answer) -> JSON {
    var reply: [String: JSON] = ["persona": .string(name), "content": .string(answer.text)]
    reply["model"] = answer.model.map { .string($0) }
    if answer.finish == "length" { reply["cut_short"] = true }
    if let forgotten = answer.forgotten_turns, forgotten > 0 { reply["forgotten_turns"] = .int(forgotten) }
    return .object(reply)
  }
}
