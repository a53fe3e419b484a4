// The memory service: what rag/1 and KERNEL's memory.* do. How the pieces fit:
//
//   perform() ─▶ MemoryOrder, read into ─▶ Embedders ─▶ MemoryStore ─▶ SQLiteStore …
//                a MemoryCall              (vectors)    (keeps, finds)
//
// Two threads stand before the store's own, because making vectors takes time, with a server even seconds: one for what
// changes something, in its order, and one for what only looks, so that a question does not wait behind a thousand
// documents. Whatever has been answered is seen by every later question, since it is committed by then.
//
// A document is never lost for want of a vector: where the embedder is missing or does not answer, its words are kept and
// found, the answer has a note, and the vector is made later (`Backlog`).

import Kernel
import Protocol
import Synchronization
import System
import Wire

/// The memory of all personas: collections in a store, with vectors made by an embedder.
public final class Memories: MemoryService {
  private let store: any MemoryStore
  private let embedders: Embedders
  private let writing: SerialThread<@Sendable () -> Void>
  private let reading: SerialThread<@Sendable () -> Void>
  private let backlog = Mutex(Backlog())
  private let log: @Sendable (LogConfiguration.Level, String) -> Void
  private let limits: MemoryLimits

  /// - Parameters:
  ///   - dataFolder: the store is kept in its folder "memory".
  ///   - log: called on any thread.
  public convenience init(
    _ configuration: MemoryConfiguration, dataFolder: String, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.init(
      configuration, store: SQLiteStore(folder: dataFolder + "/memory", log: { log(.warning, $0) }),
      embedders: Embedders(configuration, log: { log(.warning, $0) }), log: log)
  }

  init(
    _ configuration: MemoryConfiguration, store: any MemoryStore, embedders: Embedders, limits: MemoryLimits = MemoryLimits(),
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void = { _, _ in }
  ) {
    self.store = store
    self.embedders = embedders
    self.limits = limits
    self.log = log
    writing = SerialThread(name: "memory-in") { SerialWorker { jobs in for job in jobs { job() } } }
    reading = SerialThread(name: "memory-out") { SerialWorker { jobs in for job in jobs { job() } } }
  }

  public func perform(_ order: MemoryOrder, onEnd: @escaping @Sendable (Result<MemoryAnswer, Failure>) -> Void) {
    let thread = MemoryCall.changes(order.operation) ? writing : reading
    let isTaken = thread.post { [self] in
      do throws(MemoryError) {
        onEnd(.success(try answer(order)))
      } catch { onEnd(.failure(Failure(error))) }
      if thread === writing { workOff() }
    }
    if case .failure = isTaken {
      Task.detached { onEnd(.failure(Failure(.retired, "the kernel is stopping; the memory takes nothing any more"))) }
    }
  }

  public func configure(_ configuration: MemoryConfiguration) { embedders.configure(configuration) }

  public func statistics() -> [UInt8] {
    var members = store.statistics().object ?? [:]
    members["embedder"] = embedders.state
    let waiting = backlog.withLock { $0.collections.count }
    if waiting > 0 { members["waiting_for_vectors"] = .int(waiting) }
    return JSON.object(members).bytes
  }

  public func stop() {
    // Whoever waits for a server is let go.
    backlog.withLock { $0.isStopped = true }
    embedders.stop()
    writing.stop()
    reading.stop()
    store.stop()
  }

  // MARK: One operation

  /// Blocks until the store has done it. On the two threads only.
  private func ask(_ request: MemoryRequest, _ access: Access) throws(MemoryError) -> MemoryReply {
    let done = Promise<Result<MemoryReply, MemoryError>>()
    store.perform(request, as: access) { done.fulfill($0) }
    return try done.wait().get()
  }

  private func collection(_ name: String, _ access: Access) throws(MemoryError) -> MemoryCollection {
    guard case .collection(let collection) = try ask(.show(name), access) else { preconditionFailure("show replies with a collection") }
    return collection
  }

  private func answer(_ order: MemoryOrder) throws(MemoryError) -> MemoryAnswer {
    let access =
      switch order.actor {
      case .persona(let name): Access.persona(name)
      case .client: Access.user
      }
    let call = try MemoryCall(order, limits: limits)
    switch call.kind {
    case .plain(let request):
      return MemoryAnswer(json: try ask(request, access).json(of: call).bytes)
    case .put(let name, let documents, let make):
      var note: String?
      let documents = try embedded(documents, for: try collection(name, access), &note)
      var json = try ask(make(documents), access).json(of: call).object ?? [:]
      json["note"] = note.map(JSON.string)
      return MemoryAnswer(json: JSON.object(json).bytes)
    case .query(let name, let query):
      return try find(name, query, access)
    case .reembed(let name, let embedder):
      return MemoryAnswer(json: try reembed(name, embedder, access).bytes)
    }
  }

