import FoundationEssentials

/// What a model server says of its own failure, in any of the shapes that are in use:
/// `{"error":"text"}`, `{"error":{"message","type","code",…}}`, `{"message":"text"}`, `{"detail":"text"}`.
struct ServerError: Equatable {
  var message: String
  /// "model_not_found", "exceed_context_size_error" …: the `code` and the `type`, as far as they are words.
  var kinds: [String] = []
  /// How many tokens the prompt has, where the server refuses it for its length and says so.
  var promptTokens: Int?
  /// The window that the server has, likewise.
  var windowTokens: Int?

  private struct Word: Decodable {
    var text: String?
    init(from decoder: any Decoder) throws { text = try? decoder.singleValueContainer().decode(String.self) }
  }
  private struct Detail: Decodable {
    var message: String?
    var type: Word?
    var code: Word?
    var n_prompt_tokens: Int?
    var n_ctx: Int?
  }
  private struct Body: Decodable {
    var error: Either?
    var message: Word?
    var detail: Word?
  }
  private enum Either: Decodable {
    case text(String), detail(Detail)
    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let text = try? value.decode(String.self) { self = .text(text) } else { self = .detail(try value.decode(Detail.self)) }
    }
  }

  init(message: String, kinds: [String] = []) {
    self.message = message
    self.kinds = kinds
  }

  /// Nil if the bytes are no JSON object that tells of an error.
  init?(body: some Collection<UInt8>) {
    guard let read = try? JSONDecoder().decode(Body.self, from: Data(body)) else { return nil }
    switch read.error {
    case .text(let text): self.init(message: text)
    case .detail(let detail):
      self.init(
        message: detail.message ?? detail.type?.text ?? "no reason given", kinds: [detail.code?.text, detail.type?.text].compactMap { $0 })
      promptTokens = detail.n_prompt_tokens
      windowTokens = detail.n_ctx
    case nil:
      // Ollama's own lines have an object under "message": that is no word, and so no error.
      guard let text = read.message?.text ?? read.detail?.text else { return nil }
      self.init(message: text)
    }
  }

  /// The prompt is longer than the model's window.
  var saysTooLong: Bool {
    kinds.contains { $0 == "exceed_context_size_error" || $0 == "context_length_exceeded" } || message.contains("maximum context length")
  }

  /// The server has no model of that name.
  var saysNoModel: Bool {
    kinds.contains("model_not_found")
      || (message.contains("model") && (message.contains("not found") || message.contains("does not exist")))
  }
}
