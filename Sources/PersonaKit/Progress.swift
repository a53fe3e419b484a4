/// A step of an answer under way, for an asker who wants to see it grow.
///
/// ```swift in:receive
///     gram.progress(.plan(["ask ROBIN", "answer"]))
///     gram.progress(.status("asking ROBIN"))
///     let answer = try await kernel.bus.ask("ROBIN", "talk", ["content": .string(gram.text ?? "")], through: gram)
///     return ["content": answer["content"] ?? .null]
/// ```
public enum Progress: Sendable, Equatable {
  /// What is going to be done.
  case plan([String])
  /// A piece of the answer and whose words it is; nil: the persona's own.
  case part(speaker: String?, text: String)
  /// What is being done now; it takes the place of the status before.
  case status(String)
  /// What is called, and with what, or what came of it.
  case tool(name: String, text: String)
  /// What the asker should know, and what is not part of the answer.
  case note(String)
  /// A step of another kind: an object with a "kind". Whoever does not know it leaves it out.
  case other(JSON)

  var json: JSON {
    switch self {
    case .plan(let steps): ["kind": "plan", "steps": .array(steps.map { .string($0) })]
    case .part(nil, let text): ["kind": "part", "text": .string(text)]
    case .part(let speaker?, let text): ["kind": "part", "speaker": .string(speaker), "text": .string(text)]
    case .status(let text): ["kind": "status", "text": .string(text)]
    case .tool(let name, let text): ["kind": "tool", "name": .string(name), "text": .string(text)]
    case .note(let text): ["kind": "note", "text": .string(text)]
    case .other(let step): step
    }
  }
}
