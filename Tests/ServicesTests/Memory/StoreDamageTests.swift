import Foundation
import Testing
import Wire

@testable import Services

@Suite("Memory files that somebody has changed") struct StoreDamageTests {
  private func vector(_ n: Int) -> Embedding { Embedding(model: "m", vector: [1, Float(n)]) }
  private let nearest = StoreRequest.query("c", MemoryQuery(embedding: Embedding(model: "m", vector: [0, 1]), limit: 2))

  /// Twenty documents in the collection "c", whose number is 1; document n is the farther from `nearest`, the smaller n is.
  private func filled() async throws -> TemporaryStore {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", (0..<20).map { Document(id: "\($0)", text: "word", embedding: vector($0)) }))
    return store
  }

  private func change(_ store: TemporaryStore, _ sql: String...) throws {
    store.store.stop()
    let database = try SQLiteDatabase(store.folder + "/memory.sqlite")
    for sql in sql { try database.run(sql, keep: false) }
  }

  @Test("vectors that are damaged are passed over and told of, whether the index is made anew or knows them")
  func vectors() async throws {
    let store = try await filled()
    #expect(try await store.ids(nearest) == ["19", "18"])
    // Document n has the seq n + 1. The index knows the vector that was there.
    try change(store, "UPDATE vectors_1 SET vector = x'0102' WHERE seq = 20")
    store.reopen()
    #expect(try await store.ids(nearest) == ["18", "17"])
    let documents = try await store(.get("c", Selection(ids: ["19"], withVectors: true)))
    #expect(documents.count == 1 && documents[0].vector == nil)
    // Now it has to be made anew.
    try change(
      store, "INSERT INTO vectors_1 VALUES (-7, x'0000803f0000803f')", "UPDATE vectors_1 SET vector = x'' WHERE seq = 19",
      "UPDATE vectors_1 SET vector = x'0000c07f0000c07f' WHERE seq = 18", "UPDATE vectors_1 SET vector = zeroblob(8) WHERE seq = 17")
    try FileManager.default.removeItem(atPath: store.folder + "/vectors-1.index")
    store.reopen()
    #expect(try await store.ids(nearest) == ["15", "14"])
    #expect(store.log.text.contains("5 vectors of ROBIN/c in \(store.folder)/memory.sqlite are damaged"), "\(store.log.text)")
    // Their documents can be changed and removed.
    try await store(.upsert("c", [Document(id: "19", metadata: ["x": 1]), Document(id: "18", embedding: vector(100))]))
    #expect(try await store.ids(nearest) == ["18", "15"])
    #expect(try await store(.delete("c", Selection(ids: ["19", "18", "17", "16"]))) == 4)
    #expect(try await store.ids(nearest) == ["15", "14"])
  }

  @Test(
    "whatever numbers stand in the table of the collections, every operation ends with a result or an error",
    arguments: ["documents", "vectors", "version", "next", "dimension", "created"], [Int64.min, -3, 0, Int64.max])
  func numbers(_ column: String, _ number: Int64) async throws {
    let store = try await filled()
    #expect(try await store.ids(nearest) == ["19", "18"])
    // Not as a literal: SQLite reads -9223372036854775808 as a float.
    store.store.stop()
    try SQLiteDatabase(store.folder + "/memory.sqlite").run("UPDATE collections SET \(column) = ?", [.int(number)], keep: false)
    for withoutIndex in [false, true] {
      if withoutIndex { try? FileManager.default.removeItem(atPath: store.folder + "/vectors-1.index") }
      store.reopen()
      _ = await store.failure(.list)
      _ = await store.failure(nearest)
      _ = await store.failure(.query("c", MemoryQuery(text: "word", embedding: vector(1), filter: .key("x", .equals(1)))))
      _ = await store.failure(.count("c"))
      _ = await store.failure(.get("c", Selection(withVectors: true)))
      _ = await store.failure(.export("c"))
      _ = await store.failure(.add("c", [Document(id: "new\(withoutIndex)", text: "new", embedding: vector(3))]))
      _ = await store.failure(.upsert("c", [Document(id: "1", text: "other", embedding: vector(4))]))
      _ = await store.failure(.delete("c", Selection(ids: ["2"])))
      _ = await store.failure(nearest)
    }
    // Vectors can be made anew in any case, unless the next number is taken already, or there is none left.
    try await store(.dropVectors("c", embedder: nil))
    let filled = await store.failure(.fill("c", model: "m", [(seq: 6, vector: [0, 1])]))
    #expect(filled == nil || (column == "next" && (filled?.kind == .damaged || filled?.kind == .exists)), "\(filled as Any)")
  }

  @Test("a file of a schema that there never was is refused")
  func schema() async throws {
    let store = try await filled()
    try change(store, "PRAGMA user_version = -5")
    store.reopen()
    #expect(await store.failure(.list)?.kind == .damaged)
  }

  @Test("an index that is cut off while it is in use is made again", arguments: [0, 4096, 20_000])
  func truncated(_ length: Int) async throws {
    let store = try await filled()
    #expect(try await store.ids(nearest) == ["19", "18"])
    let path = store.folder + "/vectors-1.index"
    #expect(truncate(path, length) == 0)
    #expect(try await store.ids(nearest) == ["19", "18"])
    #expect(store.log.text.contains("ROBIN/c is behind or damaged, and is made again"), "\(store.log.text)")
    #expect(truncate(path, length) == 0)
    try await store(.add("c", [Document(id: "20", embedding: vector(20))]))
    try await store(.delete("c", Selection(ids: ["19"])))
    #expect(try await store.ids(nearest) == ["20", "18"])
  }
}
