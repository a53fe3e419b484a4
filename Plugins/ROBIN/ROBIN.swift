import PersonaKit

/// ROBIN: the heart-to-heart and the library. Keeps each visitor's conversation apart, and answers warmly and briefly.
///
/// The library is a collection of the memory, which `collection` in personas.toml names (else "library"): what fits a question is read before the
/// answer, and cited in it. Without such a collection ROBIN answers as before. `look_up` finds passages for others.
actor Robin: Persona {
  static let about: About = """
    bat-persona 1
    name = ROBIN
    version = 1.1
    summary = The heart-to-heart and the library: listens, and puts things simply
    needs = llm/1 bus/1
    wants = rag/1
    config.collection = string, "library", the collection of the memory that is read before an answer
    method.look_up = the passages of the library that fit a text best
    takes.look_up = {"type":"object","properties":{"content":{"type":"string","minLength":1},"limit":{"type":"integer","minimum":1,"maximum":20}},"required":["content"]}
    gives.look_up = {"type":"object","properties":{"content":{"type":"string"},"passages":{"type":"array"}},"required":["content","passages"]}
    """
  let kernel: KernelHandle
  init(kernel: KernelHandle) { self.kernel = kernel }

  /// Below this two texts have little in common, as the default embedder sees it.
  private static let near = 0.22

  func receive(_ gram: BatGram) async throws -> JSON? {
    if gram.isPublished { return nil }
    switch gram.method {
    case "look_up": return try await lookUp(gram)
    case "forget", "describe": return try await kernel.converse(gram)
    default:
      guard let text = gram.text, !text.isEmpty, let passages = await passages(for: text) else { return try await kernel.converse(gram) }
      return try await kernel.converse(gram, citing: passages)
    }
  }

  private var library: String { (try? kernel.setting("collection")) ?? "library" }

  private func lookUp(_ gram: BatGram) async throws -> JSON {
    guard let text = gram.text, !text.isEmpty else {
      throw KernelError.invalid("look_up needs a text in its payload, as in {\"content\":\"hot reload\"}")
    }
    let limit = gram.payload["limit"]?.int ?? 5
    let found = try await kernel.rag.query(library, text: text, limit: min(max(limit, 1), 20))
    let texts = found.map { "\($0.source ?? $0.id)\($0.place.map { ", \($0)" } ?? ""): \($0.text)" }
    return [
      "persona": .string(kernel.name),
      "content": .string(texts.isEmpty ? "The library has nothing about it." : texts.joined(separator: "\n\n")),
      "passages": .array(
        found.map { ["text": .string($0.text), "source": .string($0.source ?? $0.id), "place": .string($0.place ?? "")] }),
    ]
  }

  /// What the library has about it; nil: there is none, or it cannot be asked now, which is no reason not to answer.
  private func passages(for text: String) async -> [Memory.Passage]? {
    do {
      return try await kernel.rag.query(library, text: text, limit: 3).filter { $0.similarity ?? Self.near >= Self.near }
    } catch {
      if (error as? KernelError)?.isNotFound != true { kernel.log.warning("the library cannot be asked: \(error)") }
      return nil
    }
  }
}

@c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Robin.self) }
