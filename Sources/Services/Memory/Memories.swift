// The memory service: what rag/1 and KERNEL's memory.* do. How the pieces fit:
//
//   perform() ─▶ MemoryRequest, read into ─▶ writing thread ─▶ Embedders (vectors) ─▶ MemoryStore ─▶ SQLiteStore …
//                a MemoryCall             ─▶ reading thread ─────────────────────────▶ (keeps, finds)
//                                         └▶ searching thread ─▶ QueryEmbedder ───────▶
//
// Three threads stand before the store's own, because making vectors takes time, with a server even seconds: one for what
// changes something, in its order; one for what only reads; and one for queries that need a vector of their text, so that
// nothing else waits behind these. Whatever has been answered is seen by every later request, since it is committed by then.
//
// A document is never lost for want of a vector: where the embedder is missing or does not answer, its words are stored and
// found, the reply has a note, and the vector is made later (`EmbeddingBacklog`).

import CVector
import Kernel
import Protocol
import Synchronization
import System
import Wire

/// The memory of all personas: collections in a store, with vectors made by an embedder.
public final class Memories: MemoryService {
  private let store: any MemoryStore
  private let embedders: Embedders
  private let limits: MemoryLimits
  private let writing: OperationThread
  private let reading: OperationThread
  private let searching: OperationThread
  private let queryEmbedder: QueryEmbedder
  private let search: PassageSearch
  private let backlog: EmbeddingBacklog
  /// Whether the writing thread has been told to go on with the backlog.
  private let isContinuing = Atomic(false)

  /// - Parameters:
  ///   - dataFolder: the store is kept in its folder "memory".
  ///   - log: called on any thread.
  public convenience init(
    _ configuration: MemoryConfiguration, dataFolder: String, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    // Before the first file is mapped: the kernel takes a later change of a signal for a library's doing.
    bat_guard_install()
    self.init(
      store: SQLiteStore(folder: dataFolder + "/memory", log: { log(.warning, $0) }),
      embedders: Embedders(configuration, log: { log(.warning, $0) }), log: log)
  }

  init(
    store: any MemoryStore, embedders: Embedders, limits: MemoryLimits = MemoryLimits(),
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void = { _, _ in }
  ) {
    self.store = store
    self.embedders = embedders
    self.limits = limits
    writing = OperationThread(name: "memory-in", limits: limits)
    reading = OperationThread(name: "memory-out", limits: limits)
    searching = OperationThread(name: "memory-search", limits: limits)
    queryEmbedder = QueryEmbedder(milliseconds: limits.vectorMilliseconds)
    search = PassageSearch(store: store, embedders: embedders, queryEmbedder: queryEmbedder)
    backlog = EmbeddingBacklog(store: store, embedders: embedders, log: log)
  }

  private typealias End = @Sendable (Result<MemoryResult, Failure>) -> Void

  public func perform(_ request: MemoryRequest, onEnd: @escaping @Sendable (Result<MemoryResult, Failure>) -> Void) {
    let arrived = MachineClock.now()
    let isWrite = MemoryOperation.named(request.operation)?.changes == true
    do throws(MemoryError) {
      try (isWrite ? writing : reading).post(request) { [self] in
        do throws(MemoryError) { try perform(request, arrived, onEnd) } catch { onEnd(.failure(Failure(error))) }
        if isWrite { makeVectors() }
      }
    } catch {
      Task.detached { onEnd(.failure(Failure(error))) }
    }
  }

  public func configure(_ configuration: MemoryConfiguration) { embedders.configure(configuration) }

  public func statistics() -> [UInt8] {
    var members = store.statistics().object ?? [:]
    members["embedder"] = embedders.state
    let waiting = backlog.count
    if waiting > 0 { members["waiting_for_vectors"] = .int(waiting) }
    return JSON.object(members).bytes
  }

  public func stop() {
    backlog.stop()
    // Whoever waits for a server is let go.
    embedders.stop()
    writing.stop()
    reading.stop()
    searching.stop()
    queryEmbedder.stop()
    store.stop()
  }

  // MARK: One operation

  /// Does it, or hands it to the searching thread. On the writing and the reading thread only.
  private func perform(_ request: MemoryRequest, _ arrived: UInt64, _ onEnd: @escaping End) throws(MemoryError) {
    let access =
      switch request.actor {
      case .persona(let name): Access.persona(name)
      case .client: Access.user
      }
    switch try MemoryCall(request, limits: limits) {
    case .plain(let request): onEnd(.success(MemoryResult(json: try store.wait(for: request, as: access).bytes)))
    case .put(let put): onEnd(.success(MemoryResult(json: try perform(put, as: access).bytes)))
    case .query(let name, let query):
      let prepared = PassageSearch.Prepared(query: query, collection: try store.wait(for: .show(name), as: access))
      guard let text = search.textToEmbed(prepared) else { return onEnd(.success(try search.find(prepared, as: access))) }
      try searching.post(request) { [search] in
        do throws(MemoryError) {
          onEnd(.success(try search.find(search.embedded(prepared, text: text, arrived: arrived), as: access)))
        } catch { onEnd(.failure(Failure(error))) }
      }
    case .reembed(let name, let embedder):
      onEnd(.success(MemoryResult(json: try reembed(name, embedder, access).bytes)))
    }
  }

