import PersonaKit
import Synchronization

/// BRICK: the logical architect. Takes a question apart, answers it, and hands over what a colleague knows better.
///
/// `process_architect_query` (and any other text) is answered. One question may be delegated:
/// - by the asker, with certainty: `@robin how …` at the beginning, or `"delegate": "ROBIN"` in the payload;
/// - by the model, if `plan = true` in personas.toml: it is asked first whether one of `delegates` should
///   have the question. The model only proposes; this code routes, to one colleague, never to BRICK.
/// The colleague's own words are shown as they come, under the colleague's name, and stay in the reply, under "delegated"; the reply's
/// "content" is BRICK's own. If the colleague fails, that is said there, and BRICK answers alone.
actor Brick: Persona {
  static let about: About = """
    bat-persona 1
    name = BRICK
    version = 1.0
    summary = The logical architect: deconstructs, delegates
    talk = process_architect_query
    needs = llm/1 bus/1
    config.delegates = strings, [], the colleagues to whom a question may be handed
    config.plan = boolean, false, ask the model first whether a colleague should have the question
    config.delegate_seconds = number, 120, how long a colleague may take
    method.process_architect_query = take a question apart and answer it; "@robin …" at its beginning, or "delegate", asks a colleague first
    takes.process_architect_query = {"type":"object","properties":{"content":{"type":"string"},"delegate":{"type":"string","description":"the colleague who is asked first"},"thread":{"type":"string"}},"required":["content"]}
    gives.process_architect_query = {"type":"object","properties":{"content":{"type":"string"},"delegated":{"type":"object"}},"required":["content"]}
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  private var delegates: [String] { ((try? kernel.setting("delegates")) ?? []).filter { $0 != kernel.name } }

  func receive(_ gram: BatGram) async throws -> JSON? {
    guard !gram.isPublished, !["forget", "describe"].contains(gram.method), let text = gram.text, !text.isEmpty else {
      return try await kernel.converse(gram)
    }
    guard let order = try await order(gram, text) else { return try await kernel.converse(gram) }
    return try await delegate(order, gram)
  }

  // MARK: Delegation

  private struct Order {
    var colleague: String
    /// What the colleague is asked.
    var question: String
    /// What BRICK answers himself, with the colleague's words before him.
    var whole: String
  }

  private func order(_ gram: BatGram, _ text: String) async throws -> Order? {
    if let asked = gram.payload["delegate"]?.string {
      let name = ([kernel.name] + delegates).first { $0.lowercased() == asked.lowercased() } ?? asked
      guard name != kernel.name else { throw KernelError.invalid("\(kernel.name) does not delegate to himself") }
      return Order(colleague: name, question: text, whole: text)
    }
    if text.hasPrefix("@") {
      let word = text.dropFirst().prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
      let question = text.dropFirst(word.count + 1).drop { $0 == ":" || $0 == "," || $0.isWhitespace }
      if let name = delegates.first(where: { $0.lowercased() == word.lowercased() }), !question.isEmpty {
        return Order(colleague: name, question: String(question), whole: String(question))
      }
    }
    return try kernel.setting("plan") ? await plan(text) : nil
  }

  private struct Plan: Decodable {
    var colleague: String
    var question: String
  }

  /// The model's proposal, if it makes a usable one. That it does not is no error: BRICK then answers himself.
  private func plan(_ text: String) async -> Order? {
    let names = delegates
    if names.isEmpty { return nil }
    let schema: JSON = [
      "type": "object", "required": ["colleague", "question"], "additionalProperties": false,
      "properties": [
        "colleague": ["type": "string", "enum": .array((names + ["none"]).map { .string($0) })], "question": ["type": "string"],
      ],
    ]
    let request = """
      Colleagues: \(names.joined(separator: ", ")).
      Should one of them answer a part of this? Reply in JSON, like {"colleague":"\(names[0])","question":"What does the visitor fear?"}, or with "none" as colleague.

      \(text)
      """
    do {
      let answer = try await kernel.llm.think(request, remember: false, format: schema, maxTokens: 120)
      let plan = try JSON(parsing: answer.text.utf8).decode(Plan.self)
      guard names.contains(plan.colleague), !plan.question.isEmpty else { return nil }
      return Order(colleague: plan.colleague, question: plan.question, whole: text)
    } catch {
      if Task.isCancelled { return nil }
      kernel.log.info("no plan, answering alone: \(error)")
      return nil
    }
  }

  /// Whether the asker has seen any of the colleague's words. Any thread.
  private final class Seen: Sendable {
    private let flag = Mutex(false)
    var value: Bool { flag.withLock { $0 } }
    func set() { flag.withLock { $0 = true } }
  }

  private func delegate(_ order: Order, _ gram: BatGram) async throws -> JSON? {
    let colleague = order.colleague
    var record: [String: JSON] = ["to": .string(colleague), "question": .string(order.question)]
    let seen = Seen()
    let notice: @Sendable (String) -> Void = { _ in seen.set() }
    let context: String
    do {
      let seconds = min(max(try kernel.setting("delegate_seconds") as Double, 1), 86_400)
      var question: [String: JSON] = ["content": .string(order.question)]
      if !gram.remembers { question["remember"] = false }
      let answer = try await kernel.bus.ask(
        colleague, "talk", .object(question), through: gram, deadline: .seconds(seconds),
        onPiece: gram.wantsStream ? notice : nil)
      let content = answer["content"]?.string ?? answer.string ?? answer.text
      record["content"] = .string(content)
      if !seen.value { gram.progress(.part(speaker: colleague, text: content)) }
      context = "Your colleague \(colleague) was asked \"\(order.question)\" and answered:\n\(content)\n\nBuild on it; do not repeat it."
    } catch let error as KernelError where !Task.isCancelled {
      record["error"] = .string(error.message)
      gram.progress(.note("\(colleague) could not answer: \(error.message)"))
      context = "Your colleague \(colleague) could not be reached. Answer yourself."
    }
    let reply = try await kernel.converse(gram, text: order.whole, system: (kernel.config["prompt"]?.string ?? "") + "\n\n" + context)
    guard case .object(var members) = reply else { return reply }
    members["delegated"] = .object(record)
    return .object(members)
  }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Brick.self) }