  /// The documents with the vectors that the collection's embedder makes of their texts.
  private func embedded(_ documents: [Document], for collection: MemoryCollection, _ note: inout String?) throws(MemoryError) -> [Document]
  {
    let places = documents.indices.filter { documents[$0].embedding == nil && documents[$0].text?.isEmpty == false }
    if places.isEmpty || collection.embedder == "none" { return documents }
    do throws(EmbeddingError) {
      guard let embedder = try embedders.get(collection.embedder) else { return documents }
      if let model = collection.model, model != embedder.id {
        throw EmbeddingError(
          .misconfigured,
          "\(collection.fullName) holds vectors of \(model), and the embedder is \(embedder.id) now: they cannot be compared. Have all made anew (memory.reembed)"
        )
      }
      let vectors = try embedder.embed(places.map { documents[$0].text ?? "" })
      var documents = documents
      for (place, vector) in zip(places, vectors) where !vector.isEmpty {
        documents[place].embedding = Embedding(model: embedder.id, vector: vector)
      }
      return documents
    } catch {
      if error.reason == .misconfigured { throw MemoryError(.otherEmbedder, error.description) }
      note = "kept by their words alone, vectors follow: \(error.description)"
      // Those with an embedder that is not installed follow when somebody says so (reembed), or with the next start.
      if error.reason == .unreachable || error.reason == .refused { backlog.withLock { $0.add(collection.fullName) } }
      return documents
    }
  }

  private func find(_ name: String, _ query: MemoryQuery, _ access: Access) throws(MemoryError) -> MemoryAnswer {
    let collection = try collection(name, access)
    var query = query
    var note: String?
    if query.embedding == nil, query.mode != .words, let text = query.text, !text.isEmpty, collection.vectors > 0 {
      do throws(EmbeddingError) {
        if let embedder = try embedders.get(collection.embedder) {
          if embedder.id == collection.model {
            let vector = try embedder.embed([text])[0]
            if !vector.isEmpty { query.embedding = Embedding(model: embedder.id, vector: vector) }
          } else {
            note =
              "found by words alone: \(collection.fullName) holds vectors of \(collection.model ?? "nobody"), and the embedder is \(embedder.id) now (memory.reembed)"
          }
        }
      } catch { note = "found by words alone: \(error.description)" }
    }
    if query.embedding == nil, query.mode == .fused || query.mode == .vectors, query.text != nil {
      if query.mode == .vectors {
        throw MemoryError(
          .invalid, note ?? "\(collection.fullName) has no vectors that could be searched: leave \"mode\" out, or say \"words\"")
      }
      query.mode = .words
    }
    guard case .hits(let hits) = try ask(.query(collection.fullName, query), access) else {
      preconditionFailure("a query replies with hits")
    }
    var json: [String: JSON] = ["passages": .array(hits.map { $0.json(in: collection) })]
    json["note"] = note.map(JSON.string)
    return MemoryAnswer(json: JSON.object(json).bytes, citations: hits.map { $0.citation(in: collection).bytes })
  }

  // MARK: Vectors that are made later

  /// What has documents without vectors, and what is done about it.
  private struct Backlog {
    /// Full names, in the order in which they came.
    var collections: [String] = []
    /// Where the first of them stands.
    var after: Int64 = 0
    var isPosted = false
    var isStopped = false
    /// Texts that an embedder would not take, as people were told: collection and `seq`.
    var refused: Set<String> = []
    /// What an earlier kernel left was looked for.
    var hasLooked = false

    mutating func add(_ name: String) { if !collections.contains(name) { collections.append(name) } }
  }
  /// So few that what others write does not wait long behind a slow server.
  private static let batch = 16

  /// Takes the vectors away and has them made anew by the embedder of that choice; or, without a change of it, makes those that are missing.
  private func reembed(_ name: String, _ choice: String?, _ access: Access) throws(MemoryError) -> JSON {
    var collection = try collection(name, access)
    let embedder: (any Embedder)?
    do throws(EmbeddingError) { embedder = try embedders.get(choice ?? collection.embedder) } catch {
      throw MemoryError(error.reason == .misconfigured ? .invalid : .storage, error.description)
    }
    guard let embedder else { throw MemoryError(.invalid, "there is no embedder: \"none\" is set for \(collection.fullName)") }
    if collection.model.map({ $0 != embedder.id }) ?? false || (choice != nil && choice != collection.embedder) {
      guard case .collection(let changed) = try ask(.dropVectors(collection.fullName, embedder: choice ?? collection.embedder), access)
      else {
        preconditionFailure("dropVectors replies with a collection")
      }
      collection = changed
    } else {
      try access.checkWrite(collection)
    }
    backlog.withLock {
      $0.collections.removeAll { $0 == collection.fullName }
      $0.collections.insert(collection.fullName, at: 0)
      $0.after = 0
    }
    return ["collection": collection.json, "waiting": .int(collection.documents - collection.vectors)]
  }

