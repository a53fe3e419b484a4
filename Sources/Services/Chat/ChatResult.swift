import Kernel

/// What `llm/1 chat` answers, as it stands in its JSON.
struct ChatResult: Encodable {
  var text: String
  /// Who answered: its name in personas.toml.
  var provider: String
  var model: String
  /// Who was to answer and could not; nil: the first who was asked has answered.
  var fallback_from: String?
  var finish: String
  var prompt_tokens: Int?
  var completion_tokens: Int?
  var forgotten_turns: Int
  /// The answer, where a form was asked for.
  var json: EncodableJSON?
  /// What the model called, in its order.
  var tool_calls: [EncodableJSON]?
  /// For how many of them a summary went along.
  var summarised_turns: Int?
  /// The conversation could not be read or kept; the log says why.
  var history_failed: Bool?
  /// Ollama dropped the front of the prompt without saying so.
  var cut_by_server: Bool?
}
