import Foundation
import Synchronization
import Testing
import Wire

@testable import Services

/// A store in a folder of its own, which is removed with it.
final class TemporaryStore {
  let folder: String
  private(set) var store: SQLiteStore
  /// What the store wrote into the log.
  let log = Log()
  final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func write(_ line: String) { lines.withLock { $0.append(line) } }
    var text: String { lines.withLock { $0.joined(separator: "\n") } }
  }

  init(limits: MemoryLimits = MemoryLimits()) {
    folder = FileManager.default.temporaryDirectory.path + "/bat-memory-\(UUID().uuidString)"
    store = SQLiteStore(folder: folder, limits: limits, clock: { 1_000 }, log: { [log] in log.write($0) })
  }

  /// As after a restart.
  func reopen() {
    store.stop()
    store = SQLiteStore(folder: folder, clock: { 2_000 }, log: { [log] in log.write($0) })
  }

  deinit {
    store.stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  @discardableResult
  func callAsFunction<Reply>(_ request: StoreRequest<Reply>, as access: Access = .persona("ROBIN")) async throws(MemoryError) -> Reply {
    try await store.perform(request, as: access)
  }
  func ids(_ request: StoreRequest<[StoredDocument]>, as access: Access = .persona("ROBIN")) async throws(MemoryError) -> [String] {
    try await self(request, as: access).map(\.id)
  }
  func ids(_ request: StoreRequest<[Hit]>, as access: Access = .persona("ROBIN")) async throws(MemoryError) -> [String] {
    try await self(request, as: access).map(\.document.id)
  }
  func failure<Reply>(_ request: StoreRequest<Reply>, as access: Access = .persona("ROBIN")) async -> MemoryError? {
    do throws(MemoryError) {
      _ = try await self(request, as: access)
      return nil
    } catch { return error }
  }
  /// Every byte of every file.
  func contains(_ text: String) -> Bool {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return files.contains { FileManager.default.contents(atPath: folder + "/" + $0)?.range(of: Data(text.utf8)) != nil }
  }
}

@Suite("Memory store") struct MemoryStoreTests {
  private func embedding(_ vector: Float...) -> Embedding { Embedding(model: "m/\(vector.count)", vector: vector) }

  @Test("documents are found by words, by vectors and by both; what is acknowledged is there after a restart")
  func roundTrip() async throws {
    let store = TemporaryStore()
    try await store(.create("cases"))
    let reply = try await store(
      .add(
        "cases",
        [
          Document(id: "a", text: "The Penguin stole an umbrella", metadata: ["year": 1966], embedding: embedding(1, 0)),
          Document(id: "b", text: "A riddle about a clock", metadata: ["year": 1967], embedding: embedding(0, 1)),
          Document(id: "c", text: "An umbrella and a clock", metadata: ["year": 1968], embedding: embedding(0.6, 0.8)),
        ]))
    #expect(reply == 3)
    store.reopen()
    #expect(try await store.ids(.query("cases", MemoryQuery(text: "umbrellas? UMBRELLA!"))) == ["a", "c"])
    #expect(try await store.ids(.query("cases", MemoryQuery(embedding: embedding(0, 1)))) == ["b", "c", "a"])
    #expect(try await store.ids(.query("cases", MemoryQuery(text: "umbrella clock", embedding: embedding(0.6, 0.8)))).first == "c")
    let later = Filter.key("year", .above(1966, orEqual: false))
    #expect(try await store.ids(.query("cases", MemoryQuery(embedding: embedding(1, 0), filter: later))) == ["c", "b"])
    #expect(try await store(.count("cases", later)) == 2)
    #expect(try await store.ids(.peek("cases", 2)) == ["a", "b"])
  }

