import CVector
import Wire

/// Documents into one collection and out of it, within one transaction. For the store's thread.
struct CollectionWriter {
  let database: SQLiteDatabase
  let limits: MemoryLimits
  /// Who writes, and when.
  let persona: String
  let now: Int64
  /// To be saved by the caller, after everything.
  private(set) var entry: Catalog.Entry
  /// What of the index changes when the transaction commits.
  private(set) var changes: [IndexChange] = []

  /// What of a collection's index changes.
  enum IndexChange {
    case append(Int64, [Float])
    case remove(Int64)
  }

  private var n: Int64 { entry.number }
  private var name: String { entry.collection.fullName }

  init(_ database: SQLiteDatabase, _ limits: MemoryLimits, _ entry: Catalog.Entry, persona: String, now: Int64) {
    self.database = database
    self.limits = limits
    self.entry = entry
    self.persona = persona
    self.now = now
    self.entry.version += 1
  }

  // MARK: In

  /// What becomes of a document whose id exists already, or does not.
  enum Way { case add, upsert, update }

  mutating func put(_ documents: [Document], _ way: Way) throws(MemoryError) -> Int {
    if documents.count > limits.batch {
      throw MemoryError(.tooLarge, "\(documents.count) documents at once are too many: \(limits.batch) at most")
    }
    for document in documents {
      try check(document)
      let old = way == .add ? nil : try stored(document.id)
      switch (way, old) {
      case (.update, nil): throw MemoryError(.notFound, "\(name) has no document \(document.id) that could be updated")
      case (_, let old?): try change(old, document)
      case (_, nil): try insert(document)
      }
    }
    return documents.count
  }

  private func check(_ document: Document) throws(MemoryError) {
    let id = document.id
    if id.isEmpty { throw MemoryError(.invalid, "a document's id is empty") }
    if id.utf8.count > limits.id { throw MemoryError(.tooLarge, "a document's id has at most \(limits.id) bytes: \(id.prefix(60))…") }
    if let text = document.text, text.utf8.count > limits.text {
      throw MemoryError(.tooLarge, "the text of \(id) has \(text.utf8.count) bytes; \(limits.text) are the limit: cut it into passages")
    }
    try check(document.origin.source, "source", of: id, limits.source)
    try check(document.origin.place, "place", of: id, limits.place)
    var count = 0
    for (key, value) in document.metadata {
      if key.utf8.count > limits.metadataKey {
        throw MemoryError(.tooLarge, "a key in the metadata of \(id) has \(key.utf8.count) bytes; \(limits.metadataKey) are the limit")
      }
      if key.isEmpty || key.hasPrefix("$") {
        throw MemoryError(.invalid, "\"\(key)\" in the metadata of \(id) is no key: it is empty or begins with $")
      }
      switch value {
      case .object:
        throw MemoryError(
          .invalid, "\"\(key)\" in the metadata of \(id) is an object; strings, numbers, booleans and lists of these are kept")
      case .array(let elements):
        count += elements.count
        if elements.contains(where: { SQLValue(metadata: $0) == nil }) {
          throw MemoryError(
            .invalid, "\"\(key)\" in the metadata of \(id) is a list with something else in it than strings, numbers and booleans")
        }
      case .double(let number) where !number.isFinite:
        throw MemoryError(.invalid, "\"\(key)\" in the metadata of \(id) is \(number), which is no number")
      default: count += 1
      }
    }
    if count > limits.metadataValues {
      throw MemoryError(.tooLarge, "the metadata of \(id) have \(count) values; \(limits.metadataValues) are the limit")
    }
    if let embedding = document.embedding { try check(embedding, of: id) }
  }

  private func check(_ text: String?, _ what: String, of id: String, _ limit: Int) throws(MemoryError) {
    guard let text, text.utf8.count > limit else { return }
    throw MemoryError(.tooLarge, "the \(what) of \(id) has \(text.utf8.count) bytes; \(limit) are the limit")
  }

  private func check(_ embedding: Embedding, of id: String) throws(MemoryError) {
    if embedding.vector.isEmpty || embedding.vector.count > limits.dimension {
      throw MemoryError(.tooLarge, "the vector of \(id) has \(embedding.vector.count) components; 1 to \(limits.dimension) are possible")
    }
    if embedding.vector.contains(where: { !$0.isFinite }) { throw MemoryError(.invalid, "the vector of \(id) holds what is no number") }
    if let model = entry.collection.model, model != embedding.model {
      throw MemoryError(
        .otherEmbedder,
        "\(name) holds vectors of \(model), and these are of \(embedding.model): they cannot be compared. Have all made anew (\"reembed\"), or use another collection"
      )
    }
    if let dimension = entry.collection.dimension, dimension != embedding.vector.count {
      throw MemoryError(
        .otherEmbedder, "\(name) holds vectors of \(dimension) components, and the one of \(id) has \(embedding.vector.count)")
    }
  }

