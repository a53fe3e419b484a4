/// The memory that all personas share: collections of documents, found by their words and their meaning.
///
/// What a query finds while a gram is handled is cited in the reply to it: the kernel adds "citations" to a reply
/// that is an object and has none. Operations that have no function here: `perform`. `kernel.rag`:
///
/// ```swift in:receive
///     try await kernel.rag.create("notes")
///     try await kernel.rag.add("notes", text: gram.text ?? "", metadata: ["by": .string(gram.source)])
///     let found = try await kernel.rag.query("notes", text: gram.text ?? "", limit: 3, matching: ["by": .string(gram.source)])
///     return ["found": .array(found.map { .string($0.text) })]
/// ```
public struct Memory: Sendable {
  let host: HostReference

  /// A piece of a document that a query has found.
  public struct Passage: Sendable, Decodable {
    public var id: String
    public var text: String
    /// Larger is better; to be compared within one query only.
    public var score: Double
    /// The file or message that it comes from.
    public var source: String?
    /// Where in it: a heading, a page, lines.
    public var place: String?
    public var metadata: JSON?
    /// As OWNER/NAME.
    public var collection: String?
    /// The cosine of its vector with the text's, if it was found by its meaning. What is near depends on the embedder.
    public var similarity: Double?

    /// As it stands among the "citations" of a reply.
    public var citation: JSON {
      var members: [String: JSON] = ["id": .string(id), "score": .number((score * 10_000).rounded() / 10_000)]
      members["collection"] = collection.map { .string($0) }
      members["source"] = source.map { .string($0) }
      members["place"] = place.map { .string($0) }
      return .object(members)
    }
  }

  /// The best passages for a text, best first.
  ///
  /// - Parameter matching: a filter on the metadata, as in `["year": ["$gte": 1939]]` (docs/MEMORY.md).
  public nonisolated(nonsending) func query(_ collection: String, text: String, limit: Int = 5, matching: JSON? = nil) async throws
    -> [Passage]
  {
    var arguments: [String: JSON] = ["collection": .string(collection), "text": .string(text), "limit": .int(limit)]
    arguments["where"] = matching
    struct Answer: Decodable { var passages: [Passage] }
    return try await perform("query", .object(arguments)).decode(Answer.self).passages
  }

  /// Adds one document; an id that is there already is an error. Without an id the kernel makes one, and returns it.
  @discardableResult
  public nonisolated(nonsending) func add(_ collection: String, id: String? = nil, text: String, metadata: JSON = [:]) async throws
    -> String
  {
    var document: [String: JSON] = ["text": .string(text), "metadata": metadata]
    document["id"] = id.map { .string($0) }
    struct Answer: Decodable { var ids: [String] }
    let answer = try await perform("add", ["collection": .string(collection), "documents": [.object(document)]]).decode(Answer.self)
    guard let id = answer.ids.first else { throw KernelError.invalid("rag add: the kernel named no id") }
    return id
  }

  /// Makes a collection if it is not there: private to this persona, or shared with all.
  public nonisolated(nonsending) func create(_ collection: String, shared: Bool = false) async throws {
    _ = try await perform("create", ["collection": .string(collection), "shared": .bool(shared), "if_missing": true])
  }

  /// Any operation of docs/MEMORY.md.
  public nonisolated(nonsending) func perform(_ operation: String, _ arguments: JSON) async throws -> JSON {
    try await host.remember(operation, arguments)
  }
}
