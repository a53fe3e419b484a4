/// One operation on a store, and the type of its reply.
///
/// Collections are named "NAME" or "OWNER/NAME": see `MemoryCollection`.
public struct StoreRequest<Reply: Sendable>: Sendable {
  /// The operation that hands its reply to the given closure.
  let operation: @Sendable (_ reply: @escaping @Sendable (Reply) -> Void) -> StoreOperation

  private init(read: @escaping @Sendable (@escaping @Sendable (Reply) -> Void) -> MemoryRead) { operation = { .read(read($0)) } }
  private init(write: @escaping @Sendable (@escaping @Sendable (Reply) -> Void) -> MemoryWrite) { operation = { .write(write($0)) } }
  private init(operation: @escaping @Sendable (@escaping @Sendable (Reply) -> Void) -> StoreOperation) { self.operation = operation }

  /// The same operation with another form of its reply.
  func map<New: Sendable>(_ change: @escaping @Sendable (Reply) -> New) -> StoreRequest<New> {
    StoreRequest<New> { [operation] (reply: @escaping @Sendable (New) -> Void) -> StoreOperation in operation { reply(change($0)) } }
  }
}

/// What the store's thread is given: reads and writes are done differently.
enum StoreOperation: Sendable {
  case read(MemoryRead)
  case write(MemoryWrite)
}

/// Takes the reply of an operation, if it succeeds.
typealias Reply<Value> = @Sendable (Value) -> Void

/// Everything that changes nothing; `StoreRequest` says what each does.
enum MemoryRead: Sendable {
  case list(Reply<[MemoryCollection]>)
  case show(String, Reply<MemoryCollection>)
  case get(String, Selection, Reply<[StoredDocument]>)
  case count(String, Filter, Reply<Int>)
  case query(String, MemoryQuery, Reply<[Hit]>)
  case sources(String, under: String?, after: String?, Reply<SourcePage>)
  case withoutVector(String, after: Int64, limit: Int, Reply<[PendingText]>)
  case export(String, after: Int64, Reply<ExportPage>)
}

/// Everything that changes something; `StoreRequest` says what each does.
enum MemoryWrite: Sendable {
  case create(String, Rights, embedder: String?, ifMissing: Bool, Reply<MemoryCollection>)
  case drop(String, Reply<MemoryCollection>)
  case share(String, Rights, Reply<MemoryCollection>)
  case put(String, [Document], CollectionWriter.Way, Reply<Int>)
  case delete(String, Selection, Reply<Int>)
  case forget(Origin.Part, collection: String?, Reply<Int>)
  case replace(String, source: String, hash: String?, [Document], isFirst: Bool, Reply<Int>)
  case dropVectors(String, embedder: String?, Reply<MemoryCollection>)
  case fill(String, model: String, [(seq: Int64, vector: [Float])], Reply<Int>)

  /// Whether it takes something out and puts nothing in.
  var makesRoom: Bool {
    switch self {
    case .drop, .delete, .forget, .dropVectors: true
    case .replace(_, _, _, let documents, _, _): documents.isEmpty
    case .create, .share, .put, .fill: false
    }
  }
}

extension StoreRequest where Reply == [MemoryCollection] {
  /// The collections that the asker may read.
  public static var list: Self { Self { .list($0) } }
}

extension StoreRequest where Reply == MemoryCollection {
  /// Makes a collection that belongs to whoever asks.
  ///
  /// One that exists already is an error; with `ifMissing` it is the reply, unchanged: the asker's own of that name, or,
  /// if a shared one is wanted, one that everybody may read.
  ///
  /// - Parameter embedder: which embedder makes its vectors, for whoever embeds; nil: the usual one.
  public static func create(_ name: String, _ rights: Rights = .ownerOnly, embedder: String? = nil, ifMissing: Bool = false) -> Self {
    Self { .create(name, rights, embedder: embedder, ifMissing: ifMissing, $0) }
  }
  /// One of the collections.
  public static func show(_ name: String) -> Self { Self { .show(name, $0) } }
  /// Removes a collection with everything in it; its owner may. The reply is the collection as it was.
  public static func drop(_ name: String) -> Self { Self { .drop(name, $0) } }
  /// Changes who may read and write; the owner may.
  public static func share(_ name: String, _ rights: Rights) -> Self { Self { .share(name, rights, $0) } }
  /// Removes all vectors, so that those of another embedder can be made; the owner may.
  public static func dropVectors(_ name: String, embedder: String?) -> Self { Self { .dropVectors(name, embedder: embedder, $0) } }
}