  /// Once: what an earlier kernel has not finished, or what has come while no embedder was there.
  private func lookForUnfinished() {
    let isFirst = backlog.withLock { backlog in
      defer { backlog.hasLooked = true }
      return !backlog.hasLooked
    }
    guard isFirst, let reply = try? ask(.list, .user), case .collections(let collections) = reply else { return }
    backlog.withLock { backlog in
      for collection in collections where collection.embedder != "none" && collection.vectors < collection.documents {
        backlog.add(collection.fullName)
      }
    }
  }

  /// A vector for each text, nil where the embedder will not take the text, as one that is too long for it: that holds up
  /// nobody else's.
  ///
  /// - Throws: what is wrong with the embedder itself, which then takes no other text either.
  private static func embed(_ texts: ArraySlice<PendingText>, _ embedder: any Embedder, _ refusal: inout EmbeddingError?)
    throws(EmbeddingError) -> [[Float]?]
  {
    do throws(EmbeddingError) { return try embedder.embed(texts.map(\.text)) } catch {
      guard error.reason == .refused else { throw error }
      if refusal == nil { _ = try embedder.embed(["a"]) }
      refusal = error
      if texts.count == 1 { return [nil] }
      let middle = texts.startIndex + texts.count / 2
      return try embed(texts[..<middle], embedder, &refusal) + embed(texts[middle...], embedder, &refusal)
    }
  }

  /// Once of each text; they are tried again when the collection changes.
  private func tell(_ refused: [Int64], of collection: String, _ refusal: EmbeddingError) {
    let new = backlog.withLock { backlog in refused.filter { backlog.refused.insert("\(collection) \($0)").inserted }.count }
    if new > 0 {
      log(.warning, "\(new) texts of \(collection) get no vectors, and are found by their words alone: \(refusal.description)")
    }
  }

  /// Makes the next vectors, between what others want. On the writing thread.
  private func workOff() {
    lookForUnfinished()
    let (next, after) = backlog.withLock { backlog -> (String?, Int64) in
      if backlog.isPosted || backlog.isStopped { return (nil, 0) }
      return (backlog.collections.first, backlog.after)
    }
    guard let next else { return }
    var isWaiting = true
    do {
      let collection = try collection(next, .user)
      guard case .texts(let texts) = try ask(.withoutVector(next, after: after, limit: Self.batch), .user) else { return }
      if texts.isEmpty {
        isWaiting = false
      } else if let embedder = try embedders.get(collection.embedder) {
        var refusal: EmbeddingError?
        let vectors = try Self.embed(texts[...], embedder, &refusal)
        let made = zip(texts, vectors).compactMap { text, vector in vector.flatMap { $0.isEmpty ? nil : (seq: text.seq, vector: $0) } }
        if !made.isEmpty { _ = try ask(.fill(next, model: embedder.id, made), .user) }
        if let refusal { tell(zip(texts, vectors).filter { $0.1 == nil }.map(\.0.seq), of: next, refusal) }
      } else {
        isWaiting = false
      }
      backlog.withLock { backlog in
        guard backlog.collections.first == next else { return }
        backlog.after = isWaiting ? texts.last?.seq ?? 0 : 0
        if !isWaiting { backlog.collections.removeFirst() }
      }
    } catch let error as EmbeddingError where error.reason == .notInstalled {
      // The log has it; and what is missing will not come by itself.
      return backlog.withLock { if $0.collections.first == next { $0.collections.removeFirst() } }
    } catch let error as EmbeddingError {
      log(.warning, "the vectors of \(next) have to wait for the next change: \(error.description)")
      return
    } catch {
      log(.warning, "the vectors of \(next) are not made: \(error)")
      backlog.withLock { backlog in
        if backlog.collections.first == next { backlog.collections.removeFirst() }
        backlog.after = 0
      }
    }
    backlog.withLock { $0.isPosted = true }
    let isTaken = writing.post { [weak self] in
      self?.backlog.withLock { $0.isPosted = false }
      self?.workOff()
    }
    if case .failure = isTaken { backlog.withLock { $0.isPosted = false } }
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
      case .storage, .damaged: .failed
      case .stopped: .retired
      }
    self.init(code, error.message)
  }
}
