import CVector
import Wire

/// How much of a reply has been used up.
private struct ReplyRoom {
  private let limit: Int
  private var bytes = 0

  init(_ limits: MemoryLimits) { limit = limits.reply }

  /// - Parameter vector: how many components go along.
  mutating func take(_ document: StoredDocument, vector: Int? = nil) throws(MemoryError) {
    bytes += 200 + document.text.utf8.count + 12 * (vector ?? 0) + (document.origin.source?.utf8.count ?? 0)
    if !document.metadata.isEmpty { bytes += JSON.object(document.metadata).bytes.count }
    if bytes > limit {
      throw MemoryError(.tooLarge, "what is asked for has more than \(limit) bytes: ask for fewer documents at once, with \"limit\"")
    }
  }
}

/// What is asked of one collection. For the store's thread.
struct CollectionReader {
  let database: SQLiteDatabase
  let limits: MemoryLimits
  let entry: Catalog.Entry

  private var n: Int64 { entry.number }

  /// The columns of `documents_N` that `document` reads, the first being `seq`.
  static let columns = "seq, id, text, metadata, persona, added, changed, message, source, place"

  static func document(_ row: SQLiteDatabase.Row) -> StoredDocument {
    StoredDocument(
      id: row.text(1), text: row.text(2), metadata: (try? JSON(parsing: row.text(3).utf8))?.object ?? [:], persona: row.text(4),
      added: row.int(5), changed: row.int(6),
      origin: Origin(message: row.optionalText(7), source: row.optionalText(8), place: row.optionalText(9)))
  }

  // MARK: By id and filter

  /// A condition on the rows `d` of `documents_N`.
  static func condition(_ number: Int64, ids: [String]?, filter: Filter) -> SQL {
    let filters = FilterSQL(collection: number).condition(filter, row: "d.seq")
    guard let ids else { return filters }
    // Not by json_each: it ends a text at its first zero byte.
    let list = SQL("d.id IN (\(ids.map { _ in "?" }.joined(separator: ",")))", ids.map { .text($0) })
    return SQL.joined([list, filters], " AND ")
  }

  func get(_ selection: Selection) throws(MemoryError) -> [StoredDocument] {
    try selection.check(limits)
    if selection.offset < 0 || selection.limit.map({ $0 < 0 }) == true { throw MemoryError(.invalid, "limit and offset are 0 or more") }
    let wanted = selection.limit ?? limits.results + 1
    if selection.limit != nil, wanted > limits.results { throw MemoryError(.tooLarge, "limit is \(wanted); \(limits.results) is the most") }
    let condition = Self.condition(n, ids: selection.ids, filter: selection.filter)
    var found: [(seq: Int64, document: StoredDocument)] = []
    var room = ReplyRoom(limits)
    try database.each(
      "SELECT \(Self.columns) FROM documents_\(n) AS d WHERE \(condition.text) ORDER BY seq LIMIT ? OFFSET ?",
      condition.values + [.int(Int64(wanted)), .int(Int64(selection.offset))], keep: false
    ) { (row) throws(MemoryError) in
      let document = Self.document(row)
      try room.take(document, vector: selection.withVectors ? entry.collection.dimension : nil)
      found.append((row.int(0), document))
      return true
    }
    if found.count > limits.results {
      throw MemoryError(.tooLarge, "more than \(limits.results) documents: ask for them in pages, with limit and offset")
    }
    guard selection.withVectors else { return found.map(\.document) }
    var documents: [StoredDocument] = []
    for (seq, document) in found {
      var document = document
      document.vector = try vector(seq)
      documents.append(document)
    }
    return documents
  }

  func count(_ filter: Filter) throws(MemoryError) -> Int {
    if filter == .everything { return entry.collection.documents }
    let condition = Self.condition(n, ids: nil, filter: filter)
    return try database.first(
      "SELECT count(*) FROM documents_\(n) AS d WHERE \(condition.text)", condition.values, keep: false
    ) { $0.count(0) } ?? 0
  }

  /// Nil if the document has no vector, or one that is damaged.
  func vector(_ seq: Int64) throws(MemoryError) -> [Float]? {
    let vector = try database.first("SELECT vector FROM vectors_\(n) WHERE seq = ?", [.int(seq)]) { $0.floats(0) } ?? nil
    return vector?.count == entry.collection.dimension ? vector : nil
  }

