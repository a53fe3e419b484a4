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
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  struct Observation: Codable {
    var by: String
    var text: String
  }
  private static let kept = 200
  private static let shown = 5

  func receive(_ gram: BatGram) async throws -> JSON? {
    switch gram.method {
    case "observe": return try observe(gram)
    case "observations": return ["observations": try JSON(encoding: log())]
    default:
      let recent = try log().suffix(Self.shown)
      if recent.isEmpty { return try await kernel.converse(gram) }
      let seen = recent.map { "- \($0.by): \($0.text)" }.joined(separator: "\n")
      return try await kernel.converse(gram, system: (kernel.config["prompt"]?.string ?? "") + "\n\nObserved lately:\n" + seen)
    }
  }

  private func observe(_ gram: BatGram) throws -> JSON {
    guard let text = gram.text, !text.isEmpty else {
      throw KernelError.invalid("observe needs a text in its payload, as in {\"content\":\"the east door is open\"}")
    }
    var all = try log()
    all.append(Observation(by: gram.source, text: text))
    if all.count > Self.kept { all.removeFirst(all.count - Self.kept) }
    try kernel.state.put("observations", all)
    return ["persona": .string(kernel.name), "content": .string("Noted. \(all.count) in the log."), "count": .int(all.count)]
  }

  private func log() throws -> [Observation] { try kernel.state.get("observations") ?? [] }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Babs.self) }
