import PersonaKit

/// A persona that is only a prompt: name, summary and prompt come from personas.toml, and it converses.
actor Prompt: Persona {
  static let about: About = """
    bat-persona 1
    name = Prompt
    version = 1.0
    summary = A persona that is only a prompt in personas.toml
    needs = llm/1 bus/1
    config.prompt = string, required, the system prompt
    """
  let kernel: KernelHandle

  init(kernel: KernelHandle) throws {
    self.kernel = kernel
    if kernel.config["prompt"]?.string?.isEmpty ?? true {
      throw KernelError.invalid("\(kernel.name) has no prompt: give it one in personas.toml, under [persona.\(kernel.name)]")
    }
  }

  func receive(_ gram: BatGram) async throws -> JSON? { try await kernel.converse(gram) }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Prompt.self) }