  // MARK: Queries

  /// - Parameter index: nil if there are no vectors.
  func query(_ query: MemoryQuery, index: VectorIndex?) throws(MemoryError) -> [Hit] {
    guard query.limit > 0, query.limit <= limits.results else {
      throw MemoryError(.invalid, "limit is \(query.limit); 1 to \(limits.results) are possible")
    }
    let mode = query.mode ?? (query.text == nil ? .vectors : query.embedding == nil ? .words : .fused)
    if mode != .words, query.embedding == nil, mode == .vectors || query.text == nil {
      throw MemoryError(.invalid, "there is no vector to look for")
    }
    if mode != .vectors, query.text == nil { throw MemoryError(.invalid, "there is no text to look for") }
    let depth = mode == .fused ? max(query.fusion.depth, query.limit) : query.limit
    let words = mode == .vectors ? [] : try self.words(query.text ?? "", depth, query.filter)
    let vectors = mode == .words || query.embedding == nil ? [] : try nearest(query.embedding!, depth, query.filter, index)
    let ranking =
      switch mode {
      case .words: words.map { (document: $0.seq, score: $0.score) }
      case .vectors: vectors.map { (document: $0.seq, score: $0.similarity) }
      case .fused: query.fusion.fuse(words: words.map(\.seq), vectors: vectors.map(\.seq))
      }
    let wordScores = Dictionary(words.map { ($0.seq, $0.score) }) { first, _ in first }
    let similarities = Dictionary(vectors.map { ($0.seq, $0.similarity) }) { first, _ in first }
    var hits: [Hit] = []
    var room = ReplyRoom(limits)
    for (seq, score) in ranking.prefix(query.limit) {
      let document = try database.first("SELECT \(Self.columns) FROM documents_\(n) WHERE seq = ?", [.int(seq)], Self.document)
      guard let document else {
        throw MemoryError(.damaged, "\(entry.collection.fullName) has lost document \(seq), of which its indexes know")
      }
      try room.take(document)
      hits.append(Hit(document: document, score: score, similarity: similarities[seq], wordScore: wordScores[seq]))
    }
    return hits
  }

  private func words(_ text: String, _ limit: Int, _ filter: Filter) throws(MemoryError) -> [(seq: Int64, score: Double)] {
    guard let match = WordQuery(text, limit: limits.queryWords).match else { return [] }
    let condition = FilterSQL(collection: n).condition(filter, row: "words_\(n).rowid")
    let rest = filter == .everything ? SQL("") : SQL(" AND \(condition.text)", condition.values)
    return try database.all(
      "SELECT rowid, -rank FROM words_\(n) WHERE words_\(n) MATCH ?\(rest.text) ORDER BY rank LIMIT ?",
      [.text(match)] + rest.values + [.int(Int64(limit))], keep: filter == .everything
    ) { (seq: $0.int(0), score: $0.double(1)) }
  }

  private func nearest(_ embedding: Embedding, _ limit: Int, _ filter: Filter, _ index: VectorIndex?) throws(MemoryError)
    -> [VectorIndex.Neighbour]
  {
    guard let index, let dimension = entry.collection.dimension else { return [] }
    if let model = entry.collection.model, model != embedding.model {
      throw MemoryError(
        .otherEmbedder,
        "\(entry.collection.fullName) holds vectors of \(model), and the query's is of \(embedding.model): they cannot be compared")
    }
    guard embedding.vector.count == dimension else {
      throw MemoryError(
        .otherEmbedder,
        "\(entry.collection.fullName) holds vectors of \(dimension) components, and the query's has \(embedding.vector.count)")
    }
    let length = embedding.vector.withUnsafeBytes { bat_dot_floats($0.baseAddress, $0.baseAddress, dimension) }.squareRoot()
    guard length > 0, length.isFinite else { return [] }
    func similarity(_ seq: Int64) throws(MemoryError) -> Double? {
      try database.first("SELECT vector FROM vectors_\(n) WHERE seq = ?", [.int(seq)]) { row in
        row.withBlob(0) { stored -> Double? in
          guard stored.count == dimension * 4 else { return nil }
          let own = bat_dot_floats(stored.baseAddress, stored.baseAddress, dimension).squareRoot()
          guard own > 0, own.isFinite else { return nil }
          return embedding.vector.withUnsafeBytes { bat_dot_floats(stored.baseAddress, $0.baseAddress, dimension) } / (own * length)
        }
      } ?? nil
    }
    return try nearest(embedding.vector, limit, filter, index, similarity)
  }

