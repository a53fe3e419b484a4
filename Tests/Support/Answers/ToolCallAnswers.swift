extension RecordedAnswer {
  private static let look = #"look {"z":"moon"}"#
  private static let order = "order {}"

  /// Calls of tools, in pieces and whole.
  static let toolCalls: [RecordedAnswer] = [
    .init(
      "in pieces", "OpenAI",
      delta(#""role":"assistant","content":null"#)
        + calls(#"{"index":0,"id":"call_a","type":"function","function":{"name":"look","arguments":""}}"#)
        + calls(#"{"index":0,"function":{"arguments":"{\"z\":"}}"#) + calls(#"{"index":0,"function":{"arguments":"\"moon\"}"}}"#) + callsEnd
        + done, calls: [look], finish: "tool_calls"),
    .init(
      "two in pieces", "OpenAI",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":""}}"#)
        + calls(#"{"index":0,"function":{"arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":1,"id":"b","function":{"name":"order","arguments":""}}"#) + calls(#"{"index":1,"function":{"arguments":"{}"}}"#)
        + callsEnd, calls: [look, order], finish: "tool_calls"),
    .init(
      "two in pieces, mixed", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"index":1,"id":"b","function":{"name":"order","arguments":"{}"}}"#)
        + calls(#"{"index":0,"function":{"arguments":"\"moon\"}"}}"#) + callsEnd, calls: [look, order], finish: "tool_calls"),
    .init(
      "whole, with text before", "Mistral",
      say("I look.")
        + event(
          #"{"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"look","arguments":"{\"z\": \"moon\"}"},"index":0}]},"finish_reason":"tool_calls"}]}"#
        ) + done, "I look.", calls: [#"look {"z": "moon"}"#], finish: "tool_calls"),
    .init(
      "finish stop", "Gemini",
      calls(#"{"index":0,"id":"function-call-1","type":"function","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#) + stop
        + done, calls: [look]),
    .init(
      "two with index 0 in one piece", "Gemini",
      calls(
        #"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}},{"index":0,"id":"b","function":{"name":"order","arguments":"{}"}}"#
      ) + stop, calls: [look, order]),
    .init(
      "two with index 0 in two pieces", "SGLang",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":0,"id":"b","function":{"name":"look","arguments":"{\"z\":\"sun\"}"}}"#) + callsEnd,
      calls: [look, #"look {"z":"sun"}"#], finish: "tool_calls"),
    .init(
      "two with index 0 and no identifiers", "Ollama 0.3",
      calls(#"{"index":0,"function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":0,"function":{"name":"look","arguments":"{\"z\":\"sun\"}"}}"#) + stop, calls: [look, #"look {"z":"sun"}"#]),
    .init(
      "two with empty identifiers", "Gemini",
      calls(
        #"{"index":0,"id":"","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}},{"index":0,"id":"","function":{"name":"order","arguments":"{}"}}"#
      ) + stop, calls: [look, order]),
    .init(
      "the same identifier twice", "a gateway",
      calls(#"{"index":0,"id":"x","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":1,"id":"x","function":{"name":"order","arguments":"{}"}}"#) + callsEnd, calls: [look, order],
      finish: "tool_calls"),
    .init(
      "without an index", "Gemini",
      calls(
        #"{"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}},{"id":"b","function":{"name":"order","arguments":"{}"}}"#)
        + stop, calls: [look, order]),
    .init(
      "arguments in pieces without an index", "Gemini",
      calls(#"{"id":"a","type":"function","function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"function":{"arguments":"\"moon\"}"}}"#) + stop, calls: [look]),
    .init(
      "two names without index and arguments", "a gateway",
      calls(#"{"function":{"name":"look"}}"#) + calls(#"{"function":{"name":"order"}}"#) + stop, calls: ["look {}", order]),
    .init(
      "index from 1", "a gateway",
      calls(#"{"index":1,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":2,"id":"b","function":{"name":"order","arguments":"{}"}}"#) + callsEnd, calls: [look, order],
      finish: "tool_calls"),
    .init(
      "a wild index", "an attacker",
      calls(#"{"index":999999999,"function":{"name":"look","arguments":"{\"z\":\"moon\"}"}},{"index":-1}"#) + stop, calls: [look]),
    .init(
      "index as text", "a gateway",
      calls(#"{"index":"0","id":"a","function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"index":"0","function":{"arguments":"\"moon\"}"}}"#) + stop, calls: [look]),
    .init(
      "identifier as number", "a gateway", calls(#"{"index":0,"id":7,"function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#) + stop,
      calls: [look]),
    .init(
      "identifier null", "vLLM",
      calls(#"{"index":0,"id":null,"type":null,"function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#) + stop, calls: [look]),
    .init(
      "the identifier in each piece", "LM Studio",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"index":0,"id":"a","function":{"name":null,"arguments":"\"moon\"}"}}"#) + callsEnd, calls: [look], finish: "tool_calls"),
    .init(
      "another identifier in each piece", "vLLM 0.6",
      calls(#"{"index":0,"id":"chatcmpl-tool-1","function":{"name":"look"}}"#)
        + calls(#"{"index":0,"id":"chatcmpl-tool-2","function":{"arguments":"{\"z\":"}}"#)
        + calls(#"{"index":0,"id":"chatcmpl-tool-3","function":{"arguments":"\"moon\"}"}}"#) + callsEnd, calls: [look], finish: "tool_calls"
    ),
    .init(
      "identifier and name again with the rest of the arguments", "vLLM with GLM",
      calls(#"{"index":0,"id":"a","type":"function","function":{"name":"look","arguments":"{\"z\":\"mo"}}"#)
        + event(
          #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"look","arguments":"on\"}"}}]},"finish_reason":"tool_calls"}]}"#
        ), calls: [look], finish: "tool_calls"),
    .init(
      "name in each piece", "a gateway",
      calls(#"{"index":0,"function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"index":0,"function":{"name":"look","arguments":"\"moon\"}"}}"#) + stop, calls: [look]),
    .init(
      "name in pieces", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"lo","arguments":""}}"#)
        + calls(#"{"index":0,"function":{"name":"ok","arguments":"{\"z\":\"moon\"}"}}"#) + stop, calls: [look]),
    .init(
      "all of it again at the end", "Fireworks",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":"}}"#)
        + calls(#"{"index":0,"function":{"arguments":"\"moon\"}"}}"#)
        + event(
          #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}]},"finish_reason":"tool_calls"}]}"#
        ), calls: [look], finish: "tool_calls"),
    .init(
      "an empty piece at the end", "vLLM",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + event(
          #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":""}}]},"finish_reason":"tool_calls"}]}"#
        ) + done, calls: [look], finish: "tool_calls"),
    .init(
      "an empty piece of a call that is none", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":1,"function":{"arguments":""}}"#) + callsEnd, calls: [look], finish: "tool_calls"),
    .init(
      "an empty piece behind the finish", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#) + callsEnd
        + calls(#"{"index":0,"function":{"arguments":""}}"#), calls: [look], finish: "tool_calls"),
    .init(
      "an identifier without a name", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}"#)
        + calls(#"{"index":1,"id":"b","function":{}}"#) + callsEnd, calls: [look], finish: "tool_calls"),
    .init(
      "null for calls", "SGLang",
      event(#"{"choices":[{"delta":{"content":"Hello","tool_calls":null,"function_call":null},"finish_reason":"stop"}]}"#), "Hello"),
    .init(
      "no calls in a list", "a gateway", event(#"{"choices":[{"delta":{"content":"Hello","tool_calls":[]},"finish_reason":"stop"}]}"#),
      "Hello"),
    .init(
      "a list of null", "a gateway", event(#"{"choices":[{"delta":{"content":"Hello","tool_calls":[null]},"finish_reason":"stop"}]}"#),
      "Hello"),
    .init(
      "arguments as an object", "a gateway before Ollama",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":{"z":"moon"}}}"#) + stop, calls: [look]),
    .init(
      "arguments null", "a gateway", calls(#"{"index":0,"id":"a","function":{"name":"order","arguments":null}}"#) + stop, calls: [order]),
    .init(
      "arguments empty", "Anthropic through a proxy", calls(#"{"index":0,"id":"a","function":{"name":"order","arguments":""}}"#) + callsEnd,
      calls: [order], finish: "tool_calls"),
    .init(
      "arguments that are JSON in a string", "a gateway",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"\"{\\\"z\\\":\\\"moon\\\"}\""}}"#) + stop, calls: [look]),
    .init(
      "arguments with a raw line feed", "a model",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"a\nb\"}"}}"#) + stop, calls: [#"look {"z":"a\nb"}"#]),
    .init(
      "arguments cut", "a limit of tokens",
      calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":\"mo"}}"#) + finish("length"), calls: [#"look {"z":"mo"#],
      finish: "length"),
    .init(
      "parameters for arguments", "Llama", calls(#"{"index":0,"id":"a","function":{"name":"look","parameters":{"z":"moon"}}}"#) + stop,
      calls: [look]),
    .init(
      "without function", "a gateway", calls(#"{"index":0,"id":"a","name":"look","arguments":"{\"z\":\"moon\"}"}"#) + stop, calls: [look]),
    .init(
      "a call that is no list", "a gateway",
      event(
        #"{"choices":[{"delta":{"tool_calls":{"id":"a","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}},"finish_reason":"tool_calls"}]}"#
      ), calls: [look], finish: "tool_calls"),
    .init(
      "function_call", "OpenAI of 2023",
      delta(#""function_call":{"name":"look","arguments":""}"#) + delta(#""function_call":{"arguments":"{\"z\":\"moon\"}"}"#)
        + finish("function_call"), calls: [look], finish: "tool_calls"),
    .init(
      "whole, not streamed", "a server without streams",
      #"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"look","arguments":"{\"z\":\"moon\"}"}}]},"finish_reason":"tool_calls"}]}"#,
      calls: [look], finish: "tool_calls"),
    .init(
      "thoughts before", "DeepSeek",
      delta(#""reasoning_content":"hm""#) + calls(#"{"index":0,"id":"a","function":{"name":"order","arguments":"{}"}}"#) + callsEnd,
      thought: "hm", calls: [order], finish: "tool_calls"),
    .init(
      "a signature beside it", "Gemini 3",
      calls(#"{"index":0,"id":"a","function":{"name":"order","arguments":"{}"},"extra_content":{"google":{"thought_signature":"AAA="}}}"#)
        + delta(#""extra_content":{"google":{"thought_signature":"BBB="}}"#) + stop, calls: [order]),
    .init(
      "in pieces, and cut off", "a broken connection", calls(#"{"index":0,"id":"a","function":{"name":"look","arguments":"{\"z\":"}}"#),
      calls: [#"look {"z":"#], end: .cutOff),
  ]
}
