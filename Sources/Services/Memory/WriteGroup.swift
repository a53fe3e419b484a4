/// The writes of one transaction, and what they change outside the database once it is committed. For the store's thread.
final class WriteGroup {
  /// What is to be done after the commit.
  struct Changes {
    /// Changes of the indexes by the collection's number, with the version of the collection that they lead to.
    var indexes: [Int64: (list: [CollectionWriter.IndexChange], version: Int64)] = [:]
    /// Collections whose index is of no use any more.
    var dropped: Set<Int64> = []
    /// Collections from which something was removed that must not stay in the files.
    var mustScrub: Set<Int64> = []
    /// How many documents were written or removed.
    var documents = 0
  }

  private let database: SQLiteDatabase
  private let limits: MemoryLimits
  private let catalog: Catalog
  private let indexes: IndexCache
  private let now: Int64
  /// Set back by the caller when a write is rolled back.
  var changes = Changes()

  /// - Parameter now: milliseconds since 1970.
  init(database: SQLiteDatabase, limits: MemoryLimits, indexes: IndexCache, now: Int64) {
    self.database = database
    self.limits = limits
    self.indexes = indexes
    self.now = now
    catalog = Catalog(database: database, limits: limits)
  }

  /// Does one write.
  ///
  /// - Returns: what gives the reply; to be called after the commit.
  func perform(_ write: MemoryWrite, as access: Access) throws(MemoryError) -> () -> Void {
    switch write {
    case .create(let name, let rights, let embedder, let ifMissing, let reply):
      let collection = try catalog.create(name, rights, embedder: embedder, ifMissing: ifMissing, for: access, at: now)
      return { reply(collection) }
    case .drop(let name, let reply):
      let collection = try drop(owned(name, access))
      return { reply(collection) }
    case .share(let name, let rights, let reply):
      let collection = try catalog.share(owned(name, access), rights)
      return { reply(collection) }
    case .put(let name, let documents, let way, let reply):
      let count = try change(name, access) { (writer) throws(MemoryError) in try writer.put(documents, way) }
      return { reply(count) }
    case .replace(let name, let source, let hash, let documents, let isFirst, let reply):
      let count = try change(name, access) { (writer) throws(MemoryError) in
        try writer.replace(source, hash: hash, documents, isFirst: isFirst)
      }
      return { reply(count) }
    case .delete(let name, let selection, let reply):
      try selection.check(limits)
      let count = try change(name, access) { (writer) throws(MemoryError) in
        try writer.remove(where: CollectionReader.condition(writer.entry.number, ids: selection.ids, filter: selection.filter))
      }
      return { reply(count) }
    case .forget(let part, let name, let reply):
      let count = try forget(part, name, access)
      return { reply(count) }
    case .dropVectors(let name, let embedder, let reply):
      let collection = try dropVectors(name, embedder, access)
      return { reply(collection) }
    case .fill(let name, let model, let vectors, let reply):
      let count = try change(name, access) { (writer) throws(MemoryError) in try writer.fill(vectors, model: model) }
      return { reply(count) }
    }
  }

  private func owned(_ name: String, _ access: Access) throws(MemoryError) -> Catalog.Entry {
    let entry = try catalog.find(name, for: access)
    try access.checkOwns(entry.collection)
    return entry
  }

  private func writable(_ name: String, _ access: Access) throws(MemoryError) -> Catalog.Entry {
    let entry = try catalog.find(name, for: access)
    try access.checkWrite(entry.collection)
    return entry
  }

  private func change(_ name: String, _ access: Access, _ body: (inout CollectionWriter) throws(MemoryError) -> Int) throws(MemoryError)
    -> Int
  {
    try change(writable(name, access), access, body)
  }

  private func change(
    _ entry: Catalog.Entry, _ access: Access, _ body: (inout CollectionWriter) throws(MemoryError) -> Int
  ) throws(MemoryError) -> Int {
    // While the index is still right: to change it is less work than to make it. Without it the write is done all the same;
    // whoever needs the index next makes it, and is told what is wrong with it.
    if changes.indexes[entry.number] == nil { _ = try? indexes.index(of: entry, database) }
    var writer = CollectionWriter(database, limits, entry, persona: access.name, now: now)
    let count = try body(&writer)
    try catalog.save(writer.entry)
    changes.indexes[entry.number, default: ([], 0)].list += writer.changes
    changes.indexes[entry.number]?.version = writer.entry.version
    changes.documents += count
    return count
  }

  private func drop(_ entry: Catalog.Entry) throws(MemoryError) -> MemoryCollection {
    try catalog.drop(entry)
    dropIndex(entry.number)
    changes.mustScrub.insert(entry.number)
    return entry.collection
  }

  private func dropIndex(_ number: Int64) {
    changes.indexes[number] = nil
    changes.dropped.insert(number)
  }

  private func forget(_ part: Origin.Part, _ name: String?, _ access: Access) throws(MemoryError) -> Int {
    let entries =
      if let name { [try writable(name, access)] } else { try catalog.all().filter { access.mayWrite($0.collection) } }
    var count = 0
    for entry in entries {
      count += try change(entry, access) { (writer) throws(MemoryError) in try writer.forget(part) }
      changes.mustScrub.insert(entry.number)
    }
    return count
  }

  private func dropVectors(_ name: String, _ embedder: String?, _ access: Access) throws(MemoryError) -> MemoryCollection {
    let entry = try owned(name, access)
    _ = try change(entry, access) { (writer) throws(MemoryError) in
      try writer.dropVectors(embedder: embedder)
      return 0
    }
    dropIndex(entry.number)
    return try catalog.find(name, for: access).collection
  }
}
