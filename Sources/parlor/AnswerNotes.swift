import Wire

/// What a person must know of an answer beside its words, a line each: who has answered in another's place, what was cut, called or lost.
enum AnswerNotes {
  /// - Parameter streamed: what was shown while the answer was made is not told again.
  static func lines(_ reply: JSON, streamed: Bool = false) -> [String] {
    var lines: [String] = []
    if let first = reply["fallback_from"]?.string {
      let model = reply["model"]?.string.map { " (\($0))" } ?? ""
      lines.append("answered by \(reply["provider"]?.string ?? "a fallback")\(model), because \(first) could not")
    }
    if reply["cut_short"]?.bool == true || reply["finish"]?.string == "length" {
      lines.append("the answer is cut: the model had no tokens left for it; max_tokens in personas.toml gives it more")
    }
    let calls = (reply["tool_calls"]?.array ?? []).compactMap(call)
    if !calls.isEmpty { lines.append("the model called " + calls.joined(separator: ", ")) }
    if !streamed, let colleague = reply["delegated"], let why = colleague["error"]?.string {
      lines.append("\(colleague["to"]?.string ?? "a colleague") could not answer: \(why)")
    }
    if reply["history_failed"]?.bool == true {
      lines.append("this was not kept: the file of the conversations cannot be read or written; `./bat log` says why")
    }
    return lines.map { $0.oneLine(400) }
  }

  /// As in "BABS.observe (failed: deadline)".
  private static func call(_ call: JSON) -> String? {
    guard let tool = call["tool"]?.string else { return nil }
    guard let error = call["error"] else { return tool }
    return "\(tool) (failed: \(error.string ?? error["code"]?.string ?? error.text))"
  }
}
