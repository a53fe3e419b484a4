import Wire

/// Which collections there are, whose they are, and what is known of each: the table `collections`. For the store's thread.
struct Catalog {
  let database: SQLiteDatabase
  let limits: MemoryLimits

  /// A collection as the store needs it.
  struct Entry {
    /// In the names of its tables.
    let number: Int64
    var collection: MemoryCollection
    /// Counts the writes; the index of the vectors is right for one of these.
    var version: Int64
    /// The next document's `seq`.
    var next: Int64
  }

  private static let columns =
    "number, owner, name, readers, writers, embedder, model, dimension, documents, vectors, version, next, created"

  private static func entry(_ row: SQLiteDatabase.Row) -> Entry {
    Entry(
      number: row.int(0),
      collection: MemoryCollection(
        name: row.text(2), owner: row.text(1), rights: Rights(readers: circle(row.optionalText(3)), writers: circle(row.optionalText(4))),
        embedder: row.optionalText(5), model: row.optionalText(6), dimension: row.isNull(7) ? nil : row.count(7),
        documents: row.count(8), vectors: row.count(9), created: row.int(12)),
      version: Int64(row.count(10)), next: Int64(max(row.count(11), 1)))
  }

  private static func circle(_ text: String?) -> Rights.Circle {
    guard let text else { return .everyone }
    let names = (try? JSON(parsing: text.utf8))?.array ?? []
    return .these(Set(names.compactMap(\.string)))
  }

  private static func value(_ circle: Rights.Circle) -> SQLValue {
    switch circle {
    case .everyone: .null
    case .these(let names): .text(JSON.array(names.sorted().map(JSON.string)).text)
    }
  }

  // MARK: Finding

  /// All of them, by owner and name.
  func all() throws(MemoryError) -> [Entry] {
    try database.all("SELECT \(Self.columns) FROM collections ORDER BY owner, name", [], Self.entry)
  }

  /// The collection that whoever asks means by a name: see `MemoryCollection`.
  func find(_ name: String, for access: Access) throws(MemoryError) -> Entry {
    guard let entry = try found(name, for: access) else {
      let readable = try all().filter { access.mayRead($0.collection) }.map { $0.collection.fullName }
      let advice = readable.isEmpty ? "there is none yet: create it" : "there are \(readable.prefix(20).joined(separator: ", "))"
      throw MemoryError(.notFound, "there is no collection \(name) for \(access.name); \(advice)")
    }
    return entry
  }

  /// Nil: there is none by that name that may be read.
  func found(_ name: String, for access: Access) throws(MemoryError) -> Entry? {
    if let slash = name.firstIndex(of: "/") {
      let (owner, name) = (String(name[..<slash]), String(name[name.index(after: slash)...]))
      guard let entry = try one(owner, name) else { return nil }
      try access.checkRead(entry.collection)
      return entry
    }
    if let own = try one(access.name, name) { return own }
    let others = try database.all(
      "SELECT \(Self.columns) FROM collections WHERE name = ? ORDER BY owner", [.text(name)], Self.entry)
    let readable = others.filter { access.mayRead($0.collection) }
    if readable.count > 1 {
      let names = readable.map { $0.collection.fullName }.joined(separator: ", ")
      throw MemoryError(.invalid, "\(name) may be any of \(names): say which")
    }
    if readable.isEmpty, let hidden = others.first { try access.checkRead(hidden.collection) }
    return readable.first
  }

  private func one(_ owner: String, _ name: String) throws(MemoryError) -> Entry? {
    try database.first(
      "SELECT \(Self.columns) FROM collections WHERE owner = ? AND name = ?", [.text(owner), .text(name)], Self.entry)
  }

  // MARK: Changing

  /// The new collection, or the one that is there if `ifMissing`.
  func create(_ name: String, _ rights: Rights, embedder: String?, ifMissing: Bool, for access: Access, at now: Int64)
    throws(MemoryError) -> MemoryCollection
  {
    if name.isEmpty || name.contains("/") || name.unicodeScalars.contains(where: { $0.value < 32 }) {
      throw MemoryError(.invalid, "\"\(name)\" is no name for a collection: it needs characters, and no \"/\" among them")
    }
    if name.utf8.count > limits.name { throw MemoryError(.tooLarge, "a collection's name has at most \(limits.name) bytes") }
    if let own = try one(access.name, name) {
      if ifMissing { return own.collection }
      throw MemoryError(.exists, "\(access.name) has a collection \(name) already")
    }
    if ifMissing, rights.readers == .everyone {
      let shared = try database.all("SELECT \(Self.columns) FROM collections WHERE name = ? ORDER BY owner", [.text(name)], Self.entry)
        .first { $0.collection.rights.readers == .everyone || $0.collection.rights.writers == .everyone }
      if let shared { return shared.collection }
    }
    try database.run(
      """
      INSERT INTO collections(owner, name, readers, writers, embedder, documents, vectors, version, next, created)
      VALUES (?, ?, ?, ?, ?, 0, 0, 1, 1, ?)
      """,
      [.text(access.name), .text(name), Self.value(rights.readers), Self.value(rights.writers), SQLValue(embedder), .int(now)])
    let number = database.lastInsertedRow
    for sql in Self.tables(number) { try database.run(sql, keep: false) }
    guard let made = try one(access.name, name) else {
      throw MemoryError(.damaged, "\(database.path) does not show the collection \(name) that was just made: it is damaged")
    }
    return made.collection
  }

