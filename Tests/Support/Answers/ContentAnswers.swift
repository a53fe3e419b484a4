extension RecordedAnswer {
  /// Text and thoughts in their many places.
  static let contents: [RecordedAnswer] = [
    .init("null before the text", "llama.cpp", delta(#""role":"assistant","content":null"#) + hello + stop, "Hello"),
    .init("text in a list", "Mistral", delta(#""content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]"#) + stop, "Hello"),
    .init(
      "a thought in a list", "Magistral",
      delta(#""content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]"#)
        + delta(#""content":[{"type":"thinking","thinking":[{"type":"text","text":", so"}],"closed":true}]"#) + hello + stop, "Hello",
      thought: "hm, so"),
    .init(
      "references in a list", "Mistral",
      delta(#""content":[{"type":"text","text":"Hello"},{"type":"reference","reference_ids":[0]}]"#) + stop, "Hello"),
    .init("strings in a list", "a gateway", delta(#""content":["Hel","lo"]"#) + stop, "Hello"),
    .init("text in an object", "a gateway", delta(#""content":{"type":"text","text":"Hello"}"#) + stop, "Hello"),
    .init(
      "text under value", "an assistants' gateway", delta(#""content":[{"type":"text","text":{"value":"Hello","annotations":[]}}]"#) + stop,
      "Hello"),
    .init("a number without quotes", "a hand-written server", delta(#""content":42"#) + stop, "42"),
    .init(
      "reasoning_content", "DeepSeek",
      delta(#""content":null,"reasoning_content":"hm""#) + delta(#""content":"Hello","reasoning_content":null"#) + stop + done, "Hello",
      thought: "hm"),
    .init(
      "reasoning", "OpenRouter",
      delta(#""content":"","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"unknown"}]"#) + hello
        + stop, "Hello", thought: "hm"),
    .init(
      "reasoning as an object", "a gateway", delta(#""reasoning":{"content":"hm","summary":null}"#) + hello + stop, "Hello", thought: "hm"),
    .init(
      "only details of the reasoning", "OpenRouter",
      delta(#""reasoning_details":[{"type":"reasoning.summary","summary":"hm"},{"type":"reasoning.encrypted","data":"AAA="}]"#) + hello
        + stop, "Hello", thought: "hm"),
    .init("reasoning that is false", "a gateway", delta(#""reasoning":false,"content":"Hello""#) + stop, "Hello"),
    .init("reasoning_text", "Copilot", delta(#""reasoning_text":"hm","reasoning_opaque":"x""#) + hello + stop, "Hello", thought: "hm"),
    .init(
      "thinking blocks", "LiteLLM",
      delta(#""reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":null}]"#) + hello + stop, "Hello",
      thought: "hm"),
    .init(
      "a piece marked as thought", "Gemini", delta(#""content":"hm","extra_content":{"google":{"thought":true}}"#) + hello + stop, "Hello",
      thought: "hm"),
    .init(
      "think tags", "DeepSeek on a plain server", say("<think>") + say("hm") + say("</think>") + say("\\n\\nHello") + stop, "Hello",
      thought: "hm"),
    .init(
      "think tags cut in pieces", "llama.cpp", say("<th") + say("ink>h") + say("m</thi") + say("nk>\\n") + say("\\nHel") + say("lo") + stop,
      "Hello", thought: "hm"),
    .init("think tags in one piece", "a gateway", say("<think>hm</think>Hello") + stop, "Hello", thought: "hm"),
    .init("an empty thought", "Qwen", say("<think>\\n\\n</think>\\n\\nHello") + stop, "Hello", thought: "\n\n"),
    .init("blanks before the tag", "vLLM", say("\\n<think>hm</think>Hello") + stop, "Hello", thought: "hm"),
    .init("two thoughts", "a gateway", say("<think>a</think>\\n<think>b</think>Hello") + stop, "Hello", thought: "ab"),
    .init(
      "a thought without an end", "a model that forgot", say("<think>hm, and so on") + finish("length"), "", thought: "hm, and so on",
      finish: "length"),
    .init(
      "a tag in the middle of the text", "a model that was asked", say("Write <think>a</think> so.") + stop, "Write <think>a</think> so."),
    .init("a smaller-than sign first", "a model", say("<") + say("b>Hello</b>") + stop, "<b>Hello</b>"),
    .init("the beginning of a tag, and no more", "a model", say("<thin") + stop, "<thin"),
    .init("thinking tags by another name", "a gateway", say("<thinking>hm</thinking>Hello") + stop, "Hello", thought: "hm"),
    .init("thought tags", "Gemini", say("<thought>hm</thought>Hello") + stop, "Hello", thought: "hm"),
    .init("tags in brackets", "Magistral on a plain server", say("[THINK]hm[/TH") + say("INK]Hello") + stop, "Hello", thought: "hm"),
    .init("tags in other characters", "Kimi", say("◁think▷hm◁/think▷Hello") + stop, "Hello", thought: "hm"),
    .init(
      "channels", "gpt-oss on a plain server", say("<|channel|>analysis<|message|>hm") + say("<|channel|>final<|message|>Hello") + stop,
      "Hello", thought: "hm"),
    .init(
      "reasoning, then blanks before the text", "vLLM", delta(#""reasoning_content":"hm""#) + say("\\n\\n") + say("Hello") + stop, "Hello",
      thought: "hm"),
    .init("a refusal", "OpenAI", delta(#""refusal":"I cannot""#) + delta(#""refusal":" do that.""#) + stop + done, "I cannot do that."),
    .init(
      "annotations and audio", "OpenAI",
      delta(#""content":"Hello","annotations":[{"type":"url_citation"}],"audio":null,"refusal":null"#) + stop, "Hello"),
    .init("only thoughts", "DeepSeek", delta(#""reasoning_content":"hm""#) + stop, "", thought: "hm"),
    .init("a thought that breaks off", "a broken connection", delta(#""reasoning_content":"hm""#), "", thought: "hm", end: .cutOff),
    .init("an empty answer", "a filter", delta(#""content":"""#) + stop, ""),
  ]

  /// Characters that are cut, escaped or broken.
  static let characters: [RecordedAnswer] = [
    .init("halves of a pair in two pieces", "a gateway that counts UTF-16", say(#"Hi \ud83d"#) + say(#"\ude00!"#) + stop, "Hi 😀!"),
    .init("a first half alone", "a tokenizer", say(#"Hi \ud83d!"#) + stop, "Hi \u{FFFD}!"),
    .init("a second half alone", "a tokenizer", say(#"\ude00 Hi"#) + stop, "\u{FFFD} Hi"),
    .init("a first half at the end", "a limit of tokens", say(#"Hi \ud83d"#) + finish("length"), "Hi \u{FFFD}", finish: "length"),
    .init("two first halves", "a tokenizer", say(#"\ud83d"#) + say(#"\ud83d\ude00"#) + stop, "\u{FFFD}😀"),
    .init("a pair in one piece", "Python", say(#"\ud83d\ude00"#) + stop, "😀"),
    .init(
      "UTF-8 cut between two pieces", "llama.cpp",
      bytes: Array(#"data: {"choices":[{"delta":{"content":"Gr"#.utf8) + [0xc3]
        + Array("\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"".utf8) + [0xbc]
        + Array("n\"},\"finish_reason\":\"stop\"}]}\n\n".utf8), "Grün"),
    .init(
      "UTF-8 of four bytes in three pieces", "llama.cpp",
      bytes: [[0xf0, 0x9f], [0x98], [0x80]].reduce([]) {
        $0 + Array(#"data: {"choices":[{"delta":{"content":""#.utf8) + $1 + Array("\"}}]}\n\n".utf8)
      } + Array(stop.utf8), "😀"),
    .init(
      "bytes that are no UTF-8", "a Latin-1 server",
      bytes: Array(#"data: {"choices":[{"delta":{"content":"Gr"#.utf8) + [0xfc] + Array("n\"},\"finish_reason\":\"stop\"}]}\n\n".utf8),
      "Gr\u{FFFD}n"),
    .init(
      "a tab in a string", "a hand-written server", event("{\"choices\":[{\"delta\":{\"content\":\"a\tb\"},\"finish_reason\":\"stop\"}]}"),
      "a\tb"),
    .init(
      "a line feed in a string", "a hand-written server",
      event("{\"choices\":[{\"delta\":{\"content\":\"a\nb\"},\"finish_reason\":\"stop\"}]}"), "a\nb"),
    .init(
      "an escape that JSON does not have", "a hand-written server",
      event(#"{"choices":[{"delta":{"content":"it\'s"},"finish_reason":"stop"}]}"#), "it's"),
    .init("an escaped NUL", "a model", say(#"a\u0000b"#) + stop, "a\0b"),
    .init("an accent by itself", "a tokenizer", say("e") + say("\u{301}") + stop, "e\u{301}"),
    .init("line separators", "a model", say("a\u{2028}b\u{85}c") + stop, "a\u{2028}b\u{85}c"),
    .init("the replacement character", "a tokenizer", say("a\u{FFFD}b") + stop, "a\u{FFFD}b"),
    .init("Korean", "a model", say("한") + say("국어") + stop, "한국어"),
  ]
}
