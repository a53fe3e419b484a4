/// An operation of the memory, as rag/1 and KERNEL's `memory.OPERATION` offer it: how its arguments are read.
///
/// What each does, takes and gives is told by `KernelMethods.memory`, which has the same names. The check of a call's keys and
/// the list in the error for an unknown name come from `all`.
struct MemoryOperation: Sendable {
  let name: String
  /// The keys that the arguments may have.
  let keys: [String]
  /// Whether it changes something. Those that do are done one after the other.
  let changes: Bool
  /// Reads the arguments of a call.
  let call: @Sendable (MemoryArguments) throws(MemoryError) -> MemoryCall

  private typealias Read = @Sendable (MemoryArguments) throws(MemoryError) -> MemoryCall

  private static func reading(_ name: String, _ keys: [String], _ call: @escaping Read) -> MemoryOperation {
    MemoryOperation(name: name, keys: keys, changes: false, call: call)
  }
  private static func changing(_ name: String, _ keys: [String], _ call: @escaping Read) -> MemoryOperation {
    MemoryOperation(name: name, keys: keys, changes: true, call: call)
  }

  static func named(_ name: String) -> MemoryOperation? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  static let all: [MemoryOperation] = [
    changing("create", ["collection", "shared", "readers", "writers", "embedder", "if_missing"], MemoryCall.create),
    reading("list", ["after"], MemoryCall.list),
    reading("show", ["collection"], MemoryCall.show),
    changing("share", ["collection", "shared", "readers", "writers"], MemoryCall.share),
    changing("drop", ["collection"], MemoryCall.drop),
    changing("add", ["collection", "documents", "model"], MemoryCall.add),
    changing("upsert", ["collection", "documents", "model"], MemoryCall.upsert),
    changing("update", ["collection", "documents", "model"], MemoryCall.update),
    reading("query", ["collection", "text", "embedding", "model", "limit", "where", "where_document", "mode"], MemoryCall.query),
    reading("get", ["collection", "ids", "where", "where_document", "limit", "offset", "vectors"], MemoryCall.get),
    reading("peek", ["collection", "limit"], MemoryCall.peek),
    reading("count", ["collection", "where", "where_document"], MemoryCall.count),
    changing("delete", ["collection", "ids", "where", "where_document"], MemoryCall.delete),
    changing("forget", ["source", "message", "persona", "collection"], MemoryCall.forget),
    reading("sources", ["collection", "under", "after"], MemoryCall.sources),
    changing("replace", ["collection", "source", "hash", "documents", "first", "model"], MemoryCall.replace),
    reading("export", ["collection", "after"], MemoryCall.export),
    changing("reembed", ["collection", "embedder"], MemoryCall.reembed),
  ]
}
