extension RecordedAnswer {
  /// What stands between the pieces, and how they are divided.
  static let framings: [RecordedAnswer] = [
    .init("empty data to keep the connection", "a proxy", say("Hel") + "data:\n\ndata: \n\n" + say("lo") + stop + done, "Hello"),
    .init(
      "an event of its own to keep the connection", "Anthropic through a proxy",
      "event: ping\ndata: {\"type\":\"ping\"}\n\n" + hello + stop, "Hello"),
    .init("an empty object", "a gateway", say("Hel") + event("{}") + say("lo") + stop, "Hello"),
    .init("null", "a gateway", say("Hel") + event("null") + say("lo") + stop, "Hello"),
    .init("a comment", "OpenRouter", ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + hello + stop + done, "Hello"),
    .init("a comment made an event", "a gateway before OpenRouter", event(": OPENROUTER PROCESSING") + hello + stop + done, "Hello"),
    .init("a comment without its blank", "an API gateway", ":keepalive\n" + hello + ":\n\n" + stop, "Hello"),
    .init("the word ping", "a gateway", event("ping") + hello + event("[PING]") + stop, "Hello"),
    .init("numbers", "a gateway", event("1") + hello + stop, "Hello"),
    .init("events divided by one line feed", "a gateway", (hello + stop + done).replacing("\n\n", with: "\n"), "Hello"),
    .init("events divided by one line feed, and no last word", "a gateway", (hello + stop).replacing("\n\n", with: "\n"), "Hello"),
    .init("events divided by three", "a gateway", (hello + stop + done).replacing("\n\n", with: "\n\n\n"), "Hello"),
    .init("CR LF", "IIS", (hello + stop + done).replacing("\n", with: "\r\n"), "Hello"),
    .init("CR", "an old server", (hello + stop + done).replacing("\n", with: "\r"), "Hello"),
    .init("no blank behind the field", "GLM", (hello + stop + done).replacing("data: ", with: "data:"), "Hello"),
    .init("two blanks behind the field", "a gateway", (hello + stop + done).replacing("data: ", with: "data:  "), "Hello"),
    .init("indented lines", "a gateway", (hello + stop + done).replacing("data: ", with: "  data: "), "Hello"),
    .init("blanks at the ends of lines", "a gateway", (hello + stop + done).replacing("\n\n", with: " \t\n\n"), "Hello"),
    .init("a byte order mark", "a .NET server", "\u{FEFF}" + hello + stop + done, "Hello"),
    .init(
      "identifiers, names and times to retry", "a gateway", "retry: 3000\n\nid: 1\nevent: message\n" + hello + "id: 2\n" + stop + done,
      "Hello"),
    .init("the field twice", "a proxy of a proxy", "data: " + say("Hello") + "data: " + stop + "data: " + done, "Hello"),
    .init(
      "an event on several lines", "a gateway",
      "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"Hello\"},\ndata: \"finish_reason\":\"stop\"}]}\n\n", "Hello"),
    .init(
      "an event on several lines without the field", "a gateway that indents",
      "data: {\n  \"choices\": [\n    {\"delta\": {\"content\": \"Hello\"},\n     \"finish_reason\": \"stop\"}\n  ]\n}\n\n", "Hello"),
    .init(
      "lines of JSON without the field", "a gateway", (hello + stop).replacing("data: ", with: "").replacing("\n\n", with: "\n"), "Hello"),
    .init("lines of JSON and events mixed", "a proxy", hello.replacing("data: ", with: "") + stop + done, "Hello"),
    .init(
      "two values in one event", "a proxy",
      "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}{\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
      "Hello"),
    .init(
      "a list of values", "Gemini through a proxy",
      event(#"[{"choices":[{"delta":{"content":"Hel"}}]},{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}]"#), "Hello"),
    .init(
      "an event that was cut before its text, and a whole one on its line", "GLM 5",
      "data: {\"id\":\"1\",\"object\":\"chat.completion.c" + hello + stop + done, "Hello"),
    .init(
      "an event that was cut within its text", "a proxy",
      say("Hel") + "data: {\"choices\":[{\"delta\":{\"content\":\"l\n\n" + say("o") + stop + done, "Hel", end: .garbled),
    .init(
      "an error behind an event that was cut", "a proxy",
      say("Hel") + "data: {\"choices\":[{\"delta\":{\"con\ndata: {\"error\":{\"message\":\"stream_read_error\"}}\n\n", "Hel",
      end: .failed("stream_read_error")),
    .init(
      "a trailing comma", "a hand-written server", event(#"{"choices":[{"delta":{"content":"Hello",},"finish_reason":"stop",},],}"#),
      "Hello"),
    .init(
      "a key twice", "a proxy",
      event(#"{"choices":[{"delta":{"content":"no","content":"Hello"},"finish_reason":null,"finish_reason":"stop"}]}"#), "Hello"),
    .init(
      "the filters of the prompt", "Azure",
      event(
        #"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}"#
      ) + hello + stop + done, "Hello"),
    .init(
      "pieces of filters without a delta", "Azure",
      hello + stop
        + event(#"{"choices":[{"content_filter_offsets":{"check_offset":1},"content_filter_results":{},"finish_reason":null,"index":0}]}"#)
        + done, "Hello"),
    .init(
      "another answer beside it", "a server of several",
      event(#"{"choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"content":"Hello"}}]}"#)
        + event(#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#) + stop, "Hello"),
    .init(
      "an index that is no number", "a gateway", event(#"{"choices":[{"index":null,"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#),
      "Hello"),
    .init("a choice that is no list", "a gateway", event(#"{"choices":{"delta":{"content":"Hello"},"finish_reason":"stop"}}"#), "Hello"),
    .init(
      "members of odd types", "a gateway",
      event(
        #"{"id":7,"created":"now","model":3,"system_fingerprint":{},"choices":[{"index":"0","delta":{"role":7,"content":"Hello"},"logprobs":"x","finish_reason":"stop"}]}"#
      ), "Hello"),
    .init("HTML", "a proxy's page", "<!DOCTYPE html>\n<html><body>Welcome to nginx!</body></html>\n", end: .garbled),
    .init("another service's JSON", "a weather station", #"{"weather":"fine"}"# + "\n", end: .garbled),
    .init("a word", "a health check", "OK alive", end: .garbled),
    .init("nonsense in an event", "a gateway", hello + event("nonsense"), "Hello", end: .garbled),
    .init("only comments", "OpenRouter, and cut off", ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n", end: .cutOff),
    .init(
      "an answer that was not streamed", "a server without streams",
      #"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#,
      "Hello", tokens: [9, 2]),
    .init(
      "an answer that was not streamed, indented", "a server without streams",
      "{\n  \"choices\": [\n    {\n      \"message\": {\n        \"content\": \"Hello\"\n      },\n\n      \"finish_reason\": \"stop\"\n    }\n  ]\n}\n",
      "Hello"),
    .init(
      "an answer that was not streamed, without a finish", "a server without streams", #"{"choices":[{"message":{"content":"Hello"}}]}"#,
      "Hello"),
    .init("an answer that was not streamed, cut", "a broken connection", #"{"choices":[{"message":{"content":"Hello"#, end: .cutOff),
    .init(
      "an answer that was not streamed, as an event", "a gateway that caches",
      event(#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#) + done, "Hello"),
    .init(
      "message for delta", "a gateway",
      event(#"{"choices":[{"message":{"content":"Hel"}}]}"#) + event(#"{"choices":[{"message":{"content":"lo"},"finish_reason":"stop"}]}"#),
      "Hello"),
    .init("message for delta, and cut off", "a gateway", event(#"{"choices":[{"message":{"content":"Hel"}}]}"#), "Hel", end: .cutOff),
    .init(
      "message beside delta", "Perplexity",
      event(#"{"choices":[{"delta":{"content":"Hel"},"message":{"content":"Hel"},"finish_reason":null}]}"#)
        + event(#"{"choices":[{"delta":{"content":"lo"},"message":{"content":"Hello"},"finish_reason":"stop"}]}"#), "Hello"),
    .init(
      "text for delta", "completions",
      event(#"{"choices":[{"text":"Hel","index":0}]}"#) + event(#"{"choices":[{"text":"lo","index":0,"finish_reason":"stop"}]}"#) + done,
      "Hello"),
    .init("text, not streamed", "completions", #"{"choices":[{"text":"Hello","finish_reason":"length"}]}"#, "Hello", finish: "length"),
    .init("a delta that is text", "a hand-written server", event(#"{"choices":[{"delta":"Hello"}]}"#) + done, "Hello", finish: nil),
    .init(
      "content and stop at the top", "llama.cpp's own",
      event(#"{"content":"Hel","stop":false}"#) + event(#"{"content":"lo","stop":true,"stopped_limit":false}"#), "Hello"),
    .init(
      "content and stop at the top, at the limit", "llama.cpp's own", event(#"{"content":"Hello","stop":true,"stopped_limit":true}"#),
      "Hello", finish: "length"),
  ]
}