  /// Stores documents with the vectors that the collection's embedder makes of their texts.
  private func perform(_ put: MemoryCall.Put, as access: Access) throws(MemoryError) -> JSON {
    let collection = try store.wait(for: .show(put.collection), as: access)
    var documents = put.documents
    let note = try embed(&documents, for: collection)
    var json: [String: JSON] = ["count": .int(try store.wait(for: put.request(documents), as: access))]
    if put.tellsIDs, !documents.isEmpty { json["ids"] = .array(documents.map { .string($0.id) }) }
    json["note"] = note.map(JSON.string)
    return .object(json)
  }

  /// - Returns: why documents have no vectors yet, for whoever asked; nil: they have theirs, or are to have none.
  private func embed(_ documents: inout [Document], for collection: MemoryCollection) throws(MemoryError) -> String? {
    let places = documents.indices.filter { documents[$0].embedding == nil && documents[$0].text?.isEmpty == false }
    if places.isEmpty || collection.embedder == "none" { return nil }
    do throws(EmbeddingError) {
      guard let embedder = try embedders.get(collection.embedder) else { return nil }
      if let model = collection.model, model != embedder.id {
        throw EmbeddingError(
          .misconfigured,
          "\(collection.fullName) holds vectors of \(model), and the embedder is \(embedder.id) now: they cannot be compared. Have all made anew (memory.reembed)"
        )
      }
      let vectors = try embedder.embed(places.map { documents[$0].text ?? "" })
      for (place, vector) in zip(places, vectors) where !vector.isEmpty {
        documents[place].embedding = Embedding(model: embedder.id, vector: vector)
      }
      return nil
    } catch {
      if error.reason == .misconfigured { throw MemoryError(.otherEmbedder, error.description) }
      // Those whose embedder is not installed follow when somebody says so (reembed), or after the next start.
      if error.reason == .unreachable || error.reason == .refused { backlog.add(collection.fullName) }
      return "kept by their words alone, vectors follow: \(error.description)"
    }
  }

  // MARK: Vectors that are made later

  /// Takes the vectors away and has them made anew by the embedder of that choice; or, if that changes nothing, has those
  /// made that are missing.
  private func reembed(_ name: String, _ choice: String?, _ access: Access) throws(MemoryError) -> JSON {
    var collection = try store.wait(for: .show(name), as: access)
    let embedder: (any Embedder)?
    do throws(EmbeddingError) { embedder = try embedders.get(choice ?? collection.embedder) } catch {
      throw MemoryError(error.reason == .misconfigured ? .invalid : .storage, error.description)
    }
    guard let embedder else { throw MemoryError(.invalid, "there is no embedder: \"none\" is set for \(collection.fullName)") }
    if collection.model.map({ $0 != embedder.id }) ?? false || (choice != nil && choice != collection.embedder) {
      collection = try store.wait(for: .dropVectors(collection.fullName, embedder: choice ?? collection.embedder), as: access)
    } else {
      try access.checkWrite(collection)
    }
    backlog.addFirst(collection.fullName)
    return ["collection": collection.json, "waiting": .int(collection.documents - collection.vectors)]
  }

  /// Makes the next vectors, between what others want. On the writing thread only.
  private func makeVectors() {
    guard !isContinuing.load(ordering: .relaxed), backlog.makeNext() else { return }
    isContinuing.store(true, ordering: .relaxed)
    do throws(MemoryError) {
      try writing.post { [weak self] in
        self?.isContinuing.store(false, ordering: .relaxed)
        self?.makeVectors()
      }
    } catch { isContinuing.store(false, ordering: .relaxed) }
  }
}

extension Failure {
  init(_ error: MemoryError) {
    let code: Failure.Code =
      switch error.kind {
      case .invalid, .exists, .otherEmbedder: .invalid
      case .notFound: .notFound
      case .denied: .denied
      case .tooLarge: .tooLong
      case .storage, .diskFull, .damaged: .failed
      case .queueFull: .queueFull
      case .stopped: .retired
      }
    // What was asked for may be part of it, at any length.
    let text = error.message.utf8
    self.init(code, text.count > 2000 ? String(decoding: text.prefix(1000), as: UTF8.self) + "… (shortened)" : error.message)
  }
}
