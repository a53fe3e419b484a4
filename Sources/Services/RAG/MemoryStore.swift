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
  case create(String, Rights = .ownerOnly, ifMissing: Bool = false)
  /// The collections that the asker may read. Reply: `collections`.
  case list
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
  /// Lines that each end in a newline, and where the next page begins; nil after the last.
  case page([UInt8], next: Int64?)
}