/// Replies with how many documents were written, removed or counted.
extension StoreRequest where Reply == Int {
  /// Adds documents; an id that exists already is an error.
  public static func add(_ name: String, _ documents: [Document]) -> Self { Self { .put(name, documents, .add, $0) } }
  /// Adds documents, or changes those that exist: metadata are merged key by key.
  public static func upsert(_ name: String, _ documents: [Document]) -> Self { Self { .put(name, documents, .upsert, $0) } }
  /// Changes documents: metadata are merged key by key; an id that does not exist is an error.
  public static func update(_ name: String, _ documents: [Document]) -> Self { Self { .put(name, documents, .update, $0) } }
  /// Removes documents; ids that do not exist are no error.
  public static func delete(_ name: String, _ selection: Selection) -> Self { Self { .delete(name, selection, $0) } }
  /// Removes everything that comes from there, from one collection or from all that the asker may write to.
  ///
  /// More than a delete: afterwards nothing of it is left in the store's files.
  public static func forget(_ part: Origin.Part, collection: String? = nil) -> Self { Self { .forget(part, collection: collection, $0) } }
  /// Replaces all documents of a source (a file) by these.
  ///
  /// A source with many documents comes in several parts: only the first has `isFirst`, and only the last has a hash.
  /// Without documents and without a hash the source is gone.
  public static func replace(_ name: String, source: String, hash: String?, _ documents: [Document], isFirst: Bool = true) -> Self {
    Self { .replace(name, source: source, hash: hash, documents, isFirst: isFirst, $0) }
  }
  /// Gives these documents their vectors; documents that have one by now, or have changed, are left alone.
  public static func fill(_ name: String, model: String, _ vectors: [(seq: Int64, vector: [Float])]) -> Self {
    Self { .fill(name, model: model, vectors, $0) }
  }
  /// How many documents pass the filter.
  public static func count(_ name: String, _ filter: Filter = .everything) -> Self { Self { .count(name, filter, $0) } }
}

extension StoreRequest where Reply == [StoredDocument] {
  /// Documents, in the order in which they were added or got their present vector.
  public static func get(_ name: String, _ selection: Selection) -> Self { Self { .get(name, selection, $0) } }
  /// The first documents, for a look.
  public static func peek(_ name: String, _ count: Int = 10) -> Self { get(name, Selection(limit: count)) }
}

extension StoreRequest where Reply == [Hit] {
  /// The best documents for a text, a vector, or both, best first.
  public static func query(_ name: String, _ query: MemoryQuery) -> Self { Self { .query(name, query, $0) } }
}

extension StoreRequest where Reply == SourcePage {
  /// The sources of a collection whose names begin with a text.
  public static func sources(_ name: String, under prefix: String? = nil, after: String? = nil) -> Self {
    Self { .sources(name, under: prefix, after: after, $0) }
  }
}

extension StoreRequest where Reply == [PendingText] {
  /// A page of documents that have a text and no vector, in the order of `seq` and behind the given one.
  public static func withoutVector(_ name: String, after: Int64, limit: Int) -> Self {
    Self { .withoutVector(name, after: after, limit: limit, $0) }
  }
}

extension StoreRequest where Reply == ExportPage {
  /// A page of the whole collection, one JSON object on each line.
  ///
  /// - Parameter after: `next` of the page before. What changes between two pages is written as it is then.
  public static func export(_ name: String, after: Int64 = 0) -> Self { Self { .export(name, after: after, $0) } }
}
