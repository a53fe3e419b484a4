import Glibc
import Wire

/// Everything that the store's thread owns: the database, the indexes, and who is answered when. For that thread alone.
final class StoreWorker {
  private typealias End = (job: StoreJob, result: Result<MemoryReply, MemoryError>)

  private let folder: String
  private let limits: MemoryLimits
  private let clock: @Sendable () -> Int64
  private let log: @Sendable (String) -> Void
  private let board: SQLiteStore.Board

  private var lock: Int32 = -1
  private var number: Int64 = 0
  private var database: SQLiteDatabase?
  /// By the collection's number, of those that were used.
  private var indexes: [Int64: VectorIndex] = [:]
  /// What the open transaction changes of indexes, by the collection's number, with the version that they then stand for.
  private var changes: [Int64: (list: [CollectionWriter.IndexChange], version: Int64)] = [:]
  /// Collections that the open transaction drops.
  private var dropped: [Int64] = []
  /// Something was forgotten in the open transaction.
  private var mustScrub: Set<Int64> = []

  init(
    folder: String, limits: MemoryLimits, clock: @escaping @Sendable () -> Int64, log: @escaping @Sendable (String) -> Void,
    board: SQLiteStore.Board
  ) {
    self.folder = folder
    self.limits = limits
    self.clock = clock
    self.log = log
    self.board = board
  }

  deinit {
    database = nil
    if lock >= 0 { close(lock) }
  }

  /// Does the jobs in order; writes that stand together share a transaction, and are answered when it is on the disk.
  func perform(_ jobs: [StoreJob]) {
    let database: SQLiteDatabase
    do throws(MemoryError) { database = try opened() } catch {
      board.change { $0.failures += jobs.count }
      for job in jobs { job.onEnd(.failure(error)) }
      return
    }
    var rest = jobs[...]
    while let job = rest.first {
      if job.request.isWrite {
        let writes = rest.prefix { $0.request.isWrite }
        rest = rest.dropFirst(writes.count)
        write(Array(writes), database)
      } else {
        rest = rest.dropFirst()
        answer([(job, Result { () throws(MemoryError) in try read(job, database) })])
      }
    }
  }

  private func answer(_ ends: [End]) {
    for (job, result) in ends {
      board.change {
        if case .failure = result { $0.failures += 1 }
        if job.request.isWrite { $0.writes += 1 } else { $0.reads += 1 }
      }
      job.onEnd(result)
    }
  }

  // MARK: Opening

  private func opened() throws(MemoryError) -> SQLiteDatabase {
    if let database { return database }
    try PrivateFile.makeFolder(folder)
    if lock < 0 {
      lock = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      if lock < 0 { throw MemoryError(.storage, "the memory's folder \(folder) cannot be written to: \(String(cString: strerror(errno)))") }
    }
    // One that is just ending, or a child between its birth and its own program, lets go in a moment.
    var patience = 20
    while flock(lock, LOCK_EX | LOCK_NB) != 0 {
      patience -= 1
      if patience > 0 {
        usleep(50_000)
        continue
      }
      throw MemoryError(.storage, "the memory in \(folder) is in use by another process: a second kernel needs a data folder of its own")
    }
    let database = try SQLiteDatabase(
      durable: folder + "/memory.sqlite", version: Self.schemaVersion, settings: Self.settings, schema: Self.schema
    ) { (database, _) throws(MemoryError) in try Catalog(database: database, limits: limits).upgrade() }
    number = try database.first("SELECT number FROM store") { $0.int(0) } ?? 0
    self.database = database
    tell(database)
    return database
  }

  private func tell(_ database: SQLiteDatabase) {
    let held = try? database.first("SELECT count(*), total(documents), total(vectors) FROM collections") {
      (collections: Int($0.int(0)), documents: Int($0.int(1)), vectors: Int($0.int(2)))
    }
    if let held { board.change { $0.held = held } }
  }

  // A log of 16 MB before it is copied into the file: pages that many commits change are copied once. What savepoints need
  // for a way back stays in memory, not in files.
  private static let settings = [
    "cache_size = -16384", "mmap_size = 4294967296", "wal_autocheckpoint = 4000", "temp_store = MEMORY",
  ]

  private static let schemaVersion = 2
  private static let schema = [
    "CREATE TABLE store(number INTEGER NOT NULL)", "INSERT INTO store VALUES (random() & 0x7fffffffffffffff | 1)",
    """
    CREATE TABLE collections(number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, name TEXT NOT NULL, readers TEXT,
      writers TEXT, embedder TEXT, model TEXT, dimension INTEGER, documents INTEGER NOT NULL, vectors INTEGER NOT NULL,
      version INTEGER NOT NULL, next INTEGER NOT NULL, created INTEGER NOT NULL, UNIQUE (owner, name))
    """,
  ]

