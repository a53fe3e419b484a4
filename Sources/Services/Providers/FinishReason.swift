/// Why an answer has ended, in the words of persona.h: "stop", "length", "tool_calls", "content_filter", or what else the server
/// calls it.
enum FinishReason: Equatable {
  case ended(String)
  /// It was given up.
  case failed(String)

  /// Nil: the word says that the answer goes on, as "" and "null" do where a server means nothing.
  init?(_ word: String) {
    let plain = word.lowercased().trimmingBlanks()
    switch plain {
    case "", "null", "none", "nil", "undefined", "unfinished", "not_finished", "in_progress", "continue", "finish_reason_unspecified":
      return nil
    case "stop", "end_turn", "stop_sequence", "stop_str", "eos", "eos_token", "eos_found", "end", "complete", "completed", "finish",
      "finished", "done", "normal":
      self = .ended("stop")
    case "length", "max_tokens", "max_length", "model_length", "limit", "token_limit", "max_output_tokens", "context_length",
      "model_context_window_exceeded":
      self = .ended("length")
    case "tool_calls", "tool_call", "tool_use", "function_call", "function_calls": self = .ended("tool_calls")
    case "content_filter", "safety", "sensitive", "recitation", "blocklist", "prohibited_content": self = .ended("content_filter")
    case "error", "failed", "failure", "abort", "aborted", "cancel", "canceled", "cancelled", "timeout", "network_error",
      "insufficient_system_resource", "server_error":
      self = .failed(String(plain))
    default: self = .ended(String(plain.prefix(64)))
    }
  }
}
