import Kernel
import Wire

/// Queries: whether one needs a vector of its text, how it gets one, and what it is answered with. Blocks the calling thread.
struct PassageSearch: Sendable {
  let store: any MemoryStore
  let embedders: Embedders
  let queryEmbedder: QueryEmbedder

  /// A query, and what has become of its vector.
  struct Prepared: Sendable {
    var query: MemoryQuery
    let collection: MemoryCollection
    /// Why words alone serve, for whoever asked.
    var note: String?
  }

  /// - Returns: the text that a vector has to be made of; nil: the query can be done as it is.
  func textToEmbed(_ prepared: Prepared) -> String? {
    let query = prepared.query
    guard query.embedding == nil, query.mode != .words, prepared.collection.vectors > 0, prepared.collection.embedder != "none" else {
      return nil
    }
    return query.text?.isEmpty == false ? query.text : nil
  }

  /// The query with the vector of its text, or with a note why it has none.
  ///
  /// - Parameter arrived: see `QueryEmbedder`.
  func embedded(_ prepared: Prepared, text: String, arrived: UInt64) -> Prepared {
    var prepared = prepared
    let collection = prepared.collection
    do throws(EmbeddingError) {
      guard let embedder = try embedders.get(collection.embedder) else { return prepared }
      guard embedder.id == collection.model else {
        prepared.note =
          "found by words alone: \(collection.fullName) holds vectors of \(collection.model ?? "nobody"), and the embedder is \(embedder.id) now (memory.reembed)"
        return prepared
      }
      let vector = try queryEmbedder.vector(of: text, by: embedder, arrived: arrived)
      if !vector.isEmpty { prepared.query.embedding = Embedding(model: embedder.id, vector: vector) }
    } catch { prepared.note = "found by words alone: \(error.description)" }
    return prepared
  }

  /// Asks the store.
  func find(_ prepared: Prepared, as access: Access) throws(MemoryError) -> MemoryResult {
    var query = prepared.query
    let collection = prepared.collection
    if query.embedding == nil, query.mode == .fused || query.mode == .vectors, query.text != nil {
      if query.mode == .vectors {
        throw MemoryError(
          .invalid, prepared.note ?? "\(collection.fullName) has no vectors that could be searched: leave \"mode\" out, or say \"words\"")
      }
      query.mode = .words
    }
    let hits = try store.wait(for: .query(collection.fullName, query), as: access)
    var json: [String: JSON] = ["passages": .array(hits.map { $0.json(in: collection) })]
    json["note"] = prepared.note.map(JSON.string)
    return MemoryResult(json: JSON.object(json).bytes, citations: hits.map { $0.citation(in: collection).bytes })
  }
}