  // MARK: Reading

  private func read(_ job: StoreJob, _ database: SQLiteDatabase) throws(MemoryError) -> MemoryReply {
    let catalog = Catalog(database: database, limits: limits)
    func reader(_ name: String) throws(MemoryError) -> CollectionReader {
      let entry = try catalog.find(name, for: job.access)
      return CollectionReader(database: database, limits: limits, entry: entry)
    }
    switch job.request {
    case .list: return .collections(try catalog.all().map(\.collection).filter(job.access.mayRead))
    case .show(let name): return .collection(try catalog.find(name, for: job.access).collection)
    case .get(let name, let selection): return .documents(try reader(name).get(selection))
    case .count(let name, let filter): return .count(try reader(name).count(filter))
    case .query(let name, let query):
      let reader = try reader(name)
      return .hits(try reader.query(query, index: query.embedding == nil ? nil : try index(of: reader.entry, database)))
    case .sources(let name, let prefix): return .sources(try reader(name).sources(under: prefix))
    case .withoutVector(let name, let after, let before, let limit):
      return .texts(try reader(name).withoutVector(after: after, before: before, limit: limit))
    case .export(let name, let after):
      let page = try reader(name).page(after: after)
      return .page(page.lines, next: page.next)
    default: preconditionFailure("a write is no read")
    }
  }

  /// The index of a collection's vectors, right for its present version; nil without vectors.
  private func index(of entry: Catalog.Entry, _ database: SQLiteDatabase) throws(MemoryError) -> VectorIndex? {
    guard let dimension = entry.collection.dimension, entry.collection.vectors > 0 else { return nil }
    let known = indexes[entry.number]
    if let known, known.version == entry.version, known.dimension == dimension { return known }
    let path = folder + "/vectors-\(entry.number).index"
    let index = try VectorIndex(path, store: number, collection: entry.number, dimension: dimension)
    if index.version != entry.version || index.live != entry.collection.vectors {
      if index.version != 0 || known != nil {
        log("the index of the vectors of \(entry.collection.fullName) is behind, and is made again")
        board.change { $0.repairs += 1 }
      }
      try index.remake(store: number, collection: entry.number)
      try index.reserve(entry.collection.vectors)
      try database.each("SELECT seq, vector FROM vectors_\(entry.number) ORDER BY seq") { (row) throws(MemoryError) in
        try index.reserve(1)
        row.withBlob(1) { index.append(row.int(0), $0) }
        return true
      }
      index.version = entry.version
    }
    indexes[entry.number] = index
    return index
  }

  // MARK: Writing

  private func write(_ jobs: [StoreJob], _ database: SQLiteDatabase) {
    var ends: [End] = []
    (changes, dropped, mustScrub) = ([:], [], [])
    do throws(MemoryError) {
      try database.transaction { () throws(MemoryError) in
        for job in jobs {
          try database.run("SAVEPOINT job")
          let before = (changes, dropped, mustScrub)
          do throws(MemoryError) {
            ends.append((job, .success(try write(job, database))))
            try database.run("RELEASE job")
          } catch {
            (changes, dropped, mustScrub) = before
            // Some errors, as a full disk, end the whole transaction.
            guard database.isInTransaction else { throw error }
            try database.run("ROLLBACK TO job")
            try database.run("RELEASE job")
            ends.append((job, .failure(error)))
          }
        }
      }
    } catch {
      return answer(jobs.map { ($0, .failure(error)) })
    }
    board.change { $0.commits += 1 }
    tell(database)
    for (number, change) in changes { apply(change.list, change.version, to: number) }
    for number in dropped { removeIndex(number) }
    if !mustScrub.isEmpty { scrub(database) }
    answer(ends)
  }

