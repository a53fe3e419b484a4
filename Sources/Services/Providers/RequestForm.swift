import Kernel

/// A part of a request that some servers, or some of their models, refuse.
enum RequestParameter: String, CaseIterable, Sendable {
  case streamOptions = "stream_options"
  case maxTokens = "max_tokens"
  case maxCompletionTokens = "max_completion_tokens"
  case temperature, seed, stop
  case toolChoice = "tool_choice"
  case tools
  case responseFormat = "response_format"
  /// The system prompt as a message of its own.
  case system
  case stream

  /// What it is called in refusals, beside its own name; in small letters.
  private var otherNames: [String] {
    switch self {
    case .streamOptions: ["include_usage", "stream options"]
    case .tools: ["tool choice", "tool use", "tool calling", "tool-call-parser", "function calling", "functions"]
    case .responseFormat:
      ["json_schema", "json_object", "json schema", "json mode", "structured output", "response format", "parse grammar"]
    case .system: ["system role", "system message", "developer instruction", "'system'"]
    case .maxTokens, .maxCompletionTokens, .temperature, .seed, .stop, .toolChoice, .stream: []
    }
  }

  private static let refusals = [
    "support", "unrecognized", "unrecognised", "unknown", "unexpected", "extra", "not permitted", "not allowed", "unsupported", "invalid",
    "deprecated", "additional properties", "not available", "unavailable", "not enabled", "requires --", "must contain the word", "must be",
    "failed", "too large", "too high", "too big", "at most", "exceed", "out of range", "less than", "greater than", "cannot", "can not",
  ]

  /// Which of the parameters that were sent a refusal is about; nil: none of them.
  static func refused(by error: ServerError, among sent: Set<RequestParameter>) -> RequestParameter? {
    let candidates = allCases.filter(sent.contains)
    for place in error.parameters.map({ $0.lowercased() }) {
      if let named = candidates.first(where: {
        place == $0.rawValue || place.hasPrefix($0.rawValue + ".") || place.hasPrefix($0.rawValue + "[")
      }) {
        return named
      }
    }
    let text = error.message.lowercased()
    guard refusals.contains(where: text.contains) else { return nil }
    let words = Set(text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init))
    return candidates.first { candidate in
      let isNamed = candidate.isPlainWord ? isQuoted(candidate.rawValue, in: text) : words.contains(candidate.rawValue)
      return isNamed || candidate.otherNames.contains(where: text.contains)
    }
  }

  /// Its name stands in sentences that are about something else, too.
  private var isPlainWord: Bool { self == .stop || self == .seed || self == .stream || self == .system }

  private static func isQuoted(_ word: String, in text: String) -> Bool {
    [
      "'\(word)'", "\"\(word)\"", "`\(word)`", "parameter: \(word)", "parameter \(word)", "argument \(word)", "supplied: \(word)",
      "field \(word)",
    ]
    .contains(where: text.contains)
  }

  /// The refusal is about this value alone: another may be taken.
  static func isOfValue(_ error: ServerError) -> Bool {
    let text = error.message.lowercased()
    return ["too large", "too high", "too big", "at most", "exceed", "out of range", "less than", "greater than", "between"].contains(
      where: text.contains)
  }
}

/// How a request is put where a server does not take it as we should like to. A value.
struct RequestForm: Equatable, Sendable {
  /// What is left out.
  private(set) var without: Set<RequestParameter> = []
  /// A schema is asked for as any JSON object: the server takes no schemas.
  private(set) var hasPlainFormat = false

  var isUsual: Bool { self == RequestForm() }

  func takes(_ parameter: RequestParameter) -> Bool { !without.contains(parameter) }

  /// Leaves it out from now on, or what is asked for by it is asked for in another way.
  mutating func leaveOut(_ parameter: RequestParameter, isSchema: Bool) {
    if parameter == .responseFormat, isSchema, !hasPlainFormat {
      hasPlainFormat = true
    } else {
      without.insert(parameter)
      // Without tools nothing can be said of their choice.
      if parameter == .tools { without.insert(.toolChoice) }
    }
  }

  mutating func add(_ other: RequestForm) {
    without.formUnion(other.without)
    hasPlainFormat = hasPlainFormat || other.hasPlainFormat
  }

  /// In which form the answer is asked for; nil: in none.
  func format(of question: ChatQuestion) -> ChatRequest.Format? {
    guard takes(.responseFormat), let format = question.format else { return nil }
    return hasPlainFormat ? .json : format
  }

  /// What the model is told of the form where the server cannot be; nil: nothing.
  private func note(of question: ChatQuestion) -> String? {
    switch question.format {
    case .schema(let schema)? where hasPlainFormat || !takes(.responseFormat):
      "Answer with JSON alone and nothing else. It must fit this JSON schema: " + String(decoding: schema, as: UTF8.self)
    case .json? where !takes(.responseFormat): "Answer with JSON alone and nothing else."
    default: nil
    }
  }

  /// The messages of a question; without a place for the system prompt it stands before what the user says first.
  func messages(_ messages: [ChatMessage], of question: ChatQuestion) -> [ChatMessage] {
    var messages = messages
    if let note = note(of: question) {
      let prompt = messages.first?.role == .system ? messages.removeFirst().content + "\n\n" : ""
      messages.insert(ChatMessage(role: .system, content: prompt + note), at: 0)
    }
    guard !takes(.system), let system = messages.first, system.role == .system else { return messages }
    var rest = Array(messages.dropFirst())
    if let user = rest.firstIndex(where: { $0.role == .user }) {
      rest[user].content = system.content + "\n\n" + rest[user].content
    } else {
      rest.insert(ChatMessage(role: .user, content: system.content), at: 0)
    }
    return rest
  }

  /// For people.
  var text: String {
    let names = without.map(\.rawValue).sorted()
    return (hasPlainFormat ? ["a schema in response_format"] + names : names).joined(separator: ", ")
  }
}

/// What is known of the models of one server that do not take everything. A value.
struct KnownForms: Sendable {
  /// Of so many models it is known.
  private static let limit = 256

  private var forms: [String: RequestForm] = [:]

  func form(of model: String?) -> RequestForm { forms[model ?? ""] ?? RequestForm() }

  mutating func learn(_ form: RequestForm, of model: String?) {
    let name = model ?? ""
    if forms.count >= Self.limit, forms[name] == nil { forms = [:] }
    forms[name, default: RequestForm()].add(form)
  }
}
