extension RecordedAnswer {
  /// How answers end, and what stands behind their ends.
  static let ends: [RecordedAnswer] = [
    .init(
      "role first, usage last", "OpenAI",
      delta(#""role":"assistant","content":"""#) + hello + stop
        + event(#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#) + done, "Hello", tokens: [9, 2]),
    .init(
      "an empty finish in each piece", "SGLang",
      event(#"{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":"","matched_stop":null}],"usage":null}"#)
        + event(#"{"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"","matched_stop":null}]}"#) + stop + done, "Hello"),
    .init(
      "an empty finish in each piece, and cut off", "Ollama 0.1", event(#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":""}]}"#),
      "Hel", end: .cutOff),
    .init(
      "the word null as finish", "a gateway", event(#"{"choices":[{"delta":{"content":"Hello"},"finish_reason":"null"}]}"#) + stop, "Hello"),
    .init(
      "the word null as finish, and cut off", "a gateway", event(#"{"choices":[{"delta":{"content":"Hello"},"finish_reason":"null"}]}"#),
      "Hello", end: .cutOff),
    .init(
      "Python's None as finish", "FastChat", event(#"{"choices":[{"delta":{"content":"Hello"},"finish_reason":"None"}]}"#) + done, "Hello",
      finish: nil),
    .init(
      "the last text beside the finish", "vLLM",
      say("Hel") + event(#"{"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"length","stop_reason":null}]}"#) + done,
      "Hello", finish: "length"),
    .init(
      "a finish in each piece", "Gemini through a proxy",
      event(#"{"choices":[{"delta":{"content":"Hel"},"finish_reason":"stop"}]}"#)
        + event(#"{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}"#) + done, "Hello"),
    .init("a finish before the last text", "LiteLLM", say("Hel") + stop + say("lo") + done, "Hello"),
    .init("a finish before the last text, and no last word", "a gateway", say("Hel") + stop + say("lo"), "Hello"),
    .init(
      "a finish on the thoughts", "Open WebUI",
      event(#"{"choices":[{"delta":{"reasoning_content":"hm"},"finish_reason":"stop"}]}"#) + hello + stop + done, "Hello", thought: "hm"),
    .init("no last word", "Mistral", hello + stop, "Hello"),
    .init("no finish", "text-generation-webui", hello + done, "Hello", finish: nil),
    .init("neither", "a proxy that died", hello, "Hello", end: .cutOff),
    .init("the last word without its empty line", "vLLM", hello + "data: [DONE]", "Hello", finish: nil),
    .init("a blank behind the last word", "LocalAI", hello + "data: [DONE] \n\n", "Hello", finish: nil),
    .init("the last word without a blank", "GLM", hello + "data:[DONE]\n\n", "Hello", finish: nil),
    .init("the last word alone on its line", "a proxy", hello + "[DONE]\n", "Hello", finish: nil),
    .init("the last word in quotes", "a gateway", hello + "data: \"[DONE]\"\n\n", "Hello", finish: nil),
    .init("the last word in small letters", "a gateway", hello + "data: [done]\n\n", "Hello", finish: nil),
    .init("the last word twice", "one-api", hello + stop + done + done, "Hello"),
    .init("the last word cut", "a broken connection", hello + "data: [DON", "Hello", end: .cutOff),
    .init("no choices behind the end", "a gateway", hello + stop + event(#"{"choices":null,"usage":null}"#), "Hello"),
    .init("an odd usage", "a gateway", hello + stop + event(#"{"choices":[],"usage":"none"}"#) + done, "Hello"),
    .init("usage as a list", "a gateway", hello + stop + event(#"{"choices":[],"usage":[1,2]}"#) + done, "Hello"),
    .init(
      "usage in strings", "a gateway",
      hello + stop + event(#"{"choices":[],"usage":{"prompt_tokens":"9","completion_tokens":2.0}}"#) + done, "Hello", tokens: [9, 2]),
    .init(
      "impossible counts", "an attacker",
      hello + stop + event(#"{"choices":[],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":-9223372036854775808}}"#)
        + done, "Hello", tokens: [1 << 32, 0]),
    .init(
      "counts that no number holds", "an attacker",
      hello + stop + event(#"{"choices":[],"usage":{"prompt_tokens":1e400,"completion_tokens":NaN}}"#) + done, "Hello",
      tokens: [1 << 32, nil]),
    .init(
      "infinite timings", "llama.cpp",
      hello
        + event(
          #"{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"prompt_per_second":Infinity,"predicted_per_second":-nan}}"#
        ) + done, "Hello"),
    .init("rubbish behind the end", "a proxy", hello + stop + "<html>\n\ndata: {{{{\n\ndata: nonsense\n\n", "Hello"),
    .init(
      "an error behind the end", "vLLM", hello + stop + event(#"{"error":{"message":"client is gone","type":"server_error"}}"#), "Hello"),
    .init("an error behind the last word", "a gateway", hello + done + event(#"{"error":"too late"}"#), "Hello", finish: nil),
    .init("text behind the last word", "one-api", hello + done + say("never"), "Hello", finish: nil),
    .init(
      "usage in each piece", "vLLM",
      event(#"{"choices":[{"delta":{"content":"Hel"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#)
        + event(#"{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#)
        + done, "Hello", tokens: [9, 2]),
    .init(
      "usage within the choice", "Moonshot",
      hello + event(#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":2}}]}"#)
        + done, "Hello", tokens: [9, 2]),
    .init(
      "usage of its own", "Groq",
      hello
        + event(
          #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":2,"queue_time":0.1}}}"#
        ) + done, "Hello", tokens: [9, 2]),
    .init(
      "counts by other names", "a gateway",
      hello + event(#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"input_tokens":9,"output_tokens":2}}"#), "Hello",
      tokens: [9, 2]),
    .init("finish in capitals", "Vertex", say("Hello") + finish("MAX_TOKENS"), "Hello", finish: "length"),
    .init("finish in other words", "Anthropic through a proxy", say("Hello") + finish("end_turn"), "Hello"),
    .init("finish by the model's own limit", "Mistral", say("Hello") + finish("model_length"), "Hello", finish: "length"),
    .init("finish by a filter", "Azure", say("Hello") + finish("content_filter"), "Hello", finish: "content_filter"),
    .init("finishReason", "Gemini", hello + event(#"{"choices":[{"index":0,"delta":{},"finishReason":"stop"}]}"#), "Hello"),
    .init(
      "finish within the delta", "a gateway", say("Hello") + event(#"{"choices":[{"delta":{"content":"","finish_reason":"stop"}}]}"#),
      "Hello"),
    .init("a finish that says that it was given up", "SGLang", hello + finish("abort"), "Hello", end: .failed("abort")),
    .init(
      "a finish for want of machines", "DeepSeek", hello + finish("insufficient_system_resource"), "Hello",
      end: .failed("insufficient_system_resource")),
    .init("a finish for a broken network", "GLM", hello + finish("network_error"), "Hello", end: .failed("network_error")),
    .init("nothing but the last word", "LM Studio", done, "", finish: nil),
    .init("nothing at all", "a proxy", "", "", end: .cutOff),
  ]
}
