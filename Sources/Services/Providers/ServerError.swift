/// What a model server says of its own failure, in any of the shapes that are in use:
/// `{"error":"text"}`, `{"error":{"message","type","code","param",…}}`, `{"errors":[…]}`, `{"message":"text"}`, `{"detail":"text"}`,
/// `{"detail":[{"loc":[…],"msg"}]}`, `{"code":1210,"msg":"text"}`, each of them also in an array.
struct ServerError: Equatable {
  var message: String
  /// "model_not_found", "exceed_context_size_error" …: the `code` and the `type`, as far as they are words.
  var kinds: [String] = []
  /// The status of HTTP that it would have, where it says so: an answer that has begun has status 200 already.
  var status: Int?
  /// What of the request it says is wrong, as far as it names that in a place of its own: "max_tokens".
  var parameters: [String] = []
  /// How many tokens the prompt has, where the server refuses it for its length and says so.
  var promptTokens: Int?
  /// The window that the server has, likewise.
  var windowTokens: Int?

  private static let messageLimit = 2000

  init(message: String, kinds: [String] = []) {
    self.message = message
    self.kinds = kinds
  }

  /// Reads the body of a refusal. Nil if the bytes are no JSON that tells of an error.
  init?(body: some Collection<UInt8>) {
    guard let value = LenientJSONReader.value(in: body) else { return nil }
    self.init(refusal: value)
  }

  /// Reads a value that is known to tell of an error.
  init?(refusal value: LenientJSON) {
    if let first = value.array?.first {
      self.init(refusal: first)
    } else if let text = value.text {
      self.init(message: Self.line(text))
    } else if let found = Self.explicit(value) {
      self = found
    } else {
      self.init(telling: value, beside: value)
    }
  }

  /// Reads a part of an answer, which may say "success" in the same places. `hasAnswer`: there is a piece of an answer in it.
  ///
  /// Nil: it tells of no error. Only what is not empty is one.
  init?(part value: LenientJSON, hasAnswer: Bool) {
    if let found = Self.explicit(value) {
      self = found
    } else if !hasAnswer, Self.isFailure(value) {
      self.init(telling: value, beside: value)
    } else {
      return nil
    }
  }

  /// What stands under "error" or "errors".
  private static func explicit(_ value: LenientJSON) -> ServerError? {
    [value["error"], value["errors"]].lazy.compactMap { $0 }.compactMap { ServerError(telling: $0, beside: value) }.first
  }

  private static let successes: Set<String> = ["", "0", "200", "20000", "ok", "success", "succeeded", "null", "none", "false", "true"]

  /// Without the word "error", but with a code that is no success, or where it says that it is about a failure.
  private static func isFailure(_ value: LenientJSON) -> Bool {
    let base = value["base_resp"]
    let codes = [value["code"], value["status_code"], value["error_code"], base?["status_code"]].compactMap { $0?.word?.lowercased() }
    return value["object"]?.text == "error" || value["type"]?.text == "error" || value["status"]?.text == "error"
      || value["success"] == .bool(false) || value["detail"]?.text != nil || value["detail"]?.array?.isEmpty == false
      || codes.contains { !successes.contains($0) }
  }

  /// Reads what stands under "error" in `whole`, or `whole` itself. Nil: nothing is told.
  private init?(telling value: LenientJSON, beside whole: LenientJSON) {
    switch value {
    case .null, .bool(false): return nil
    case .string, .number:
      guard let text = value.word, !Self.successes.contains(text.lowercased()) else { return nil }
      message = Self.line(text)
    case .bool(true): message = Self.words(whole).map(Self.line) ?? "no reason given"
    case .array(let elements):
      guard let first = elements.lazy.compactMap({ ServerError(telling: $0, beside: whole) }).first else { return nil }
      self = first
    case .object:
      let base = value["base_resp"]
      let codes = [value["code"], value["type"], base?["status_code"]].compactMap { $0?.word }.filter {
        !Self.successes.contains($0.lowercased())
      }
      kinds = codes.filter { Double($0) == nil }
      let said = Self.words(value).flatMap { Self.successes.contains($0.lowercased()) ? nil : $0 }
      guard said != nil || !codes.isEmpty || value == whole && Self.isFailure(value) else { return nil }
      message = Self.line(said ?? kinds.first ?? codes.first.map { "error \($0)" } ?? "no reason given")
      if let raw = value["metadata"]?["raw"]?.text { message = Self.line("\(message): \(raw)") }
      parameters = [value["param"]?.text].compactMap { $0 } + Self.places(value["detail"] ?? value["message"]?["detail"])
      status = [value["code"], value["status"], value["status_code"]].lazy.compactMap { $0?.count }.first { (400..<600).contains($0) }
      promptTokens = value["n_prompt_tokens"]?.count
      windowTokens = value["n_ctx"]?.count
    }
  }

  /// What it says in words.
  private static func words(_ value: LenientJSON) -> String? {
    let keys = ["message", "msg", "detail", "error", "error_description", "error_msg", "description", "reason", "title"]
    for key in keys {
      guard let found = value[key] else { continue }
      if let text = found.text { return text }
      if let list = found.array ?? found["detail"]?.array {
        let lines = list.compactMap { item in
          item.text ?? (item["msg"] ?? item["message"])?.text.map { "\((places(.array([item])).last).map { "\($0): " } ?? "")\($0)" }
        }
        if !lines.isEmpty { return lines.joined(separator: "; ") }
      }
      if found.object != nil, let text = words(found) { return text }
    }
    return value["base_resp"]?["status_msg"]?.text
  }

  /// Where in the request the mistakes are of which a list of them tells.
  private static func places(_ list: LenientJSON?) -> [String] {
    (list?.array ?? []).flatMap { ($0["loc"]?.array ?? []).compactMap(\.text) }
  }

  private static func line(_ text: String) -> String { excerpt(text.utf8, limit: messageLimit) }

  private func says(_ word: String) -> Bool { message.lowercased().contains(word) }

  /// The server is not well, or has too much to do.
  var saysBusy: Bool {
    status.map { $0 == 408 || $0 == 429 || $0 >= 500 }
      ?? kinds.contains { ["overloaded_error", "rate_limit_error", "server_error"].contains($0) }
  }

  /// The prompt is longer than the model's window.
  var saysTooLong: Bool {
    kinds.contains { ["exceed_context_size_error", "context_length_exceeded", "model_context_window_exceeded"].contains($0) }
      || says("maximum context length") || says("prompt is too long") || says("input is too long") || says("too many tokens in")
      || says("exceeds the available context") || says("exceeds the context") || says("context window")
      || says("reduce the length of the messages")
  }

  /// The server has no model of that name.
  var saysNoModel: Bool {
    kinds.contains { ["model_not_found", "ModelNotFound", "DeploymentNotFound", "model_not_exist"].contains($0) }
      || (says("model")
        && (says("not found") || says("does not exist") || says("not exist") || says("not a valid model") || says("unknown model")
          || says("invalid model") || says("no models loaded")))
  }
}
