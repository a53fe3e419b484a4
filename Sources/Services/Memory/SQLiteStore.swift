// The memory store in one SQLite file. How the pieces fit:
//
//   perform() ─▶ SerialThread ─▶ StoreWorker ─▶ MemoryRead  ─▶ Catalog, CollectionReader ─▶ FilterSQL, WordQuery, Fusion
//                                (groups,    ─▶ MemoryWrite ─▶ WriteGroup ─▶ Catalog, CollectionWriter
//                                 commits)   ─▶ IndexCache  ─▶ VectorIndex (VectorFile, MetadataIndex)
//
// One thread, "memory", owns all of it and is started by the first request, so nothing below needs a lock, and a kernel
// that remembers nothing pays nothing. It takes whatever has queued up and does it in order: each run of writes is one
// transaction (each write in a savepoint of its own, so that one that fails takes nothing with it), committed before any
// of them is answered. Reads come between. So a write is seen by every request after it, and never before it is durable.
//
// The folder holds, for the user alone (modes 0700 and 0600):
//
//     memory.sqlite        the truth; journal_mode WAL, synchronous FULL: a commit returns when it is on the disk, so
//                          what was acknowledged survives a crash of the process and of the machine. Group commits pay
//                          for it: what queues up during one commit shares the next.
//     memory.sqlite-wal    SQLite's
//     reserve              room for the log of writes when the disk is full and something is to be taken out
//     vectors-N.index      the compact vectors of collection N (format: VectorFile.swift); may be deleted at any time
//     lock                 locked while a process has the store: two would not see each other's index
//
// The schema, user_version 3. Each collection has tables of its own, so that it is searched without the others, its
// words have their own frequencies, and it is dropped at once. N is its number.
//
//     store(number)        one row, drawn at the beginning: an index of another store is none of ours
//     collections(number, owner, name, readers, writers, embedder, model, dimension, documents, vectors, version, next, created)
//                          readers, writers: a JSON list of names, or NULL for everyone; documents, vectors: how many there
//                          are; version: counts the writes, and tells whether the index is behind; next: the next seq
//     documents_N(seq, id, text, metadata, persona, added, changed, message, source, place)
//                          metadata: a JSON object; added, changed: milliseconds since 1970. `seq` is never used twice,
//                          and a document whose vector changes gets a new one: so a seq stands for one vector for ever
//     vectors_N(seq, vector)             floats of 32 bits, little-endian, as they came
//     metadata_N(key, document, value)   each value once more, in the order of the keys, to be read by key: "=KEY" for a
//                          single value and "@KEY" for an element of a list; numbers and texts as such, booleans as blobs of
//                          one byte
//     sources_N(source, hash, changed)   files that were put in as a whole; hash NULL: not all of it has come
//     words_N              FTS5 over the text as `WordText` has it, rowid = seq, without a copy of it. unicode61, diacritics removed;
//                          no stemming, because SQLite has only the English one, which is wrong for every other language

import Glibc
import Synchronization
import System
import Wire

/// One request on its way to the store's thread.
struct StoreJob: Sendable {
  /// Gives its reply to whoever asked.
  let operation: StoreOperation
  let access: Access
  /// Called instead of the operation's reply.
  let fail: @Sendable (MemoryError) -> Void
}

/// The memory store that needs no server: one SQLite file, with an index of the vectors beside it.
public final class SQLiteStore: MemoryStore {
  private let thread: SerialThread<StoreJob>
  private let limits: MemoryLimits
  private let counters: StoreCounters

  /// - Parameters:
  ///   - folder: made if it is missing, when the first request comes; not shared with another process.
  ///   - clock: milliseconds since 1970.
  ///   - log: told of repairs; called on the store's thread.
  public init(
    folder: String, limits: MemoryLimits = MemoryLimits(), clock: @escaping @Sendable () -> Int64 = MachineClock.system.wallMilliseconds,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    let counters = StoreCounters()
    self.counters = counters
    self.limits = limits
    thread = SerialThread(name: "memory", limit: limits.waiting) {
      let worker = StoreWorker(folder: folder, limits: limits, clock: clock, log: log, counters: counters)
      return SerialWorker { worker.perform($0) }
    }
  }

  public func perform<Reply>(
    _ request: StoreRequest<Reply>, as access: Access, onEnd: @escaping @Sendable (Result<Reply, MemoryError>) -> Void
  ) {
    let job = StoreJob(operation: request.operation { onEnd(.success($0)) }, access: access) { onEnd(.failure($0)) }
    guard case .failure(let refusal) = thread.post(job) else { return }
    let error =
      switch refusal {
      case .stopped: MemoryError(.stopped, "the memory has been stopped; nothing is stored or looked up any more")
      case .noThread(let error): MemoryError(.queueFull, "no thread can be started for the memory: \(error); try again later")
      case .full: MemoryError(.queueFull, "\(limits.waiting) operations wait for the memory's store, which is the limit: try again later")
      }
    Task.detached { onEnd(.failure(error)) }
  }

  public func statistics() -> JSON { counters.json }

  public func stop() { thread.stop() }
}

/// Counters, written by the store's thread and read by any.
final class StoreCounters: Sendable {
  struct Counts {
    var reads = 0
    var writes = 0
    var failures = 0
    var commits = 0
    var documentsWritten = 0
    var repairs = 0
    /// What the store holds; nil before the first request.
    var held: (collections: Int, documents: Int, vectors: Int)?
  }
  private let counts = Mutex(Counts())

  func change(_ body: (inout Counts) -> Void) { counts.withLock { body(&$0) } }

  var json: JSON {
    let counts = counts.withLock { $0 }
    var members: [String: JSON] = [
      "reads": .int(counts.reads), "writes": .int(counts.writes), "failures": .int(counts.failures), "commits": .int(counts.commits),
      "documents_written": .int(counts.documentsWritten), "index_repairs": .int(counts.repairs),
    ]
    if let held = counts.held {
      members["collections"] = .int(held.collections)
      members["documents"] = .int(held.documents)
      members["vectors"] = .int(held.vectors)
    }
    return .object(members)
  }
}