  private func write(_ job: StoreJob, _ database: SQLiteDatabase) throws(MemoryError) -> MemoryReply {
    let catalog = Catalog(database: database, limits: limits)
    let access = job.access
    /// One operation on one collection.
    func change(_ name: String, _ body: (inout CollectionWriter) throws(MemoryError) -> Int) throws(MemoryError) -> Int {
      let entry = try catalog.find(name, for: access)
      try access.checkWrite(entry.collection)
      return try change(entry, body)
    }
    func change(_ entry: Catalog.Entry, _ body: (inout CollectionWriter) throws(MemoryError) -> Int) throws(MemoryError) -> Int {
      // While it is still right: it is easier to change than to make.
      if changes[entry.number] == nil { _ = try index(of: entry, database) }
      var writer = CollectionWriter(database, limits, entry, persona: access.name, now: clock())
      let count = try body(&writer)
      try catalog.save(writer.entry)
      changes[entry.number, default: ([], 0)].list += writer.changes
      changes[entry.number]!.version = writer.entry.version
      board.change { $0.documentsWritten += count }
      return count
    }
    switch job.request {
    case .create(let name, let rights, let embedder, let ifMissing):
      return .collection(
        try catalog.create(name, rights, embedder: embedder, ifMissing: ifMissing, for: access, at: clock()))
    case .drop(let name):
      let entry = try catalog.find(name, for: access)
      try access.checkOwns(entry.collection)
      try catalog.drop(entry)
      changes[entry.number] = nil
      dropped.append(entry.number)
      mustScrub.insert(entry.number)
      return .collection(entry.collection)
    case .share(let name, let rights):
      let entry = try catalog.find(name, for: access)
      try access.checkOwns(entry.collection)
      return .collection(try catalog.share(entry, rights))
    case .add(let name, let documents): return .count(try change(name) { (w) throws(MemoryError) in try w.put(documents, .add) })
    case .upsert(let name, let documents): return .count(try change(name) { (w) throws(MemoryError) in try w.put(documents, .upsert) })
    case .update(let name, let documents): return .count(try change(name) { (w) throws(MemoryError) in try w.put(documents, .update) })
    case .replace(let name, let source, let hash, let documents, let isFirst):
      return .count(
        try change(name) { (w) throws(MemoryError) in try w.replace(source, hash: hash, documents, isFirst: isFirst) })
    case .delete(let name, let selection):
      try selection.check(limits)
      return .count(
        try change(name) { (w) throws(MemoryError) in
          try w.remove(where: CollectionReader.condition(w.entry.number, ids: selection.ids, filter: selection.filter))
        })
    case .forget(let part, let name):
      var entries = [Catalog.Entry]()
      if let name {
        entries = [try catalog.find(name, for: access)]
        try access.checkWrite(entries[0].collection)
      } else {
        entries = try catalog.all().filter { access.mayWrite($0.collection) }
      }
      var count = 0
      for entry in entries {
        count += try change(entry) { (w) throws(MemoryError) in try w.forget(part) }
        mustScrub.insert(entry.number)
      }
      return .count(count)
    case .dropVectors(let name, let embedder):
      let entry = try catalog.find(name, for: access)
      try access.checkOwns(entry.collection)
      _ = try change(entry) { (w) throws(MemoryError) in
        try w.dropVectors(embedder: embedder)
        return 0
      }
      changes[entry.number] = nil
      dropped.append(entry.number)
      return .collection(try catalog.find(name, for: access).collection)
    case .fill(let name, let model, let vectors):
      return .count(try change(name) { (w) throws(MemoryError) in try w.fill(vectors, model: model) })
    default: preconditionFailure("a read is no write")
    }
  }

  /// The database has it: the index follows. One that cannot is made again when it is needed.
  private func apply(_ list: [CollectionWriter.IndexChange], _ version: Int64, to number: Int64) {
    guard let index = indexes[number] else { return }
    do throws(MemoryError) {
      for change in list {
        switch change {
        case .remove(let seq): index.remove(seq)
        case .append(let seq, let vector):
          guard vector.count == index.dimension, seq > index.last else { throw MemoryError(.damaged, "the index is another collection's") }
          try index.reserve(1)
          vector.withUnsafeBytes { index.append(seq, $0) }
        }
      }
      index.version = version
      // Slots that nobody uses cost time in every search.
      if index.removed > 1024, index.removed > index.live { indexes[number] = nil; index.version = 0 }
    } catch {
      log("the index of the vectors of collection \(number) could not follow, and will be made again: \(error.message)")
      indexes[number] = nil
      index.version = -1
    }
  }

  private func removeIndex(_ number: Int64) {
    indexes[number] = nil
    unlink(folder + "/vectors-\(number).index")
  }

  /// Nothing of what was removed stays in the files: not in merged-away words, not in the write-ahead log.
  private func scrub(_ database: SQLiteDatabase) {
    do throws(MemoryError) {
      for number in mustScrub where !dropped.contains(number) {
        try database.run("INSERT INTO words_\(number)(words_\(number)) VALUES ('optimize')", keep: false)
      }
      if !(try database.emptyLog()) { throw MemoryError(.storage, "another process reads \(database.path)") }
    } catch {
      log("what was forgotten is gone for every query, but traces of it may be in \(folder) until the next forget: \(error.message)")
    }
  }
}

extension MemoryRequest {
  var isWrite: Bool {
    switch self {
    case .create, .drop, .share, .add, .upsert, .update, .replace, .delete, .forget, .dropVectors, .fill: true
    case .list, .show, .get, .count, .query, .sources, .withoutVector, .export: false
    }
  }
}
