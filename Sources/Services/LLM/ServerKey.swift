/// What a server wants to see before it answers: read from an environment variable, and never to be shown.
struct ServerKey: Sendable {
  /// Nil if no variable is named.
  let variable: String?
  private let key: String?

  init(variable: String?, environment: (String) -> String?) {
    self.variable = variable
    key = variable.flatMap(environment).map { $0.trimmingWhitespace() }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Why it cannot be used, and what to do; `section` of personas.toml names the variable.
  func obstacle(section: String) -> String? {
    guard let variable else { return nil }
    guard let key else {
      return "the environment variable \(variable), which [\(section)] api_key_env names, is not set: "
        + "set it before batkernel starts, or remove api_key_env"
    }
    guard key.utf8.contains(where: { $0 < 32 || $0 == 127 }) else { return nil }
    return "the key in the environment variable \(variable) has a line break or another control character"
  }

  var header: String? { key.map { "Authorization: Bearer \($0)" } }

  /// The text without the key, should a server have quoted it.
  func redacted(_ text: String) -> String {
    guard let key, key.utf8.count >= 4 else { return text }
    return text.replacing(key, with: "…")
  }
}

extension String {
  fileprivate func trimmingWhitespace() -> String {
    var text = self[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
