/// What `[llm]`, its providers and `[memory]` say of a server in the same words.
extension TableReader {
  /// Notes a `url` that is none.
  @discardableResult
  func checkURL(_ url: String) -> Bool {
    if Self.isURL(url) { return true }
    note("url", "\"\(url)\" is no address of a server; it looks like http://127.0.0.1:11434")
    return false
  }

  /// Notes an `api_key_env` that is no variable's name. The value may be the key itself, so it is not repeated.
  func checkVariable(_ name: String) {
    if Self.isVariable(name) { return }
    note("api_key_env", "must be the name of an environment variable that holds the key, not the key itself")
  }

  private static func isURL(_ text: String) -> Bool {
    guard let scheme = ["http://", "https://"].first(where: { text.lowercased().hasPrefix($0) }) else { return false }
    let rest = text.dropFirst(scheme.count)
    return rest.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
      && !(rest.split(separator: "/", omittingEmptySubsequences: false).first ?? "").isEmpty
  }

  private static func isVariable(_ text: String) -> Bool {
    func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F }
    return isLetter(text.utf8.first!) && text.utf8.count <= 64 && text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
  }
}
