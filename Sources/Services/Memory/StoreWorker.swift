import Glibc
import System
import Wire

/// Everything that the store's thread owns: the database, the indexes, and when each operation is answered. For that thread alone.
final class StoreWorker {
  private let folder: String
  private let limits: MemoryLimits
  private let clock: @Sendable () -> Int64
  private let log: @Sendable (String) -> Void
  private let counters: StoreCounters

  private var lock: ProcessLock?
  private var database: SQLiteDatabase?
  private let indexes: IndexCache
  private let reserve: StoreReserve
  /// The last trouble with the disk that the log was told of.
  private var told: String?

  init(
    folder: String, limits: MemoryLimits, clock: @escaping @Sendable () -> Int64, log: @escaping @Sendable (String) -> Void,
    counters: StoreCounters
  ) {
    self.folder = folder
    self.limits = limits
    self.clock = clock
    self.log = log
    self.counters = counters
    indexes = IndexCache(folder: folder, limits: limits, log: log, counters: counters)
    reserve = StoreReserve(folder: folder)
  }

  deinit {
    database = nil
    lock = nil
  }

  /// Does the jobs in order. Writes that follow each other share a transaction, and are answered when it is on the disk.
  func perform(_ jobs: [StoreJob]) {
    let database: SQLiteDatabase
    do throws(MemoryError) { database = try opened() } catch {
      for job in jobs { fail(job, error) }
      return
    }
    var writes: [Write] = []
    for job in jobs {
      switch job.operation {
      case .write(let write): writes.append((job, write))
      case .read(let read):
        perform(writes, database)
        writes = []
        counters.change { $0.reads += 1 }
        do throws(MemoryError) { try perform(read, as: job.access, database) } catch { fail(job, error) }
      }
    }
    perform(writes, database)
  }

  private func fail(_ job: StoreJob, _ error: MemoryError) {
    counters.change { $0.failures += 1 }
    if [.storage, .diskFull, .damaged].contains(error.kind), told != error.message {
      told = error.message
      log("the memory is in trouble: \(error.message)")
    }
    job.fail(error)
  }

  // MARK: Opening

  private func opened() throws(MemoryError) -> SQLiteDatabase {
    if let database { return database }
    try PrivateFile.makeFolder(folder)
    try lockFolder()
    let database = try SQLiteDatabase(
      durable: folder + "/memory.sqlite", version: Self.schemaVersion, settings: Self.settings, schema: Self.schema
    ) { (database, version) throws(MemoryError) in
      log("the memory in \(folder) is brought from version \(version) to \(Self.schemaVersion): the index of words is made anew")
      try Catalog(database: database, limits: limits).upgrade(from: version)
    }
    indexes.storeNumber = try database.first("SELECT number FROM store") { $0.int(0) } ?? 0
    self.database = database
    reserve.fill()
    countWhatIsHeld(database)
    return database
  }

  private func lockFolder() throws(MemoryError) {
    // A process that is just ending releases it in a moment.
    var attempts = 20
    while lock == nil {
      do throws(ProcessLock.Refusal) { lock = try ProcessLock(folder + "/lock") } catch {
        if case .unusable(let error) = error {
          throw MemoryError(.storage, "the memory's folder \(folder) cannot be written to: \(error)")
        }
        attempts -= 1
        if attempts == 0 {
          throw MemoryError(
            .storage, "the memory in \(folder) is in use by another process: a second kernel needs a data folder of its own")
        }
        usleep(50_000)
      }
    }
  }

  private func countWhatIsHeld(_ database: SQLiteDatabase) {
    let held = try? database.first("SELECT count(*), total(documents), total(vectors) FROM collections") {
      (collections: $0.count(0), documents: $0.count(1), vectors: $0.count(2))
    }
    if let held { counters.change { $0.held = held } }
  }

  // One process has the file, so its index of the log is in memory and not in a file that could be cut off; nor is the file itself mapped.
  // A log of 8 MB (see `StoreReserve`) before it is copied into the file: pages that many commits change are copied once. What savepoints need
  // to roll back stays in memory, not in files.
  private static let settings = [
    "auto_vacuum = INCREMENTAL", "locking_mode = EXCLUSIVE", "cache_size = -16384", "wal_autocheckpoint = 2000",
    "journal_size_limit = 8388608", "temp_store = MEMORY",
  ]

  private static let schemaVersion = 3
  private static let schema = [
    "CREATE TABLE store(number INTEGER NOT NULL)", "INSERT INTO store VALUES (random() & 0x7fffffffffffffff | 1)",
    """
    CREATE TABLE collections(number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, name TEXT NOT NULL, readers TEXT,
      writers TEXT, embedder TEXT, model TEXT, dimension INTEGER, documents INTEGER NOT NULL, vectors INTEGER NOT NULL,
      version INTEGER NOT NULL, next INTEGER NOT NULL, created INTEGER NOT NULL, UNIQUE (owner, name))
    """,
  ]

  // MARK: Reading

