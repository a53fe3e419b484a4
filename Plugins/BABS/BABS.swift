import FoundationEssentials
import PersonaKit

/// BABS: the observatory. Explores a question from several sides, and keeps a log of what was observed.
///
/// `observe` notes something, `observations` lists the notes; the newest ones are before her eyes when she
/// answers. The log is kept by the kernel, so that it survives a reload.
actor Babs: Persona {
  static let about: About = """
    bat-persona 1
    name = BABS
    version = 1.0
    summary = The observatory: explores, and keeps the log of what was seen
    needs = llm/1 bus/1 state/1
    config.shown = integer, 5, how many of the newest observations are before her eyes when she answers
    method.observe = note a text in the log, with who saw it and when
    takes.observe = {"type":"object","properties":{"content":{"type":"string","maxLength":4000}},"required":["content"]}
    gives.observe = {"type":"object","properties":{"content":{"type":"string"},"count":{"type":"integer"}},"required":["content","count"]}
    method.observations = the log
    takes.observations = {"type":"object","properties":{}}
    gives.observations = {"type":"object","properties":{"observations":{"type":"array","items":{"type":"object","properties":{"by":{"type":"string"},"text":{"type":"string"},"time":{"type":"string"}}}}},"required":["observations"]}
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  struct Observation: Codable {
    var by: String
    var text: String
    /// ISO 8601, UTC. Older logs have none.
    var time: String?
  }
  private static let kept = 200
  /// In characters.
  private static let longest = 4000
  /// How much of each stands in the prompt, in characters: a small model's window is soon full.
  private static let excerpt = 200

  func receive(_ gram: BatGram) async throws -> JSON? {
    if gram.isPublished, gram.method != "observe" { return nil }
    switch gram.method {
    case "observe": return try observe(gram)
    case "observations": return ["observations": try JSON(encoding: log())]
    default:
      let recent = try log().suffix(max(0, kernel.setting("shown")))
      if recent.isEmpty { return try await kernel.converse(gram) }
      let seen = recent.map { "- \($0.by): \($0.text.prefix(Self.excerpt))" }.joined(separator: "\n")
      return try await kernel.converse(gram, system: (kernel.config["prompt"]?.string ?? "") + "\n\nObserved lately:\n" + seen)
    }
  }

  private func observe(_ gram: BatGram) throws -> JSON {
    guard let text = gram.text, !text.isEmpty else {
      throw KernelError.invalid("observe needs a text in its payload, as in {\"content\":\"the east door is open\"}")
    }
    guard text.count <= Self.longest else {
      throw KernelError.invalid("an observation has at most \(Self.longest) characters; this one has \(text.count)")
    }
    var all = try log()
    all.append(Observation(by: gram.source, text: text, time: Date.now.formatted(.iso8601)))
    if all.count > Self.kept { all.removeFirst(all.count - Self.kept) }
    try kernel.state.put("observations", all)
    return ["persona": .string(kernel.name), "content": .string("Noted. \(all.count) in the log."), "count": .int(all.count)]
  }

  private func log() throws -> [Observation] { try kernel.state.get("observations") ?? [] }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Babs.self) }
