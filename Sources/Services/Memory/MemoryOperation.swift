/// An operation of the memory, as rag/1 and KERNEL's `memory.OPERATION` offer it.
///
/// The check of a call's keys, the list in the error for an unknown name, and the table in docs/MEMORY.md come from `all`.
struct MemoryOperation: Sendable {
  /// Who may do it to a collection; the user may do everything.
  enum Who: String, Sendable { case everybody, readers, writers, owner }

  let name: String
  let summary: String
  /// The keys of the arguments that must be there.
  let needs: [String]
  /// The other keys that the arguments may have.
  let takes: [String]
  /// The members of the reply.
  let gives: [String]
  let who: Who
  /// Whether it changes something. Those that do are done one after the other.
  let changes: Bool
  /// Reads the arguments of a call.
  let call: @Sendable (MemoryArguments) throws(MemoryError) -> MemoryCall

  var keys: [String] { needs + takes }

  private static func reading(
    _ name: String, _ summary: String, needs: [String] = [], takes: [String] = [], gives: [String], _ who: Who,
    _ call: @escaping @Sendable (MemoryArguments) throws(MemoryError) -> MemoryCall
  ) -> MemoryOperation {
    MemoryOperation(name: name, summary: summary, needs: needs, takes: takes, gives: gives, who: who, changes: false, call: call)
  }

  private static func changing(
    _ name: String, _ summary: String, needs: [String] = [], takes: [String] = [], gives: [String], _ who: Who,
    _ call: @escaping @Sendable (MemoryArguments) throws(MemoryError) -> MemoryCall
  ) -> MemoryOperation {
    MemoryOperation(name: name, summary: summary, needs: needs, takes: takes, gives: gives, who: who, changes: true, call: call)
  }

  static func named(_ name: String) -> MemoryOperation? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  static let all: [MemoryOperation] = [
    changing(
      "create", "makes a collection; with `if_missing` one that exists is the result", needs: ["collection"],
      takes: ["shared", "readers", "writers", "embedder", "if_missing"], gives: ["collection"], .everybody, MemoryCall.create),
    reading("list", "the collections that the asker may read", gives: ["collections"], .everybody, MemoryCall.list),
    reading("show", "one collection", needs: ["collection"], gives: ["collection"], .readers, MemoryCall.show),
    changing(
      "share", "sets who may read and write, by `shared` or by `readers` and `writers`", needs: ["collection"],
      takes: ["shared", "readers", "writers"], gives: ["collection"], .owner, MemoryCall.share),
    changing("drop", "removes a collection and all that is in it", needs: ["collection"], gives: ["collection"], .owner, MemoryCall.drop),
    changing(
      "add", "adds documents; an id that exists is an error", needs: ["collection", "documents"], takes: ["model"],
      gives: ["count", "ids"], .writers, MemoryCall.add),
    changing(
      "upsert", "adds documents, or changes those that exist", needs: ["collection", "documents"], takes: ["model"],
      gives: ["count", "ids"], .writers, MemoryCall.upsert),
    changing(
      "update", "changes documents; an id that does not exist is an error", needs: ["collection", "documents"], takes: ["model"],
      gives: ["count", "ids"], .writers, MemoryCall.update),
    changing(
      "replace", "puts documents in the place of all that a file had", needs: ["collection", "source", "documents"],
      takes: ["hash", "first"], gives: ["count"], .writers, MemoryCall.replace),
    changing(
      "delete", "removes documents, by `ids`, `where` or `where_document`", needs: ["collection"],
      takes: ["ids", "where", "where_document"], gives: ["count"], .writers, MemoryCall.delete),
    changing(
      "forget", "removes all that comes from a file, a message or a persona, also from the bytes on the disk",
      takes: ["source", "message", "persona", "collection"], gives: ["count"], .writers, MemoryCall.forget),
    reading(
      "query", "finds the best passages for a `text`, an `embedding`, or both", needs: ["collection"],
      takes: ["text", "embedding", "model", "limit", "where", "where_document", "mode"], gives: ["passages"], .readers,
      MemoryCall.query),
    reading(
      "get", "documents by id and filter, in pages", needs: ["collection"],
      takes: ["ids", "where", "where_document", "limit", "offset", "vectors"], gives: ["documents"], .readers, MemoryCall.get),
    reading("peek", "the first documents", needs: ["collection"], takes: ["limit"], gives: ["documents"], .readers, MemoryCall.peek),
    reading(
      "count", "how many documents pass a filter", needs: ["collection"], takes: ["where", "where_document"], gives: ["count"],
      .readers, MemoryCall.count),
    reading(
      "sources", "the files of a collection, with the hashes of their contents", needs: ["collection"], takes: ["under"],
      gives: ["sources"], .readers, MemoryCall.sources),
    reading(
      "export", "a page of all documents, one JSON object a line; `after` is `next` of the page before", needs: ["collection"],
      takes: ["after"], gives: ["lines", "next"], .readers, MemoryCall.export),
    changing(
      "reembed", "has the vectors made anew by another embedder, or those made that are missing, in the background",
      needs: ["collection"], takes: ["embedder"], gives: ["collection", "waiting"], .owner, MemoryCall.reembed),
  ]
}
