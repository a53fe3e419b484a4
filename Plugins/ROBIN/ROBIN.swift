import PersonaKit

/// ROBIN: the heart-to-heart. Listens, keeps each visitor's conversation apart, and answers warmly and briefly.
actor Robin: Persona {
  static let about: About = """
    bat-persona 1
    name = ROBIN
    version = 1.0
    summary = The heart-to-heart and the library: listens, and puts things simply
    needs = llm/1 bus/1
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  func receive(_ gram: BatGram) async throws -> JSON? { try await kernel.converse(gram) }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Robin.self) }
