import Foundation
import Kernel
import Protocol
import Synchronization
import Testing
import Wire

@testable import Services

/// Texts with the same first letter lie near. None is taken while it is `down`, and never one of more than 50 bytes.
private final class LetterEmbedder: Embedder {
  let id: String
  let dimension: Int? = 26
  let isDown = Mutex(false)
  let asked = Mutex(0)
  init(_ id: String = "letters/26") { self.id = id }
  func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] {
    if isDown.withLock({ $0 }) { throw EmbeddingError(.unreachable, "no letters today") }
    asked.withLock { $0 += texts.count }
    if texts.contains(where: { $0.utf8.count > 50 }) { throw EmbeddingError(.refused, "too long") }
    return texts.map { text in
      var vector = [Float](repeating: 0.01, count: 26)
      if let letter = text.lowercased().utf8.first, (97...122).contains(letter) { vector[Int(letter) - 97] = 1 }
      return vector
    }
  }
}

/// The memory service with a store in a folder of its own, which is removed with it.
final class MemoryServiceInFolder: Sendable {
  let memories: Memories
  private let folder = FileManager.default.temporaryDirectory.path + "/bat-memories-\(UUID().uuidString)"
  init(_ embedder: any Embedder, limits: MemoryLimits = MemoryLimits()) {
    memories = Memories(store: SQLiteStore(folder: folder), embedders: Embedders(embedder, choice: "local"), limits: limits)
  }
  deinit {
    memories.stop()
    try? FileManager.default.removeItem(atPath: folder)
  }
  func ask(_ operation: String, _ arguments: JSON, as actor: MemoryRequest.Actor = .persona("ROBIN"), trace: String? = nil) async
    -> Result<MemoryResult, Failure>
  {
    await withCheckedContinuation { continuation in
      memories.perform(MemoryRequest(actor: actor, operation: operation, arguments: arguments.bytes, trace: trace)) {
        continuation.resume(returning: $0)
      }
    }
  }
  func callAsFunction(_ operation: String, _ arguments: JSON, as actor: MemoryRequest.Actor = .persona("ROBIN"), trace: String? = nil)
    async throws -> JSON
  {
    try JSON(parsing: try await ask(operation, arguments, as: actor, trace: trace).get().json)
  }
  func failure(_ operation: String, _ arguments: JSON, as actor: MemoryRequest.Actor = .persona("ROBIN")) async -> Failure? {
    if case .failure(let failure) = await ask(operation, arguments, as: actor) { failure } else { nil }
  }
}

@Suite("Memory service") struct MemoriesTests {
  @Test("texts are embedded as they come; a query finds by meaning and by words, and cites where it stands")
  func roundTrip() async throws {
    let memory = MemoryServiceInFolder(LetterEmbedder())
    _ = try await memory("create", ["collection": "c"])
    let added = try await memory(
      "add",
      [
        "collection": "c",
        "documents": [
          ["text": "apples are red", "metadata": ["kind": "fruit"], "source": "fruit.md", "place": "line 3"],
          ["id": "b", "text": "bats fly"],
        ],
      ], trace: "t-1")
    #expect(added["count"] == 2 && added["ids"]?.array?.count == 2 && added["ids"]?.array?.last == "b")
    guard case .success(let found) = await memory.ask("query", ["collection": "c", "text": "avocado", "limit": 1]) else {
      return #expect(Bool(false))
    }
    let passage = try #require(try JSON(parsing: found.json)["passages"]?.array?.first)
    #expect(passage["text"] == "apples are red" && passage["source"] == "fruit.md" && passage["message"] == "t-1")
    #expect(passage["persona"] == "ROBIN" && passage["collection"] == "ROBIN/c" && passage["metadata"] == ["kind": "fruit"])
    let citation = try JSON(parsing: try #require(found.citations.first))
    #expect(citation["source"] == "fruit.md" && citation["place"] == "line 3" && citation["score"]?.number ?? 0 > 0)
    let where_: JSON = ["collection": "c", "text": "avocado", "where": ["kind": ["$ne": "fruit"]]]
    #expect(try await memory("query", where_)["passages"]?.array?.compactMap { $0["id"]?.string } == ["b"])
    #expect(try await memory("query", ["collection": "c", "text": "fly", "mode": "words"])["passages"]?.array?.count == 1)
  }

  @Test("while the embedder does not answer, words are kept and found, and the vectors follow")
  func backlog() async throws {
    let embedder = LetterEmbedder()
    let memory = MemoryServiceInFolder(embedder)
    _ = try await memory("create", ["collection": "c"])
    embedder.isDown.withLock { $0 = true }
    let added = try await memory("add", ["collection": "c", "documents": [["id": "a", "text": "apples"], ["id": "b", "text": "bats"]]])
    #expect(added["note"] == "kept by their words alone, vectors follow: no letters today")
    #expect(try await memory("query", ["collection": "c", "text": "bats"])["passages"]?.array?.count == 1)
    embedder.isDown.withLock { $0 = false }
    // The next change gives the thread something to do; the one after it stands behind the vectors.
    for n in 0..<3 { _ = try await memory("add", ["collection": "c", "documents": [["id": .string("x\(n)"), "text": "xylophone"]]]) }
    #expect(try await memory("show", ["collection": "c"])["collection"]?["vectors"] == 5)
    #expect(
      try await memory("query", ["collection": "c", "text": "avocado", "limit": 1, "mode": "vectors"])["passages"]?.array?[0]["id"] == "a")
    embedder.isDown.withLock { $0 = true }
    let found = try await memory("query", ["collection": "c", "text": "bats"])
    #expect(found["note"] == "found by words alone: no letters today" && found["passages"]?.array?.count == 1)
  }

