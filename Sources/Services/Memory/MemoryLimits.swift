/// How much a store takes; whatever is over one of these is refused with `MemoryError.Kind.tooLarge`,
/// or `.queueFull` for what waits. Sizes in bytes of UTF-8.
public struct MemoryLimits: Sendable, Equatable {
  /// Of a collection's name.
  public var name = 128
  /// Of a document's id.
  public var id = 512
  public var text = 1 << 20
  /// Of the name of a file or address: a path has up to 4,096 bytes, and each may need four.
  public var source = 16 << 10
  /// Of where in it a document is.
  public var place = 16 << 10
  /// Of the hash of a source.
  public var hash = 256
  /// Of the name of an embedding model, and of an embedder.
  public var model = 256
  /// Names among the readers or the writers of a collection.
  public var names = 1000
  /// Of a key of the metadata.
  public var metadataKey = 256
  /// Of a document's metadata, written as JSON.
  public var metadata = 64 << 10
  /// Keys of a document's metadata; lists count one for each element.
  public var metadataValues = 1000
  /// Of a vector, in components.
  public var dimension = 4096
  /// Documents in one operation, and ids in one selection.
  public var batch = 1000
  /// Documents that one `get` or one query returns.
  public var results = 10_000
  /// Bytes of the texts, metadata and vectors in one reply; lists of collections and sources come in pages of about a fourth of it.
  public var reply = 8 << 20
  /// Comparisons in one filter; each element of `$in` is one.
  public var filterParts = 1000
  /// `$and` and `$or` in each other.
  public var filterDepth = 16
  /// Of a query's text, in different words; those after them are not looked for.
  public var queryWords = 64

  /// Operations that wait for one of the memory's threads or are being done there; one asker may have half of them.
  public var waiting = 10_000
  /// Bytes of the arguments of these operations; one asker may have half of them.
  public var waitingBytes = 64 << 20
  /// Milliseconds that a query waits for the vector of its text; then it is answered by words alone.
  public var vectorMilliseconds = 2000

  public init() {}
}
