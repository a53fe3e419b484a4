import Kernel
import Protocol
import Wire

/// The form that an answer was asked for in, JSON or JSON of a schema, and what is wrong with one that came.
struct AnswerForm: Sendable {
  /// Nil: any JSON.
  let schema: JSONSchema?

  /// How often the model may mend an answer.
  static let repairs = 1

  /// - Throws: `.malformed`: a schema of which we could check only a part.
  init(_ format: ChatRequest.Format) throws(JSONSchema.Malformed) {
    switch format {
    case .json: schema = nil
    case .schema(let bytes):
      let json: JSON
      // JSON that the decoder of requests takes may hold a number that fits no Double.
      do throws(JSON.Unreadable) { json = try JSON(parsing: bytes) } catch { throw JSONSchema.Malformed(description: "it is \(error.why)") }
      schema = try JSONSchema(json)
    }
  }

  /// Why an answer is not what was asked for.
  struct Violations: Error, Equatable {
    var list: [String]
    var text: String { list.joined(separator: "; ") }
  }

  func read(_ text: String, finish: String?) throws(Violations) -> JSON {
    // What is cut off may be right by chance, as a number that lacks its last digits.
    if finish == "length" { throw Violations(list: ["it is cut off: it ran out of tokens (max_tokens)"]) }
    let json: JSON
    do throws(JSON.Unreadable) { json = try JSON(parsing: Self.unfenced(text).utf8) } catch {
      throw Violations(list: ["it is no JSON: \(error.why)"])
    }
    let found = schema?.violations(in: json) ?? []
    if !found.isEmpty { throw Violations(list: found) }
    return json
  }

  /// What stands in a block of code, where that is all: models write JSON into one when nobody keeps them from it.
  private static func unfenced(_ text: String) -> Substring {
    let whole = text.trimmingBlanks()
    guard whole.hasPrefix("```"), whole.hasSuffix("```"), whole.utf8.count > 6, let line = whole.firstIndex(where: \.isNewline) else {
      return text[...]
    }
    return whole[line...].dropLast(3)
  }

  /// What the model is told to mend its answer, behind that answer; none of it stays in the conversation.
  static func repair(_ answer: String, _ violations: Violations) -> [ChatMessage] {
    [
      ChatMessage(role: .assistant, content: answer),
      ChatMessage(
        role: .user,
        content: "That does not have the form that was asked for: \(violations.text). Answer again, with the JSON alone and nothing else."),
    ]
  }

  static func failure(_ violations: Violations, _ answer: String, model: String, server: String) -> Failure {
    Failure(
      .llmInvalid,
      "\(model) at \(server) did not answer in the form that was asked for, also when it was told so: \(violations.text). It said: \(answer.prefix(4000))"
    )
  }
}