  private static func tables(_ number: Int64) -> [String] {
    [
      """
      CREATE TABLE documents_\(number)(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT NOT NULL,
        persona TEXT NOT NULL, added INTEGER NOT NULL, changed INTEGER NOT NULL, message TEXT, source TEXT, place TEXT)
      """,
      "CREATE INDEX sources_of_\(number) ON documents_\(number)(source) WHERE source IS NOT NULL",
      "CREATE TABLE vectors_\(number)(seq INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
      metadataTable(number),
      "CREATE TABLE sources_\(number)(source TEXT PRIMARY KEY, hash TEXT, changed INTEGER NOT NULL) WITHOUT ROWID",
      wordsTable(number),
    ]
  }

  private static func wordsTable(_ number: Int64) -> String {
    """
    CREATE VIRTUAL TABLE words_\(number) USING fts5(text, content='',
      tokenize="unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'")
    """
  }

  private static func metadataTable(_ number: Int64) -> String {
    """
    CREATE TABLE metadata_\(number)(key TEXT NOT NULL, document INTEGER NOT NULL, value NOT NULL,
      PRIMARY KEY (key, document, value)) WITHOUT ROWID
    """
  }

  /// Brings the tables of an older schema to the present one.
  func upgrade(from version: Int) throws(MemoryError) {
    for number in try all().map(\.number) {
      if version < 2 { try upgradeMetadata(number) }
      try upgradeWords(number)
    }
  }

  /// In schema 1 the metadata were by document, and had an index by value.
  private func upgradeMetadata(_ number: Int64) throws(MemoryError) {
    for sql in [
      "DROP INDEX values_of_\(number)", "ALTER TABLE metadata_\(number) RENAME TO old_metadata", Self.metadataTable(number),
      "INSERT INTO metadata_\(number)(key, document, value) SELECT key, document, value FROM old_metadata ORDER BY key, document",
      "DROP TABLE old_metadata",
    ] { try database.run(sql, keep: false) }
  }

  /// Until schema 2 the texts were in the index of words as they are, and so found nothing in scripts without spaces.
  private func upgradeWords(_ number: Int64) throws(MemoryError) {
    try database.run("DROP TABLE words_\(number)", keep: false)
    try database.run(Self.wordsTable(number), keep: false)
    try database.each("SELECT seq, text FROM documents_\(number) WHERE text <> '' ORDER BY seq", keep: false) { (row) throws(MemoryError) in
      try database.run(
        "INSERT INTO words_\(number)(rowid, text) VALUES (?, ?)", [.int(row.int(0)), .text(WordText.indexed(row.text(1)))])
      return true
    }
    database.forgetStatements { $0.contains("words_\(number)(") }
  }

  func drop(_ entry: Entry) throws(MemoryError) {
    let number = entry.number
    database.forgetStatements { $0.contains("_\(number) ") || $0.contains("_\(number)(") || $0.hasSuffix("_\(number)") }
    for table in ["words", "documents", "vectors", "metadata", "sources"] { try database.run("DROP TABLE \(table)_\(number)", keep: false) }
    try database.run("DELETE FROM collections WHERE number = ?", [.int(number)])
  }

  func share(_ entry: Entry, _ rights: Rights) throws(MemoryError) -> MemoryCollection {
    try database.run(
      "UPDATE collections SET readers = ?, writers = ? WHERE number = ?",
      [Self.value(rights.readers), Self.value(rights.writers), .int(entry.number)])
    var collection = entry.collection
    collection.rights = rights
    return collection
  }

  /// Keeps what a writer has changed of it.
  func save(_ entry: Entry) throws(MemoryError) {
    try database.run(
      "UPDATE collections SET embedder = ?, model = ?, dimension = ?, documents = ?, vectors = ?, version = ?, next = ? WHERE number = ?",
      [
        SQLValue(entry.collection.embedder), SQLValue(entry.collection.model),
        entry.collection.dimension.map { .int(Int64($0)) } ?? .null,
        .int(Int64(entry.collection.documents)), .int(Int64(entry.collection.vectors)), .int(entry.version), .int(entry.next),
        .int(entry.number),
      ])
  }
}