  @Test("an upsert merges metadata; a new text without a vector takes the old vector away")
  func upsert() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", [Document(id: "a", text: "one", metadata: ["x": 1, "y": 2], embedding: embedding(1, 0))]))
    try await store(.upsert("c", [Document(id: "a", metadata: ["y": .null, "z": 3]), Document(id: "b", text: "two")]))
    let all = try await store(.get("c", Selection(withVectors: true)))
    let a = try #require(all.first { $0.id == "a" })
    #expect(a.metadata == ["x": 1, "z": 3] && a.vector == [1, 0] && a.text == "one")
    try await store(.update("c", [Document(id: "a", text: "three")]))
    #expect(try await store.ids(.query("c", MemoryQuery(embedding: embedding(1, 0)))) == [])
    #expect(try await store.ids(.query("c", MemoryQuery(text: "one"))) == [])
    #expect(try await store.ids(.query("c", MemoryQuery(text: "three"))) == ["a"])
  }

  @Test("an id that is there cannot be added, one that is missing not be updated, and nothing of such an operation is done")
  func atomic() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", [Document(id: "a", text: "one")]))
    let exists = await store.failure(.add("c", [Document(id: "n", text: "new"), Document(id: "a", text: "again")]))
    #expect(exists?.kind == .exists && exists?.message == "ROBIN/c has a document a already: use upsert or update to change it")
    #expect(await store.failure(.update("c", [Document(id: "n")]))?.kind == .notFound)
    #expect(try await store(.count("c")) == 1)
    #expect(try await store.ids(.query("c", MemoryQuery(text: "new"))) == [])
  }

  @Test("vectors of another model or dimension are refused, in documents and in queries, and the message says which")
  func mixing() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", [Document(id: "a", text: "one", embedding: embedding(1, 0))]))
    let other = Embedding(model: "other", vector: [1, 0])
    let refused = await store.failure(.add("c", [Document(id: "b", embedding: other)]))
    #expect(refused?.kind == .otherEmbedder && refused?.message.contains("vectors of m/2, and these are of other") == true)
    #expect(await store.failure(.query("c", MemoryQuery(embedding: other)))?.kind == .otherEmbedder)
    #expect(await store.failure(.add("c", [Document(id: "b", embedding: Embedding(model: "m/2", vector: [1]))]))?.kind == .otherEmbedder)
    #expect(await store.failure(.add("c", [Document(id: "b", embedding: Embedding(model: "m/2", vector: [.nan, 1]))]))?.kind == .invalid)
    // Made anew, they may be any.
    try await store(.dropVectors("c", embedder: "ollama:x"))
    let texts = try await store(.withoutVector("c", after: 0, limit: 10))
    #expect(texts.map(\.text) == ["one"])
    #expect(try await store(.fill("c", model: "other", [(texts[0].seq, [0, 0, 1])])) == 1)
    #expect(try await store.ids(.query("c", MemoryQuery(embedding: Embedding(model: "other", vector: [0, 1, 1])))) == ["a"])
  }

  @Test("a private collection is its owner's, a shared one everybody's, and the user may everything")
  func access() async throws {
    let store = TemporaryStore()
    try await store(.create("diary"))
    try await store(.create("news", .published))
    try await store(.add("diary", [Document(id: "a", text: "secret")]))
    let denied = await store.failure(.get("ROBIN/diary", Selection()), as: .persona("BABS"))
    #expect(denied?.kind == .denied && denied?.message == "BABS may not read the collection ROBIN/diary; ROBIN may, and the user")
    #expect(await store.failure(.get("diary", Selection()), as: .persona("BABS"))?.kind == .denied)
    #expect(try await store(.count("news"), as: .persona("BABS")) == 0)
    #expect(await store.failure(.add("news", [Document(id: "x")]), as: .persona("BABS"))?.kind == .denied)
    #expect(await store.failure(.drop("news"), as: .persona("BABS"))?.kind == .denied)
    try await store(.share("diary", Rights(readers: .these(["BABS"]), writers: .these([]))))
    #expect(try await store.ids(.get("diary", Selection()), as: .persona("BABS")) == ["a"])
    #expect(try await store.ids(.get("diary", Selection()), as: .user) == ["a"])
    let seen = try await store(.list, as: .persona("ALFRED"))
    #expect(seen.map(\.fullName) == ["ROBIN/news"])
    // A name of one's own goes before a shared one.
    try await store(.create("news"), as: .persona("BABS"))
    #expect(try await store(.show("news"), as: .persona("BABS")) != store(.show("news")))
    #expect(await store.failure(.count("news"), as: .user)?.message == "news may be any of BABS/news, ROBIN/news: say which")
  }

  @Test("what is forgotten is gone from every byte of the files")
  func forget() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    let from = { Origin(message: nil, source: $0, place: nil) }
    for n in 0..<50 {
      try await store(.add("c", [Document(id: "k\(n)", text: "kept word\(n)", origin: from("keep.md"))]))
      try await store(
        .add("c", [Document(id: "s\(n)", text: "zaphodsecret number\(n)", metadata: ["m": "zaphodmeta"], origin: from("secret.md"))]))
    }
    #expect(store.contains("zaphodsecret"))
    #expect(try await store(.forget(.source("secret.md"))) == 50)
    #expect(!store.contains("zaphodsecret") && !store.contains("zaphodmeta"))
    #expect(try await store(.count("c")) == 50)
    #expect(try await store(.forget(.persona("ROBIN"), collection: "c")) == 50)
    #expect(!store.contains("kept word"))
  }

  @Test("a source's documents are replaced as a whole, and its hash tells whether all of it has come")
  func sources() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.replace("c", source: "/a.md", hash: nil, [Document(id: "/a.md#1", text: "first")]))
    #expect(try await store(.sources("c")).sources == [StoredSource(source: "/a.md", hash: nil, changed: 1000)])
    try await store(.replace("c", source: "/a.md", hash: "h1", [Document(id: "/a.md#2", text: "second")], isFirst: false))
    #expect(try await store.ids(.get("c", Selection())) == ["/a.md#1", "/a.md#2"])
    try await store(.replace("c", source: "/a.md", hash: "h2", [Document(id: "/a.md#1", text: "other")]))
    #expect(try await store.ids(.get("c", Selection())) == ["/a.md#1"])
    #expect(try await store.ids(.query("c", MemoryQuery(text: "first second other"))) == ["/a.md#1"])
    #expect(try await store(.sources("c", under: "/b")).sources == [])
    try await store(.replace("c", source: "/a.md", hash: nil, []))
    #expect(try await store(.sources("c")).sources == [])
    #expect(try await store(.count("c")) == 0)
  }

  @Test("an export has every document, page by page; a dropped collection is gone with its files")
  func export() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    let long = String(repeating: "x", count: 100_000)
    for n in 0..<7 { try await store(.add("c", [Document(id: "\(n)", text: long, embedding: embedding(1, Float(n)))])) }
    var lines: [String] = []
    var after: Int64? = 0
    var pages = 0
    while let from = after {
      let page = try await store(.export("c", after: from))
      lines += String(decoding: page.lines, as: UTF8.self).split(separator: "\n").map(String.init)
      (after, pages) = (page.next, pages + 1)
    }
    #expect(lines.count == 7 && pages > 1)
    #expect(try lines.map { try JSON(parsing: $0.utf8)["id"] } == (0..<7).map { .string("\($0)") })
    _ = try await store(.query("c", MemoryQuery(embedding: embedding(1, 0))))
    try await store(.drop("c"))
    #expect(await store.failure(.count("c"))?.kind == .notFound)
    #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).filter { $0.hasPrefix("vectors") } == [])
    #expect(!store.contains(String(long.prefix(1000))))
  }

  @Test("an index that is gone, damaged or behind is made again")
  func index() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    func add(_ n: Int) async throws { try await store(.add("c", [Document(id: "\(n)", text: "t", embedding: embedding(1, Float(n)))])) }
    for n in 0..<20 { try await add(n) }
    let query = StoreRequest.query("c", MemoryQuery(embedding: embedding(0, 1), limit: 2))
    #expect(try await store.ids(query) == ["19", "18"])
    let path = store.folder + "/vectors-1.index"
    store.reopen()
    try FileManager.default.removeItem(atPath: path)
    #expect(try await store.ids(query) == ["19", "18"])
    store.reopen()
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: 4096 + 20480 + 5)
    try handle.write(contentsOf: Data([77]))
    try handle.close()
    #expect(try await store.ids(query) == ["19", "18"])
    // A copy from before.
    store.reopen()
    let old = try #require(FileManager.default.contents(atPath: path))
    try await add(20)
    store.reopen()
    try old.write(to: URL(fileURLWithPath: path))
    #expect(try await store.ids(query) == ["20", "19"])
    #expect(store.store.statistics()["index_repairs"]?.int == 1)
  }

  private func change(_ folder: String, _ sql: [String]) throws {
    let database = try SQLiteDatabase(folder + "/memory.sqlite")
    for sql in sql { try database.run(sql, keep: false) }
  }

  @Test("a file of the first schema is brought to this one, and nothing in it is lost")
  func upgrade() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.create("empty"))
    let metadata: [String: JSON] = ["year": 1966, "tags": ["cave", "bat"], "open": true]
    try await store(.add("c", [Document(id: "a", text: "the cave", metadata: metadata, embedding: embedding(1, 0)), Document(id: "b")]))
    store.store.stop()
    try change(
      store.folder,
      [1, 2].flatMap({ n in
        [
          "ALTER TABLE metadata_\(n) RENAME TO new",
          "CREATE TABLE metadata_\(n)(document INTEGER NOT NULL, key TEXT NOT NULL, value NOT NULL, PRIMARY KEY (document, key, value)) WITHOUT ROWID",
          "CREATE INDEX values_of_\(n) ON metadata_\(n)(key, value, document)",
          "INSERT INTO metadata_\(n) SELECT document, key, value FROM new", "DROP TABLE new",
        ]
      }) + ["PRAGMA user_version = 1"])
    store.reopen()
    for filter in [
      Filter.key("year", .above(1960, orEqual: true)), .key("tags", .listContains("bat")), .key("open", .equals(true)),
    ] {
      #expect(try await store.ids(.get("c", Selection(filter: filter))) == ["a"])
      #expect(try await store.ids(.query("c", MemoryQuery(embedding: embedding(0, 1), filter: filter))) == ["a"])
    }
    try await store(.upsert("c", [Document(id: "a", metadata: ["year": 1939])]))
    #expect(try await store(.count("c", .key("year", .above(1960, orEqual: true)))) == 0)
    for (name, count) in [("c", 2), ("empty", 0)] { #expect(try await store(.count(name, .everything)) == count) }
    store.reopen()
    #expect(try await store.ids(.get("c", Selection(filter: .key("year", .equals(1939))))) == ["a"])
  }

  @Test("a second store in the same folder is refused, and says why")
  func lock() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    let second = SQLiteStore(folder: store.folder)
    defer { second.stop() }
    await #expect(throws: MemoryError.self) { try await second.perform(.list, as: .user) }
  }

  @Test("whatever is over a limit is refused, and the message names the limit")
  func limits() async throws {
    var limits = MemoryLimits()
    (limits.id, limits.text, limits.metadata, limits.batch, limits.results) = (8, 20, 30, 3, 5)
    let store = TemporaryStore(limits: limits)
    try await store(.create("c"))
    func refusal(_ documents: [Document]) async -> MemoryError.Kind? { await store.failure(.add("c", documents))?.kind }
    #expect(await refusal([Document(id: "123456789")]) == .tooLarge)
    #expect(await refusal([Document(id: "1", text: String(repeating: "x", count: 21))]) == .tooLarge)
    #expect(await refusal([Document(id: "1", metadata: ["a": "012345678901234567890123456789"])]) == .tooLarge)
    #expect(await refusal((0..<4).map { Document(id: "\($0)") }) == .tooLarge)
    #expect(await refusal([Document(id: "1", metadata: ["$a": 1])]) == .invalid)
    #expect(await refusal([Document(id: "1", metadata: ["a": ["b": 1]])]) == .invalid)
    for n in 0..<6 { try await store(.add("c", [Document(id: "\(n)")])) }
    #expect(await store.failure(.get("c", Selection()))?.kind == .tooLarge)
    #expect(await store.failure(.delete("c", Selection(ids: ["0", "1", "2", "3"])))?.kind == .tooLarge)
    #expect(try await store.ids(.get("c", Selection(limit: 5, offset: 4))) == ["4", "5"])
  }
}
