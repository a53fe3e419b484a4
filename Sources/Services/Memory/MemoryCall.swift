import Kernel
import Wire

/// A call of one operation, read from its JSON arguments.
enum MemoryCall: Sendable {
  /// The store does it as it is.
  case plain(StoreRequest<JSON>)
  /// The store does it when the documents have their vectors.
  case put(Put)
  case query(String, MemoryQuery)
  case reembed(String, embedder: String?)

  /// Documents on their way into a collection.
  struct Put: Sendable {
    let collection: String
    let documents: [Document]
    /// Whether the reply tells the documents' ids, which may have been drawn here.
    let tellsIDs: Bool
    let request: @Sendable ([Document]) -> StoreRequest<Int>
  }

  init(_ request: MemoryRequest, limits: MemoryLimits) throws(MemoryError) {
    guard let operation = MemoryOperation.named(request.operation) else {
      let names = MemoryOperation.all.map(\.name).sorted().joined(separator: ", ")
      throw MemoryError(.invalid, "the memory has no operation \(request.operation); it has \(names)")
    }
    self = try operation.call(MemoryArguments(request, keys: operation.keys, limits: limits))
  }

  // MARK: Collections

  @Sendable static func create(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(
      StoreRequest.create(
        try arguments.collection(), try arguments.rights() ?? .ownerOnly, embedder: try arguments.embedder(),
        ifMissing: try arguments.bool("if_missing") ?? false
      ).asJSON)
  }

  @Sendable static func list(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let (after, size) = (try arguments.name("after"), arguments.limits.reply / 4)
    return .plain(StoreRequest.list.map { MemoryCollection.page($0, after: after, size: size) })
  }

  @Sendable static func show(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(StoreRequest.show(try arguments.collection()).asJSON)
  }

  @Sendable static func share(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    guard let rights = try arguments.rights() else { throw arguments.wrong("say \"shared\", or \"readers\" and \"writers\"") }
    return .plain(StoreRequest.share(try arguments.collection(), rights).asJSON)
  }

  @Sendable static func drop(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(StoreRequest.drop(try arguments.collection()).asJSON)
  }

  @Sendable static func reembed(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .reembed(try arguments.collection(), embedder: try arguments.embedder())
  }

  // MARK: Documents in and out

  @Sendable static func add(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let name = try arguments.collection()
    return .put(Put(collection: name, documents: try arguments.documents(), tellsIDs: true) { .add(name, $0) })
  }

  @Sendable static func upsert(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let name = try arguments.collection()
    return .put(Put(collection: name, documents: try arguments.documents(), tellsIDs: true) { .upsert(name, $0) })
  }

  @Sendable static func update(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let name = try arguments.collection()
    return .put(Put(collection: name, documents: try arguments.documents(), tellsIDs: true) { .update(name, $0) })
  }

  @Sendable static func replace(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let name = try arguments.collection()
    guard let source = try arguments.string("source") else { throw arguments.wrong("\"source\" is missing") }
    let hash = try arguments.string("hash")
    let isFirst = try arguments.bool("first") ?? true
    return .put(
      Put(collection: name, documents: try arguments.documents(), tellsIDs: false) {
        .replace(name, source: source, hash: hash, $0, isFirst: isFirst)
      })
  }

  @Sendable static func delete(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let ids = try arguments.strings("ids")
    if ids == nil, arguments["where"] == nil, arguments["where_document"] == nil {
      throw arguments.wrong("say which: \"ids\", \"where\" or \"where_document\"; \"where\": {} means all")
    }
    return .plain(StoreRequest.delete(try arguments.collection(), Selection(ids: ids, filter: try arguments.filter())).asJSON)
  }

  @Sendable static func forget(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    var parts: [Origin.Part] = []
    if let source = try arguments.string("source") { parts.append(.source(source)) }
    if let message = try arguments.string("message") { parts.append(.message(message)) }
    if let persona = try arguments.string("persona") { parts.append(.persona(persona)) }
    guard parts.count == 1 else { throw arguments.wrong("say one of \"source\", \"message\" and \"persona\"") }
    return .plain(StoreRequest.forget(parts[0], collection: try arguments.name("collection")).asJSON)
  }

  // MARK: Reading

  @Sendable static func query(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    var query = MemoryQuery(
      text: try arguments.string("text"), limit: try arguments.int("limit") ?? 10, filter: try arguments.filter())
    if let vector = try arguments.vector(arguments["embedding"], "embedding") {
      query.embedding = Embedding(model: try arguments.model(), vector: vector)
    }
    if let mode = try arguments.string("mode") {
      guard let known = MemoryQuery.Mode(rawValue: mode) else {
        throw arguments.wrong("\"mode\" is \"words\", \"vectors\" or \"fused\"")
      }
      query.mode = known
    }
    if query.text == nil, query.embedding == nil {
      throw arguments.wrong("say what is looked for: \"text\", or \"embedding\"")
    }
    return .query(try arguments.collection(), query)
  }

  @Sendable static func get(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    let selection = Selection(
      ids: try arguments.strings("ids"), filter: try arguments.filter(), limit: try arguments.int("limit"),
      offset: try arguments.int("offset") ?? 0, withVectors: try arguments.bool("vectors") ?? false)
    return .plain(StoreRequest.get(try arguments.collection(), selection).asJSON)
  }

  @Sendable static func peek(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(StoreRequest.peek(try arguments.collection(), try arguments.int("limit") ?? 10).asJSON)
  }

  @Sendable static func count(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(StoreRequest.count(try arguments.collection(), try arguments.filter()).asJSON)
  }

  @Sendable static func sources(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(
      StoreRequest.sources(try arguments.collection(), under: try arguments.string("under"), after: try arguments.string("after")).asJSON)
  }

  @Sendable static func export(_ arguments: MemoryArguments) throws(MemoryError) -> MemoryCall {
    .plain(StoreRequest.export(try arguments.collection(), after: Int64(try arguments.int("after") ?? 0)).asJSON)
  }
}
