import Kernel
import Protocol
import System
import Testing
import Wire

@testable import Services

/// Does not return before the test says so.
private final class BlockedEmbedder: Embedder {
  let id = "blocked/1"
  let dimension: Int? = 1
  let isAsked = Promise<Void>()
  let mayGoOn = Promise<Void>()
  func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] {
    isAsked.fulfill(())
    mayGoOn.wait()
    return texts.map { _ in [1] }
  }
}

@Suite("What waits for the memory") struct MemoryQueueTests {
  private typealias End = Promise<Result<MemoryResult, Failure>>

  private func begin(_ memory: MemoryServiceInFolder, _ actor: MemoryRequest.Actor, _ operation: String, _ arguments: JSON) -> End {
    let end = End()
    memory.memories.perform(MemoryRequest(actor: actor, operation: operation, arguments: arguments.bytes)) { end.fulfill($0) }
    return end
  }

  private func failure(_ end: End) -> Failure? { if case .failure(let failure)? = end.wait(milliseconds: 60_000) { failure } else { nil } }
  private func succeeds(_ end: End) -> Bool { if case .success? = end.wait(milliseconds: 60_000) { true } else { false } }

  @Test("one asker may have half of what may wait, by number and by bytes; what is more is refused at once, and others have room")
  func bounded() async throws {
    var limits = MemoryLimits()
    (limits.waiting, limits.waitingBytes) = (8, 4000)
    let embedder = BlockedEmbedder()
    let memory = MemoryServiceInFolder(embedder, limits: limits)
    _ = try await memory("create", ["collection": "c"])
    let (robin, babs) = (MemoryRequest.Actor.persona("ROBIN"), MemoryRequest.Actor.persona("BABS"))
    func add(_ actor: MemoryRequest.Actor, _ text: String) -> End {
      begin(memory, actor, "add", ["collection": "c", "documents": [["text": .string(text)]]])
    }
    var taken = [add(robin, "first")]
    embedder.isAsked.wait()
    for n in 0..<3 { taken.append(add(robin, "\(n)")) }
    let refused = failure(add(robin, "one too many"))
    #expect(refused?.code == .queueFull)
    #expect(
      refused?.message.contains("5 operations of ROBIN") == true && refused?.message.contains("4 operations") == true, "\(refused as Any)")
    let large = failure(add(babs, String(repeating: "x", count: 2001)))
    #expect(large?.code == .queueFull && large?.message.contains("2000 bytes") == true, "\(large as Any)")
    taken.append(begin(memory, babs, "create", ["collection": "own"]))
    // Reading has a queue of its own.
    #expect(succeeds(begin(memory, robin, "count", ["collection": "c"])))
    embedder.mayGoOn.fulfill(())
    for end in taken { #expect(succeeds(end)) }
    // What has ended counts no more.
    #expect(succeeds(add(robin, "again")))
  }
}
