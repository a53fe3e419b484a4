import Foundation
import Kernel
import Testing
import Wire

@testable import Services

@Suite("Memory behind a server for embeddings that is silent") struct SilentEmbedderTests {
  /// A server that makes the vector of the first document, and then answers nothing more.
  private let server = ScriptedServer([[.answer(200, #"{"embeddings":[[1,0]]}"#)], [.untilClosed]])

  private func memory(waiting milliseconds: Int) async throws -> MemoryServiceInFolder {
    var limits = MemoryLimits()
    limits.vectorMilliseconds = milliseconds
    let place = try EmbeddingServer(.ollama, model: "m", url: server.url, apiKeyVariable: nil, environment: { _ in nil })
    let memory = MemoryServiceInFolder(HTTPEmbedder(place), limits: limits)
    _ = try await memory("create", ["collection": "c"])
    _ = try await memory("create", ["collection": "words", "embedder": "none"])
    let added = try await memory("add", ["collection": "c", "documents": [["id": "a", "text": "the bat cave"]]])
    #expect(added["note"] == nil)
    return memory
  }

  @Test("a query waits for its vector for a limited time, then it is answered by words alone, with a note")
  func limited() async throws {
    let memory = try await memory(waiting: 50)
    defer { server.stop() }
    let late = "found by words alone: ollama:m made no vector of the query within 50 ms"
    let first = try await memory("query", ["collection": "c", "text": "cave"])
    #expect(first["note"]?.string?.hasPrefix(late) == true && first["passages"]?.array?.first?["id"] == "a", "\(first)")
    // Those that follow find the embedder at work on the first, and wait no longer than it did.
    for _ in 0..<3 {
      let next = try await memory("query", ["collection": "c", "text": "cave"])
      #expect(next["note"]?.string?.hasPrefix("found by words alone: ollama:m") == true && next["passages"]?.array?.count == 1, "\(next)")
    }
    #expect(await memory.failure("query", ["collection": "c", "text": "cave", "mode": "vectors"])?.message.contains("ollama:m") == true)
    #expect(server.requests.count == 2)
  }

  @Test("what needs no vector does not wait behind a query that waits for one; the end of the kernel lets that go")
  func others() async throws {
    let memory = try await memory(waiting: 3_600_000)
    defer { server.stop() }
    var events = server.events.makeAsyncIterator()
    _ = await events.next()
    async let waiting = memory("query", ["collection": "c", "text": "cave"])
    _ = await events.next()
    #expect(try await memory("count", ["collection": "c"])["count"] == 1)
    #expect(try await memory("get", ["collection": "c"])["documents"]?.array?.count == 1)
    #expect(try await memory("list", [:])["collections"]?.array?.count == 2)
    #expect(try await memory("query", ["collection": "c", "text": "cave", "mode": "words"])["passages"]?.array?.count == 1)
    #expect(try await memory("query", ["collection": "c", "embedding": [1, 0], "model": "ollama:m"])["passages"]?.array?.count == 1)
    #expect(try await memory("query", ["collection": "words", "text": "cave"])["passages"] == [])
    _ = try await memory("upsert", ["collection": "words", "documents": [["id": "b", "text": "a car"]]])
    memory.memories.stop()
    let found = try await waiting
    #expect(found["note"]?.string?.hasPrefix("found by words alone: ") == true && found["passages"]?.array?.count == 1, "\(found)")
  }
}
