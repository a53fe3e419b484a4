import PersonaKit

/// ALFRED: order. Reviews what others have written, and tells how the house is.
///
/// `review` judges a text (or what `persona` answers to it); `status` asks the kernel, and needs no model.
actor Alfred: Persona {
  static let about: About = """
    bat-persona 1
    name = ALFRED
    version = 1.0
    summary = The steward: reviews, and keeps the house in order
    needs = llm/1 bus/1
    config = none
    method.review = judge a text; with "persona", what that one answers to it
    takes.review = {"type":"object","properties":{"content":{"type":"string"},"persona":{"type":"string","description":"whose answer to the text is judged"}},"required":["content"]}
    gives.review = {"type":"object","properties":{"content":{"type":"string"},"reviewed":{"type":"object"}},"required":["content"]}
    method.status = how the house is, without a model
    takes.status = {"type":"object","properties":{}}
    gives.status = {"type":"object","properties":{"content":{"type":"string"}},"required":["content"]}
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  func receive(_ gram: BatGram) async throws -> JSON? {
    if gram.isPublished { return nil }
    switch gram.method {
    case "status": return try await status()
    case "review": return try await review(gram)
    default: return try await kernel.converse(gram)
    }
  }

  private func review(_ gram: BatGram) async throws -> JSON? {
    guard var text = gram.text, !text.isEmpty else {
      throw KernelError.invalid(
        "review needs a text in its payload, as in {\"content\":\"…\"}; with {\"persona\":\"BRICK\"} it reviews that one's answer to it")
    }
    var original: JSON?
    if let other = gram.payload["persona"]?.string {
      if other == kernel.name { throw KernelError.invalid("\(kernel.name) does not review himself; name somebody else") }
      var question: [String: JSON] = ["content": .string(text)]
      if !gram.remembers { question["remember"] = false }
      let answer = try await kernel.bus.ask(other, "talk", .object(question))
      original = answer
      text = "Question: \(text)\n\nAnswer of \(other): \(answer["content"]?.string ?? answer.string ?? answer.text)"
    }
    let reply = try await kernel.converse(
      gram, text: "Review this. Name its one strongest and its one weakest point, and what to change first.\n\n\(text)")
    guard let original, case .object(var members) = reply else { return reply }
    members["reviewed"] = original
    return .object(members)
  }

  private struct House: Decodable {
    struct Member: Decodable {
      var name: String
      var state: String
      var generation: Int?
      var received: Int
      var queued: Int
      var reason: String?
    }
    var uptime_s: Int
    var memory_kb: Int
    var connections: Int
    var messages: Int
    var errors: Int
    var personas: [Member]
  }

  private func status() async throws -> JSON {
    let house = try await kernel.bus.ask("KERNEL", "stats").decode(House.self)
    var lines = [
      "The house has been up for \(house.uptime_s / 60) min, with \(house.connections) visitors, \(house.messages) messages and \(house.errors) errors, in \(house.memory_kb / 1024) MB."
    ]
    for member in house.personas {
      let trouble = member.reason.map { ": \($0)" } ?? ""
      lines.append(
        "\(member.name) is \(member.state)\(member.generation.map { " (generation \($0))" } ?? "")\(trouble); \(member.received) messages, \(member.queued) waiting."
      )
    }
    return ["persona": .string(kernel.name), "content": .string(lines.joined(separator: "\n"))]
  }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Alfred.self) }
