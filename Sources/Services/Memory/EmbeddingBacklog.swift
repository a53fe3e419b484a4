import Kernel
import Synchronization

/// Collections with documents that have no vector yet, and the making of these, a few at a time.
///
/// What changes it runs on the writing thread; `count` and `stop` may be called on any.
final class EmbeddingBacklog: Sendable {
  private struct State {
    /// Full names, in the order in which they came.
    var collections: [String] = []
    /// Of the first of them, up to which `seq` its texts have been looked at.
    var after: Int64 = 0
    var isStopped = false
    /// What an earlier kernel left undone was looked for.
    var hasLooked = false
    /// By collection, up to which `seq` the log was told of texts that an embedder refused, and when the collection was made.
    var told: [String: (seq: Int64, created: Int64)] = [:]

    mutating func removeFirst(_ name: String) {
      guard collections.first == name else { return }
      collections.removeFirst()
      after = 0
    }
  }

  /// So few that what others write does not wait long behind a slow server.
  private static let batch = 16

  private let store: any MemoryStore
  private let embedders: Embedders
  private let log: @Sendable (LogConfiguration.Level, String) -> Void
  private let state = Mutex(State())

  init(store: any MemoryStore, embedders: Embedders, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void) {
    self.store = store
    self.embedders = embedders
    self.log = log
  }

  /// How many collections wait.
  var count: Int { state.withLock { $0.collections.count } }

  /// Makes no more vectors.
  func stop() { state.withLock { $0.isStopped = true } }

  func add(_ collection: String) {
    state.withLock { if !$0.collections.contains(collection) { $0.collections.append(collection) } }
  }

  /// Puts it before all others, and looks at all of its documents.
  func addFirst(_ collection: String) {
    state.withLock {
      $0.collections.removeAll { $0 == collection }
      $0.collections.insert(collection, at: 0)
      $0.after = 0
    }
  }

  /// Makes the next few vectors.
  ///
  /// - Returns: whether there may be more to do; if an embedder does not answer, it waits for the next change instead.
  func makeNext() -> Bool {
    lookForUnfinished()
    let (next, after) = state.withLock { ($0.isStopped ? nil : $0.collections.first, $0.after) }
    guard let next else { return false }
    do {
      if let last = try makeVectors(of: next, after: after) {
        state.withLock { if $0.collections.first == next { $0.after = last } }
      } else {
        state.withLock { $0.removeFirst(next) }
      }
    } catch let error as EmbeddingError where error.reason == .notInstalled {
      // The log says so already; and what is missing will not come by itself.
      state.withLock { $0.removeFirst(next) }
      return false
    } catch let error as EmbeddingError {
      log(.warning, "the vectors of \(next) have to wait for the next change: \(error.description)")
      return false
    } catch {
      log(.warning, "the vectors of \(next) are not made: \(error)")
      state.withLock { $0.removeFirst(next) }
    }
    return true
  }

  /// Once: adds what an earlier kernel has not finished, and what was written while there was no embedder.
  private func lookForUnfinished() {
    let isFirst = state.withLock { state in
      defer { state.hasLooked = true }
      return !state.hasLooked
    }
    guard isFirst else { return }
    do throws(MemoryError) {
      for collection in try store.wait(for: .list, as: .user)
      where collection.embedder != "none" && collection.vectors < collection.documents { add(collection.fullName) }
    } catch { log(.warning, "documents that an earlier kernel left without vectors are not looked for: \(error.message)") }
  }

  /// Makes the vectors of the collection's next texts behind `after`.
  ///
  /// - Returns: the last `seq` that was looked at; nil: there are no more.
  private func makeVectors(of name: String, after: Int64) throws -> Int64? {
    let collection = try store.wait(for: .show(name), as: .user)
    let texts = try store.wait(for: .withoutVector(name, after: after, limit: Self.batch), as: .user)
    guard let last = texts.last, let embedder = try embedders.get(collection.embedder) else { return nil }
    var refusal: EmbeddingError?
    let vectors = try Self.embed(texts[...], embedder, &refusal)
    let made = zip(texts, vectors).compactMap { text, vector in vector.flatMap { $0.isEmpty ? nil : (seq: text.seq, vector: $0) } }
    if !made.isEmpty { _ = try store.wait(for: .fill(name, model: embedder.id, made), as: .user) }
    if let refusal { tell(zip(texts, vectors).filter { $0.1 == nil }.map(\.0.seq), of: collection, refusal) }
    return last.seq
  }

  /// A vector for each text, nil where the embedder refuses the text, for example because it is too long: the other texts get theirs.
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

  /// Says once of each text that it is refused; all are tried again when the collection changes.
  private func tell(_ refused: [Int64], of collection: MemoryCollection, _ refusal: EmbeddingError) {
    let new = state.withLock { state in
      let told = state.told[collection.fullName]
      let new = refused.filter { told?.created != collection.created || $0 > told?.seq ?? 0 }
      if let last = new.last { state.told[collection.fullName] = (last, collection.created) }
      return new.count
    }
    if new > 0 {
      log(.warning, "\(new) texts of \(collection.fullName) get no vectors, and are found by their words alone: \(refusal.description)")
    }
  }
}