  private func perform(_ read: MemoryRead, as access: Access, _ database: SQLiteDatabase) throws(MemoryError) {
    let catalog = Catalog(database: database, limits: limits)
    func reader(_ name: String) throws(MemoryError) -> CollectionReader {
      CollectionReader(database: database, limits: limits, entry: try catalog.find(name, for: access))
    }
    switch read {
    case .list(let reply): reply(try catalog.all().map(\.collection).filter(access.mayRead))
    case .show(let name, let reply): reply(try catalog.find(name, for: access).collection)
    case .get(let name, let selection, let reply): reply(try reader(name).get(selection))
    case .count(let name, let filter, let reply): reply(try reader(name).count(filter))
    case .query(let name, let query, let reply):
      let reader = try reader(name)
      guard query.embedding != nil else { return reply(try reader.query(query, index: nil)) }
      let index = try indexes.index(of: reader.entry, database)
      var hits = Result { () throws(MemoryError) in try reader.query(query, index: index) }
      // What was cut off while it was searched is made again.
      if index?.file.isWhole == false {
        hits = Result { () throws(MemoryError) in try reader.query(query, index: try indexes.index(of: reader.entry, database)) }
      }
      reply(try hits.get())
    case .sources(let name, let prefix, let after, let reply): reply(try reader(name).sources(under: prefix, after: after))
    case .withoutVector(let name, let after, let limit, let reply):
      reply(try reader(name).withoutVector(after: after, limit: limit))
    case .export(let name, let after, let reply): reply(try reader(name).page(after: after))
    }
  }

  // MARK: Writing

  private func perform(_ writes: [Write], _ database: SQLiteDatabase) {
    if writes.isEmpty { return }
    counters.change { $0.writes += writes.count }
    do throws(MemoryError) { try commit(writes, database) } catch {
      if error.kind == .diskFull { return makeRoom(for: writes, database, error) }
      for (job, _) in writes { fail(job, error) }
    }
  }

  /// Does writes for which the disk had no room: first with the room that the log of earlier ones takes; then only what takes something
  /// out, with the room that is kept for that.
  private func makeRoom(for writes: [Write], _ database: SQLiteDatabase, _ error: MemoryError) {
    func done(_ writes: [Write]) -> MemoryError? {
      do throws(MemoryError) {
        _ = try database.emptyLog()
        try commit(writes, database)
        return nil
      } catch { return error }
    }
    if done(writes) == nil { return }
    for (job, write) in writes where !write.makesRoom { fail(job, error) }
    let makers = writes.filter { $0.write.makesRoom }
    if makers.isEmpty { return }
    reserve.release()
    do throws(MemoryError) {
      // Pages that become free are not written once more only to be zeros: they leave the file.
      if try database.first("PRAGMA auto_vacuum", keep: false, { $0.int(0) }) == 2 {
        try database.run("PRAGMA secure_delete = FAST", keep: false)
      }
      if let error = done(makers) { for (job, _) in makers { fail(job, error) } }
      try database.shrink()
      try database.run("PRAGMA secure_delete = ON", keep: false)
    } catch { log("what was taken out of \(folder) has not made room on the disk: \(error.message)") }
    reserve.fill()
  }

  private typealias Write = (job: StoreJob, write: MemoryWrite)

  /// Does the writes in one transaction, each in a savepoint of its own, so that one that fails takes nothing with it. Answers them, unless it
  /// throws: then nothing was done.
  private func commit(_ writes: [Write], _ database: SQLiteDatabase) throws(MemoryError) {
    let group = WriteGroup(database: database, limits: limits, indexes: indexes, now: clock())
    var ends: [() -> Void] = []
    try database.transaction { () throws(MemoryError) in
      for (job, write) in writes {
        try database.run("SAVEPOINT job")
        let before = group.changes
        do throws(MemoryError) {
          let reply = try group.perform(write, as: job.access)
          try database.run("RELEASE job")
          ends.append(reply)
        } catch {
          group.changes = before
          // A full disk is everybody's, and some errors end the whole transaction.
          guard database.isInTransaction, error.kind != .diskFull else { throw error }
          try database.run("ROLLBACK TO job")
          try database.run("RELEASE job")
          ends.append { [self] in fail(job, error) }
        }
      }
    }
    told = nil
    counters.change {
      $0.commits += 1
      $0.documentsWritten += group.changes.documents
    }
    countWhatIsHeld(database)
    indexes.apply(group.changes)
    scrub(group.changes, database)
    for end in ends { end() }
  }

  /// Leaves nothing of what was removed in the files: neither in the index of words nor in the write-ahead log.
  private func scrub(_ changes: WriteGroup.Changes, _ database: SQLiteDatabase) {
    if changes.mustScrub.isEmpty { return }
    do throws(MemoryError) {
      for number in changes.mustScrub.subtracting(changes.dropped) {
        try database.run("INSERT INTO words_\(number)(words_\(number)) VALUES ('optimize')", keep: false)
      }
      if !(try database.emptyLog()) { throw MemoryError(.storage, "another process reads \(database.path)") }
    } catch {
      log("what was forgotten is gone for every query, but traces of it may be in \(folder) until the next forget: \(error.message)")
    }
  }
}