  private mutating func insert(_ document: Document) throws(MemoryError) {
    let metadata = document.metadata.filter { $0.value != .null }
    var stored = StoredDocument(
      id: document.id, text: document.text ?? "", metadata: metadata, persona: persona, added: now, changed: now, origin: document.origin)
    stored.vector = document.embedding?.vector
    try write(stored)
    if document.embedding != nil { entry.collection.model = document.embedding?.model }
    entry.collection.documents += 1
  }

  private mutating func write(_ document: StoredDocument) throws(MemoryError) {
    let json = JSON.object(document.metadata).text
    if json.utf8.count > limits.metadata {
      throw MemoryError(.tooLarge, "the metadata of \(document.id) have \(json.utf8.count) bytes; \(limits.metadata) are the limit")
    }
    let seq = entry.next
    guard seq < SQLiteDatabase.largestCount else {
      throw MemoryError(.damaged, "\(database.path) says that \(name) has no numbers left for documents: export it, and make a new one")
    }
    entry.next += 1
    do throws(MemoryError) {
      try database.run(
        "INSERT INTO documents_\(n)(seq, id, text, metadata, persona, added, changed, message, source, place) VALUES (?,?,?,?,?,?,?,?,?,?)",
        [
          .int(seq), .text(document.id), .text(document.text), .text(json), .text(document.persona), .int(document.added),
          .int(document.changed), SQLValue(document.origin.message), SQLValue(document.origin.source), SQLValue(document.origin.place),
        ])
    } catch  where error.kind == .exists {
      throw MemoryError(.exists, "\(name) has a document \(document.id) already: use upsert or update to change it")
    }
    if !document.text.isEmpty {
      try database.run("INSERT INTO words_\(n)(rowid, text) VALUES (?, ?)", [.int(seq), .text(WordText.indexed(document.text))])
    }
    let values = Self.values(document.metadata)
    for first in stride(from: 0, to: values.count, by: 8) {
      let some = values[first..<min(first + 8, values.count)]
      try database.run(
        "INSERT OR IGNORE INTO metadata_\(n)(key, document, value) VALUES \(some.map { _ in "(?,?,?)" }.joined(separator: ","))",
        some.flatMap { [.text($0), .int(seq), $1] })
    }
    if let vector = document.vector, vector.contains(where: { $0 != 0 }) {
      try database.run("INSERT INTO vectors_\(n)(seq, vector) VALUES (?, ?)", [.int(seq), .floats(vector)])
      entry.collection.dimension = vector.count
      entry.collection.vectors += 1
      changes.append(.append(seq, vector))
    }
  }

  /// Keys and values as they stand in the table `metadata`.
  private static func values(_ metadata: [String: JSON]) -> [(String, SQLValue)] {
    metadata.flatMap { key, value -> [(String, SQLValue)] in
      if case .array(let elements) = value { return elements.compactMap { SQLValue(metadata: $0).map { ("@" + key, $0) } } }
      return SQLValue(metadata: value).map { [("=" + key, $0)] } ?? []
    }
  }

  private mutating func change(_ old: (seq: Int64, document: StoredDocument), _ new: Document) throws(MemoryError) {
    var document = old.document
    let textChanges = new.text.map { $0 != document.text } ?? false
    document.metadata.merge(new.metadata) { _, new in new }
    document.metadata = document.metadata.filter { $0.value != .null }
    document.changed = now
    if new.text != nil || document.origin == Origin() {
      if new.origin != Origin() { document.origin = new.origin }
    }
    if let text = new.text {
      document.text = text
      document.persona = persona
    }
    if let embedding = new.embedding {
      document.vector = embedding.vector
      entry.collection.model = embedding.model
    } else {
      document.vector = textChanges ? nil : try CollectionReader(database: database, limits: limits, entry: entry).vector(old.seq)
    }
    try remove(old.seq, old.document.text, old.document.metadata)
    try write(document)
  }