  /// - Parameter similarity: as in `VectorIndex.search`.
  private func nearest(
    _ vector: [Float], _ limit: Int, _ filter: Filter, _ index: VectorIndex, _ similarity: (Int64) throws(MemoryError) -> Double?
  ) throws(MemoryError) -> [VectorIndex.Neighbour] {
    if filter == .everything { return try index.search(vector, limit: limit, similarity: similarity) }
    let rows = MetadataRows(database: database, number: n, last: entry.next - 1)
    var (slots, isCertain) = try index.metadata.passing(filter, of: index.file, rows)
    if !isCertain {
      // The best are asked one by one until enough have passed; where so few pass that this takes long, all texts are read.
      let patience = max(1000, index.file.live / 16)
      var asked = 0
      let found = try index.search(vector, limit: limit, among: slots, similarity: similarity) { (seqs) throws(MemoryError) in
        asked += seqs.count
        if asked > patience { return nil }
        let list = seqs.map { "(\($0))" }.joined(separator: ",")
        let condition = FilterSQL(collection: n).condition(filter, row: "asked.column1")
        return Set(
          try database.all("SELECT column1 FROM (VALUES \(list)) AS asked WHERE \(condition.text)", condition.values, keep: false) {
            $0.int(0)
          })
      }
      if let found { return found }
      try index.metadata.read(filter, of: index.file, rows)
      (slots, _) = try index.metadata.passing(filter, of: index.file, rows)
    }
    return try index.search(vector, limit: limit, among: slots, similarity: similarity)
  }

  // MARK: Pages

  /// Documents without a vector that have a text, whose `seq` is above `after`.
  func withoutVector(after: Int64, limit: Int) throws(MemoryError) -> [PendingText] {
    try database.all(
      """
      SELECT seq, text FROM documents_\(n) AS d WHERE seq > ? AND text <> ''
        AND NOT EXISTS (SELECT 1 FROM vectors_\(n) WHERE seq = d.seq) ORDER BY seq LIMIT ?
      """, [.int(after), .int(Int64(limit))]
    ) { PendingText(seq: $0.int(0), text: $0.text(1)) }
  }

  private static let pageBytes = 256 << 10

  /// The documents whose `seq` is above `after`, as lines of JSON.
  func page(after: Int64) throws(MemoryError) -> ExportPage {
    var lines: [UInt8] = []
    var last: Int64?
    try database.each("SELECT \(Self.columns) FROM documents_\(n) WHERE seq > ? ORDER BY seq", [.int(after)]) { (row) throws(MemoryError) in
      if lines.count > Self.pageBytes { return false }
      last = row.int(0)
      lines += Self.document(row).json.bytes + [0x0a]
      return true
    }
    return ExportPage(lines: lines, next: lines.count > Self.pageBytes ? last : nil)
  }

  /// A page of the sources whose names begin so and are behind `after`.
  func sources(under prefix: String?, after: String?) throws(MemoryError) -> SourcePage {
    var page = SourcePage(sources: [])
    var bytes = 0
    try database.each(
      "SELECT source, hash, changed FROM sources_\(n) WHERE source >= ?1 AND (?2 IS NULL OR source > ?2) ORDER BY source",
      [.text(prefix ?? ""), SQLValue(after)]
    ) { (row) throws(MemoryError) in
      let source = StoredSource(source: row.text(0), hash: row.optionalText(1), changed: row.int(2))
      // In the order of bytes, what begins so stands together.
      if let prefix, !source.source.utf8.starts(with: prefix.utf8) { return false }
      if bytes > limits.reply / 4 {
        page.next = page.sources.last?.source
        return false
      }
      bytes += source.source.utf8.count + 200
      page.sources.append(source)
      return true
    }
    return page
  }
}
