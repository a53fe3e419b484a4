import Kernel
import Testing

@testable import Services

@Suite struct EmbedderChoiceTests {
  @Test(
    "what the configuration says leads to an embedder",
    arguments: [
      ("none", EmbedderChoice.none), ("local", .local), ("ollama:nomic-embed-text:v1.5", .ollama(model: "nomic-embed-text:v1.5")),
      ("openai:text-embedding-3-small", .openai(model: "text-embedding-3-small")),
    ])
  func choices(_ text: String, _ choice: EmbedderChoice) throws { #expect(try EmbedderChoice(text) == choice) }

  @Test("what leads to none is refused with what may stand there", arguments: ["", "chroma", "ollama", "ollama:", "local:x", "None"])
  func refused(_ text: String) {
    let error = #expect(throws: EmbeddingError.self) { _ = try EmbedderChoice(text) }
    #expect(error?.reason == .misconfigured)
    #expect(error?.description.contains("\"\(text)\"") == true && error?.description.contains("\"ollama:MODEL\"") == true)
  }

  @Test("an embedder is made without asking a server, and says what is wrong in the configuration")
  func made() throws {
    func make(_ embedder: String, url: String? = nil, key: String? = nil) throws -> (any Embedder)? {
      var configuration = MemoryConfiguration()
      configuration.embedder = embedder
      configuration.url = url
      configuration.apiKeyVariable = key
      return try configuration.makeEmbedder { _ in nil }
    }
    #expect(try make("none") == nil)
    #expect(try make("ollama:m")?.id == "ollama:m")
    #expect(try make("openai:m", url: "http://h:1")?.id == "openai:m")
    #expect(throws: EmbeddingError.self) { try make("local") }
    let address = #expect(throws: EmbeddingError.self) { try make("ollama:m", url: "localhost") }
    #expect(address?.description.contains("[memory] url \"localhost\"") == true)
    let key = #expect(throws: EmbeddingError.self) { try make("openai:m", key: "BAT_KEY") }
    #expect(key?.description.contains("BAT_KEY") == true && key?.description.contains("[memory] api_key_env") == true)
  }
}