  private func stored(_ id: String) throws(MemoryError) -> (seq: Int64, document: StoredDocument)? {
    try database.first("SELECT \(CollectionReader.columns) FROM documents_\(n) WHERE id = ?", [.text(id)]) {
      (seq: $0.int(0), document: CollectionReader.document($0))
    }
  }

  // MARK: Out

  private mutating func remove(_ seq: Int64, _ text: String, _ metadata: [String: JSON]) throws(MemoryError) {
    // An index of words that has no texts of its own is told what it had been told.
    if !text.isEmpty {
      try database.run(
        "INSERT INTO words_\(n)(words_\(n), rowid, text) VALUES ('delete', ?, ?)", [.int(seq), .text(WordText.indexed(text))])
    }
    for (key, _) in Self.values(metadata) {
      try database.run("DELETE FROM metadata_\(n) WHERE key = ? AND document = ?", [.text(key), .int(seq)])
    }
    try database.run("DELETE FROM vectors_\(n) WHERE seq = ?", [.int(seq)])
    if database.changes > 0 {
      entry.collection.vectors -= 1
      changes.append(.remove(seq))
    }
    try database.run("DELETE FROM documents_\(n) WHERE seq = ?", [.int(seq)])
  }

  /// Removes the documents for which a condition on `documents_N` (its rows are called `d`) holds.
  mutating func remove(where condition: SQL) throws(MemoryError) -> Int {
    let doomed = try database.all(
      "SELECT \(CollectionReader.columns) FROM documents_\(n) AS d WHERE \(condition.text)", condition.values, keep: false
    ) { (seq: $0.int(0), document: CollectionReader.document($0)) }
    for (seq, document) in doomed { try remove(seq, document.text, document.metadata) }
    entry.collection.documents -= doomed.count
    return doomed.count
  }

  /// Removes everything that comes from there.
  mutating func forget(_ part: Origin.Part) throws(MemoryError) -> Int {
    switch part {
    case .source(let source):
      try database.run("DELETE FROM sources_\(n) WHERE source = ?", [.text(source)])
      return try remove(where: SQL("d.source = ?", [.text(source)]))
    case .message(let message): return try remove(where: SQL("d.message = ?", [.text(message)]))
    case .persona(let persona): return try remove(where: SQL("d.persona = ?", [.text(persona)]))
    }
  }

  // MARK: Sources

  /// Puts the documents of one file in the place of those that it had.
  mutating func replace(_ source: String, hash: String?, _ documents: [Document], isFirst: Bool) throws(MemoryError) -> Int {
    if source.isEmpty { throw MemoryError(.invalid, "the name of a source is empty") }
    try check(source, "name", of: "a source", limits.source)
    try check(hash, "hash", of: "a source", limits.hash)
    if isFirst { _ = try remove(where: SQL("d.source = ?", [.text(source)])) }
    var documents = documents
    for index in documents.indices { documents[index].origin.source = source }
    let count = try put(documents, .add)
    if documents.isEmpty, isFirst, hash == nil {
      try database.run("DELETE FROM sources_\(n) WHERE source = ?", [.text(source)])
    } else {
      try database.run(
        "INSERT INTO sources_\(n)(source, hash, changed) VALUES (?, ?, ?) ON CONFLICT(source) DO UPDATE SET hash = excluded.hash, changed = excluded.changed",
        [.text(source), SQLValue(hash), .int(now)])
    }
    return count
  }

  /// Takes every vector away, for others of another model; or only the name of the model, if there are none.
  mutating func dropVectors(embedder: String?) throws(MemoryError) {
    try database.run("DELETE FROM vectors_\(n)", keep: false)
    entry.collection.vectors = 0
    entry.collection.dimension = nil
    entry.collection.model = nil
    entry.collection.embedder = embedder
  }

  /// Gives vectors to documents that have none, if their text is still the one that was embedded.
  mutating func fill(_ vectors: [(seq: Int64, vector: [Float])], model: String) throws(MemoryError) -> Int {
    var count = 0
    for (seq, vector) in vectors {
      let old = try database.first(
        "SELECT \(CollectionReader.columns) FROM documents_\(n) WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM vectors_\(n) WHERE seq = ?1)",
        [.int(seq)], CollectionReader.document)
      guard let old else { continue }
      try check(Embedding(model: model, vector: vector), of: "document \(seq)")
      entry.collection.model = model
      // A seq stands for one vector for ever, and so for none, too.
      var document = old
      document.vector = vector
      try remove(seq, old.text, old.metadata)
      try write(document)
      count += 1
    }
    return count
  }
}
