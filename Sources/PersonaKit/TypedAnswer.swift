import FoundationEssentials

extension LanguageModel {
  /// Asks for an answer in a type of yours, which has the form of a JSON schema.
  ///
  /// The kernel checks the answer, and has the model mend it once. Nothing of it is streamed to the asker.
  /// - Parameters:
  ///   - schema: says what the type reads; models that see an example in the text do better.
  ///   - gram: its thread is the conversation; nil: it belongs to none, and nothing of it is remembered.
  /// - Throws: PERSONA_E_LLM_INVALID where the model does not manage the form, PERSONA_E_INVALID for a schema that cannot be
  ///   checked, and for an answer that fits the schema and not the type.
  public nonisolated(nonsending) func think<Reply: Decodable>(
    _ text: String, as type: Reply.Type = Reply.self, schema: JSON, for gram: BatGram? = nil, system: String? = nil, maxTokens: Int? = nil,
    provider: String? = nil, model: String? = nil
  ) async throws -> Reply {
    let answer = try await think(
      text, thread: gram?.thread ?? "main", system: system, remember: gram != nil, format: schema, maxTokens: maxTokens,
      provider: provider, model: model)
    do {
      return try (answer.json ?? JSON(parsing: answer.text.utf8)).decode(type)
    } catch {
      throw KernelError.invalid("the model's answer fits the schema and is no \(type): \(KernelError.words(for: error))")
    }
  }
}
