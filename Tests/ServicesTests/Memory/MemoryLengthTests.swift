import Kernel
import Testing
import Wire

@testable import Services

@Suite("Lengths in the memory") struct MemoryLengthTests {
  private struct NoEmbedder: Embedder {
    let id = "none/0"
    let dimension: Int? = nil
    func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] { texts.map { _ in [] } }
  }

  @Test("names, ids, sources, places, keys and lists of names have lengths; what is longer is refused and not repeated")
  func lengths() async throws {
    let memory = MemoryServiceInFolder(NoEmbedder())
    _ = try await memory("create", ["collection": "c"])
    func long(_ count: Int) -> JSON { .string(String(repeating: "x", count: count)) }
    func add(_ document: JSON) -> (String, JSON) { ("add", ["collection": "c", "documents": [document]]) }
    let names = JSON.array((0...1000).map { .string("N\($0)") })
    let cases: [(String, JSON)] = [
      ("create", ["collection": long(129)]), ("create", ["collection": long(15 << 20)]), ("count", ["collection": long(15 << 20)]),
      ("create", ["collection": "d", "embedder": long(300)]), ("share", ["collection": "c", "readers": names]),
      ("create", ["collection": "d", "writers": [long(129)]]), ("forget", ["source": "x", "collection": long(1000)]),
      ("query", ["collection": "c", "embedding": [1], "model": long(300)]),
      add(["id": long(513)]), add(["source": long(16 << 10 | 1)]),
      add(["place": long(16 << 10 | 1)]),
      add(["metadata": .object([String(repeating: "k", count: 257): 1])]), add(["text": long(1 << 20 | 1)]),
      ("replace", ["collection": "c", "source": long(16 << 10 | 1), "documents": []]),
      ("replace", ["collection": "c", "source": "s", "documents": [], "hash": long(300)]),
    ]
    for (operation, arguments) in cases {
      let failure = await memory.failure(operation, arguments)
      #expect(failure?.code == .tooLong && failure?.message.utf8.count ?? .max < 1000, "\(operation): \(failure as Any)")
    }
    let unknown = await memory.failure("count", .object([String(repeating: "k", count: 1 << 20): 1]))
    #expect(unknown?.code == .invalid && unknown?.message.utf8.count ?? .max < 3000)
    // A trace as long as that is not kept.
    let trace = String(repeating: "t", count: 1 << 20)
    _ = try await memory("add", ["collection": "c", "documents": [["id": "a", "text": "x"]]], trace: trace)
    #expect(try await memory("get", ["collection": "c"])["documents"]?.array?.first?["message"] == nil)
    #expect(try await memory("show", ["collection": "c"])["collection"]?["documents"] == 1)
  }

  @Test("lists come in pages, however many there are; a reply that would be too long is refused with what to do")
  func pages() async throws {
    var limits = MemoryLimits()
    limits.reply = 4000
    let memory = MemoryServiceInFolder(NoEmbedder(), limits: limits)
    let all = (0..<20).map { "collection \($0)" }
    for name in all { _ = try await memory("create", ["collection": .string(name)]) }
    var (seen, after, pages): ([String], JSON, Int) = ([], .null, 0)
    repeat {
      let page = try await memory("list", ["after": after])
      seen += page["collections"]?.array?.compactMap { $0["name"]?.string } ?? []
      after = page["next"] ?? .null
      pages += 1
    } while after != .null
    #expect(seen == all.sorted() && pages > 2)

    let store = TemporaryStore(limits: limits)
    try await store(.create("c"))
    let sources = (0..<30).map { "/docs/\($0)/\(String(repeating: "é", count: 50)).md" }
    for source in sources {
      try await store(.replace("c", source: source, hash: "h", [Document(id: source, text: String(repeating: "word ", count: 40))]))
    }
    var (found, next): ([String], String?) = ([], nil)
    repeat {
      let page = try await store(.sources("c", under: "/docs/", after: next))
      found += page.sources.map(\.source)
      next = page.next
    } while next != nil
    #expect(found == sources.sorted())
    #expect(await store.failure(.get("c", Selection()))?.kind == .tooLarge)
    #expect(await store.failure(.query("c", MemoryQuery(text: "word", limit: 30)))?.message.contains("with \"limit\"") == true)
    #expect(try await store(.get("c", Selection(limit: 3))).count == 3)
  }
}
