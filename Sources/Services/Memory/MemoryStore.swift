import System
import Wire

/// Collections of documents that are found by words, by vectors, and by metadata; kept over restarts.
///
/// Every method may be called on any thread and returns at once, but for `stop`.
public protocol MemoryStore: AnyObject, Sendable {
  /// Does one operation, for whoever `access` says.
  ///
  /// Operations take effect in the order of the calls, each whole or not at all. What a success tells of is durable: it
  /// survives a crash of the process and of the machine.
  /// - Parameter onEnd: called exactly once, never inside this call, on a thread of the store's, which it must not block.
  func perform(
    _ request: MemoryRequest, as access: Access, onEnd: @escaping @Sendable (Result<MemoryReply, MemoryError>) -> Void)

  /// Counters, one JSON object.
  func statistics() -> JSON

  /// Finishes what it has been asked for, refuses what comes later, and returns when all is on disk. Not on a thread of the store's.
  func stop()
}

extension MemoryStore {
  /// Does one operation and waits for its end.
  public func perform(_ request: MemoryRequest, as access: Access) async throws(MemoryError) -> MemoryReply {
    try await withCheckedContinuation { continuation in
      perform(request, as: access) { continuation.resume(returning: $0) }
    }.get()
  }
}

/// One operation on the memory. Collections are named "NAME", or "OWNER/NAME": see `MemoryCollection`.
public enum MemoryRequest: Sendable {
  /// Makes a collection that belongs to whoever asks. Reply: `collection`.
  ///
  /// One that is there already is an error, or with `ifMissing` the reply, unchanged: the asker's own of that name, or,
  /// if a shared one is wanted, one that everybody may read.
  ///
  /// `embedder`: which embedder makes its vectors, for whoever embeds; nil: the usual one.
  case create(String, Rights = .ownerOnly, embedder: String? = nil, ifMissing: Bool = false)
  /// The collections that the asker may read. Reply: `collections`.
  case list
  /// One of them. Reply: `collection`.
  case show(String)
  /// Removes a collection with all that is in it; its owner may. Reply: `collection`, as it was.
  case drop(String)
  /// Changes who may read and write; the owner may. Reply: `collection`.
  case share(String, Rights)

  /// Adds documents; an id that is there already is an error. Reply: `count`.
  case add(String, [Document])
  /// Adds documents, or changes those that are there: metadata are merged key by key. Reply: `count`.
  case upsert(String, [Document])
  /// Changes documents: metadata are merged key by key; an id that is not there is an error. Reply: `count`.
  case update(String, [Document])
  /// Removes documents; ids that are not there are no error. Reply: `count`, of those removed.
  case delete(String, Selection)
  /// Removes everything that comes from there, out of one collection or all that the asker may write to. Reply: `count`.
  ///
  /// More than a delete: afterwards nothing of it is in the store's files any more.
  case forget(Origin.Part, collection: String? = nil)

  /// Puts these documents in the place of all that a source (a file) had. Reply: `count`, of those put in.
  ///
  /// A source with many documents comes in several parts: only the first has `isFirst`, and only the last a hash. Without
  /// documents and without a hash the source is gone.
  case replace(String, source: String, hash: String?, [Document], isFirst: Bool = true)
  /// The sources of a collection that begin with a text. Reply: `sources`.
  case sources(String, under: String? = nil)

  /// Takes all vectors away, so that those of another embedder can come; the owner may. Reply: `collection`.
  case dropVectors(String, embedder: String?)
  /// A page of documents that have a text and no vector, between two numbers of `seq`. Reply: `texts`.
  case withoutVector(String, after: Int64, before: Int64 = .max, limit: Int)
  /// Gives these documents their vectors; those that have one meanwhile, or have changed, are left alone. Reply: `count`.
  case fill(String, model: String, [(seq: Int64, vector: [Float])])

  /// Documents, in the order in which they came or got their present vector. Reply: `documents`.
  case get(String, Selection)
  /// Reply: `count`.
  case count(String, Filter = .everything)
  /// The best documents for a text, a vector, or both. Reply: `hits`, best first.
  case query(String, MemoryQuery)
  /// A page of the whole collection, one JSON object on each line. Reply: `page`.
  ///
  /// - Parameter after: `next` of the page before. What is changed between two pages is written as it is then.
  case export(String, after: Int64 = 0)

  /// The first documents, for a look.
  public static func peek(_ collection: String, _ count: Int = 10) -> MemoryRequest { .get(collection, Selection(limit: count)) }
}

/// What came of an operation.
public enum MemoryReply: Sendable, Equatable {
  case collection(MemoryCollection)
  case collections([MemoryCollection])
  case count(Int)
  case documents([StoredDocument])
  case hits([Hit])
  case sources([StoredSource])
  case texts([PendingText])
  /// Lines that each end in a newline, and where the next page begins; nil after the last.
  case page([UInt8], next: Int64?)
}

/// A file (or address) whose documents are in a collection.
public struct StoredSource: Sendable, Equatable {
  public var source: String
  /// Of its content, in the words of whoever put it in; nil: not all of it has come.
  public var hash: String?
  /// Milliseconds since 1970.
  public var changed: Int64
}

/// The text of a document that waits for its vector.
public struct PendingText: Sendable, Equatable {
  public var seq: Int64
  public var text: String
}
