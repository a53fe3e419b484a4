// A piece of an answer, in the shapes in which servers send it:
//
//   {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}          the OpenAI-compatible protocol, streamed
//   {"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}              the same, whole
//   {"choices":[{"text":"Hel"}]}                                                      completions
//   {"message":{"role":"assistant","content":"Hel"},"done":false}                     Ollama
//   {"message":{…},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":2}
//   {"response":"Hel","done":false} · {"content":"Hel","stop":false}                  Ollama's and llama.cpp's plain generation
//
// Everything beside the text may be missing, null or of another type. Text is a string, a list of parts or a part; thoughts stand
// in parts of their own, or in any of several members.

/// What one value in the body of an answer says. A value.
struct AnswerChunk {
  var model: String?
  var parts: [AnswerPart] = []
  var calls: [ToolCallPiece] = []
  var finish: FinishReason?
  var promptTokens: Int?
  var completionTokens: Int?
  var error: ServerError?
  /// It says that nothing follows it.
  var isLast = false
  /// It has the form of a piece of an answer, be it empty.
  var isAnswer = false
  /// It has the form of an answer that was not streamed.
  var isWhole = false

  /// `isError`: it stands where a failure is told.
  init(_ value: LenientJSON, isError: Bool = false) {
    let choice = Self.choice(value["choices"])
    let said = Self.object(choice?["delta"]) ?? Self.object(choice?["message"]) ?? Self.object(value["message"])
    isWhole = choice != nil && choice?["delta"]?.isNull != false && (said != nil || choice?["text"]?.text != nil)
    let isGenerated =
      choice == nil && said == nil && (value["response"]?.isString == true || value["content"]?.isString == true && value["stop"] != nil)
    isLast = value["done"]?.isTrue == true || isGenerated && value["stop"]?.isTrue == true
    isAnswer = choice != nil || said != nil || isGenerated || value["done"] != nil

    if isError {
      error = ServerError(refusal: value) ?? ServerError(message: "it told of an error, and not of which")
    } else {
      error = ServerError(part: value, hasAnswer: isAnswer) ?? choice.flatMap { ServerError(part: $0, hasAnswer: true) }
    }
    model = value["model"]?.text.map { String($0.prefix(256)) }
    readCounts(value, choice)
    readFinish(value, choice, said)
    if let said { read(said) }
    if let delta = choice?["delta"], delta.object == nil { parts += Self.parts(of: delta) }
    if let text = choice?["text"], said == nil { parts += Self.parts(of: text) }
    if isGenerated {
      parts += Self.thought(value["thinking"]) + Self.parts(of: value["response"] ?? value["content"] ?? .null)
    }
  }

  /// The first of the answers that a server may give at a time.
  private static func choice(_ choices: LenientJSON?) -> LenientJSON? {
    if choices?.object != nil { return choices }
    return choices?.array?.first { $0.object != nil && ($0["index"]?.count ?? 0) == 0 }
  }

  private static func object(_ value: LenientJSON?) -> LenientJSON? { value?.object == nil ? nil : value }

  private mutating func readCounts(_ value: LenientJSON, _ choice: LenientJSON?) {
    let usage = [value["usage"], choice?["usage"], value["x_groq"]?["usage"]].lazy.compactMap(Self.object).first ?? value
    func count(_ keys: String...) -> Int? { keys.lazy.compactMap { usage[$0]?.count }.first }
    promptTokens = count("prompt_tokens", "input_tokens", "prompt_eval_count")
    completionTokens = count("completion_tokens", "output_tokens", "eval_count")
  }

  private mutating func readFinish(_ value: LenientJSON, _ choice: LenientJSON?, _ said: LenientJSON?) {
    let words = [
      choice?["finish_reason"], choice?["finishReason"], choice?["finish_details"]?["type"], said?["finish_reason"],
      isLast ? value["done_reason"] : nil,
    ]
    finish = words.lazy.compactMap { $0?.word ?? $0?["type"]?.word }.compactMap { FinishReason($0) }.first
    if finish == nil, isLast { finish = value["stopped_limit"]?.isTrue == true ? .ended("length") : .ended("stop") }
  }

  /// What stands in a delta or in a message.
  private mutating func read(_ said: LenientJSON) {
    let thoughts = ["reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts", "thinking_blocks", "reasoning_details"]
    parts += thoughts.lazy.map { Self.thought(said[$0]) }.first { !$0.isEmpty } ?? []
    let content = said["content"] ?? said["text"] ?? .null
    // Gemini marks a whole piece.
    let isThought = said["thought"]?.isTrue == true || said["extra_content"]?["google"]?["thought"]?.isTrue == true
    parts += isThought ? Self.thought(content) : Self.parts(of: content)
    parts += Self.parts(of: said["refusal"] ?? .null)
    if let calls = said["tool_calls"] ?? said["function_call"] {
      self.calls = (calls.array ?? [calls]).filter { $0.object != nil }.map(ToolCallPiece.init)
    }
  }

  // MARK: Text and thoughts

  /// A string, a part, or a list of them.
  private static func parts(of value: LenientJSON) -> [AnswerPart] {
    switch value {
    case .string(let bytes): return bytes.isEmpty ? [] : [.text(bytes)]
    case .number(let text): return [.text(Array(text.utf8))]
    case .array(let elements): return elements.flatMap(parts)
    case .object:
      if isThought(value) { return thought(value) }
      let text = ["text", "content", "refusal", "value", "parts", "output_text"].lazy.compactMap { value[$0] }.first
      return text.map(parts) ?? []
    case .null, .bool: return []
    }
  }

  private static func isThought(_ part: LenientJSON) -> Bool {
    let type = part["type"]?.text?.lowercased() ?? ""
    return type.contains("think") || type.contains("reason") || type.contains("thought") || part["thought"]?.isTrue == true
  }

  /// All words in it, as one thought.
  private static func thought(_ value: LenientJSON?) -> [AnswerPart] {
    let bytes = words(value ?? .null)
    return bytes.isEmpty ? [] : [.thought(bytes)]
  }

  private static func words(_ value: LenientJSON) -> [UInt8] {
    switch value {
    case .string(let bytes): return bytes
    case .array(let elements): return elements.flatMap(words)
    case .object:
      let text = ["thinking", "text", "reasoning", "content", "summary", "parts"].lazy.compactMap { value[$0] }.first { !$0.isNull }
      return text.map(words) ?? []
    case .null, .bool, .number: return []
    }
  }
}

extension LenientJSON {
  fileprivate var isString: Bool { if case .string = self { true } else { false } }
}