  @Test("a text that the embedder will not take is found by its words, and holds up no other")
  func refused() async throws {
    let memory = MemoryServiceInFolder(LetterEmbedder())
    _ = try await memory("create", ["collection": "c"])
    let long = String(repeating: "umbrella ", count: 10)
    let texts = ["apples", long, "bats", "cats", long + "again", "doves"]
    let documents = JSON.array(texts.enumerated().map { ["id": .string("\($0.offset)"), "text": .string($0.element)] })
    let added = try await memory("add", ["collection": "c", "documents": documents])
    #expect(added["note"] == "kept by their words alone, vectors follow: too long")
    // The first stands behind the vectors; another collection's come, too.
    _ = try await memory("create", ["collection": "d"])
    for n in 0..<3 { _ = try await memory("add", ["collection": "d", "documents": [["id": .string("x\(n)"), "text": "xylophone"]]]) }
    #expect(try await memory("show", ["collection": "c"])["collection"]?["vectors"] == 4)
    #expect(try await memory("show", ["collection": "d"])["collection"]?["vectors"] == 3)
    #expect(try await memory("query", ["collection": "c", "text": "umbrella", "mode": "words"])["passages"]?.array?.count == 2)
    #expect(try JSON(parsing: memory.memories.statistics())["waiting_for_vectors"] == nil)
  }

  @Test("vectors of two models are never mixed; reembed makes all anew in the background")
  func reembed() async throws {
    let first = LetterEmbedder()
    let memory = MemoryServiceInFolder(first)
    _ = try await memory("create", ["collection": "c", "embedder": "none"])
    _ = try await memory(
      "add",
      [
        "collection": "c", "model": "mine",
        "documents": [["id": "a", "text": "apples", "embedding": [1, 0]], ["id": "b", "text": "bats"]],
      ])
    #expect(try await memory("show", ["collection": "c"])["collection"]?["model"] == "mine")
    let mixed = await memory.failure("add", ["collection": "c", "documents": [["id": "z", "embedding": [1, 2]]]])
    #expect(mixed?.code == .invalid && mixed?.message.contains("vectors of mine, and these are of given") == true)
    #expect(try await memory("query", ["collection": "c", "embedding": [0.5, 0], "model": "mine"])["passages"]?.array?[0]["id"] == "a")
    let begun = try await memory("reembed", ["collection": "c", "embedder": "local"])
    #expect(begun["waiting"] == 2 && begun["collection"]?["embedder"] == "local")
    for n in 0..<3 { _ = try await memory("upsert", ["collection": "c", "documents": [["id": .string("y\(n)"), "text": "yes"]]]) }
    let collection = try await memory("show", ["collection": "c"])["collection"]
    #expect(collection?["vectors"] == 5 && collection?["model"] == "letters/26")
  }

  @Test(
    "a call that makes no sense is refused with the operation and the place",
    arguments: [
      ("qery", "{}", "the memory has no operation qery; it has add, count, create"),
      ("add", "[]", "the arguments are an object, not a list"),
      ("add", #"{"collection":"c"}"#, "memory add: \"documents\" is missing"),
      ("add", #"{"collection":"c","documents":[{"txt":"a"}]}"#, "documents[0] has no \"txt\""),
      ("query", #"{"collection":"c"}"#, "memory query: say what is looked for"),
      ("query", #"{"collection":"c","text":"a","where":{"a":{"$foo":1}}}"#, "where.a.$foo: there is no such operator"),
      ("query", #"{"collection":"c","text":"a","limt":1}"#, "memory query: there is no \"limt\"; it takes collection, text"),
      ("delete", #"{"collection":"c"}"#, "memory delete: say which"),
      ("forget", "{}", "say one of \"source\", \"message\" and \"persona\""),
      ("create", #"{"collection":"c","embedder":"foo"}"#, "\"foo\" is no embedder"),
      ("count", #"{"collection":"nope"}"#, "there is no collection nope for ROBIN"),
    ])
  func nonsense(_ operation: String, _ arguments: String, _ message: String) async throws {
    let memory = MemoryServiceInFolder(LetterEmbedder())
    let failure = await memory.failure(operation, try JSON(parsing: arguments.utf8))
    #expect(failure?.message.contains(message) == true, "\(failure as Any)")
  }

  @Test("a persona is refused what is another's; a client may everything; after the end nothing is taken")
  func rights() async throws {
    let memory = MemoryServiceInFolder(LetterEmbedder())
    _ = try await memory("create", ["collection": "diary"])
    #expect(await memory.failure("count", ["collection": "ROBIN/diary"], as: .persona("BABS"))?.code == .denied)
    #expect(try await memory("count", ["collection": "ROBIN/diary"], as: .client("parlor"))["count"] == 0)
    #expect(try await memory("share", ["collection": "diary", "readers": ["BABS"]])["collection"]?["readers"] == ["BABS"])
    #expect(try await memory("count", ["collection": "ROBIN/diary"], as: .persona("BABS"))["count"] == 0)
    let statistics = try JSON(parsing: memory.memories.statistics())
    #expect(statistics["embedder"] == "letters/26" && statistics["collections"] == 1)
    memory.memories.stop()
    #expect(await memory.failure("list", [:])?.code == .retired)
  }
}
