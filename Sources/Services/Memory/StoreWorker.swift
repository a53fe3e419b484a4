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
    var writes: [(job: StoreJob, write: MemoryWrite)] = []
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
    job.fail(error)
  }

  // MARK: Opening

  private func opened() throws(MemoryError) -> SQLiteDatabase {
    if let database { return database }
    try PrivateFile.makeFolder(folder)
    try lockFolder()
    let database = try SQLiteDatabase(
      durable: folder + "/memory.sqlite", version: Self.schemaVersion, settings: Self.settings, schema: Self.schema
    ) { (database, _) throws(MemoryError) in try Catalog(database: database, limits: limits).upgrade() }
    indexes.storeNumber = try database.first("SELECT number FROM store") { $0.int(0) } ?? 0
    self.database = database
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

  // A log of 16 MB before it is copied into the file: pages that many commits change are copied once. What savepoints need
  // to roll back stays in memory, not in files.
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
      reply(try reader.query(query, index: query.embedding == nil ? nil : try indexes.index(of: reader.entry, database)))
    case .sources(let name, let prefix, let reply): reply(try reader(name).sources(under: prefix))
    case .withoutVector(let name, let after, let limit, let reply):
      reply(try reader(name).withoutVector(after: after, limit: limit))
    case .export(let name, let after, let reply): reply(try reader(name).page(after: after))
    }
  }

  // MARK: Writing

  /// Does the writes in one transaction, each in a savepoint of its own, so that one that fails takes nothing with it.
  private func perform(_ writes: [(job: StoreJob, write: MemoryWrite)], _ database: SQLiteDatabase) {
    if writes.isEmpty { return }
    counters.change { $0.writes += writes.count }
    let group = WriteGroup(database: database, limits: limits, indexes: indexes, now: clock())
    var ends: [() -> Void] = []
    do throws(MemoryError) {
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
            // Some errors, such as a full disk, end the whole transaction.
            guard database.isInTransaction else { throw error }
            try database.run("ROLLBACK TO job")
            try database.run("RELEASE job")
            ends.append { [self] in fail(job, error) }
          }
        }
      }
    } catch {
      for (job, _) in writes { fail(job, error) }
      return
    }
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
