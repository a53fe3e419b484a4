import Kernel
import Wire

/// One operation, read from its JSON arguments: docs/MEMORY.md describes them.
struct MemoryCall {
  enum Kind {
    /// The store does it as it is.
    case plain(MemoryRequest)
    /// The store does it when the documents have their vectors.
    case put(String, [Document], ([Document]) -> MemoryRequest)
    case query(String, MemoryQuery)
    case reembed(String, embedder: String?)
  }

  let operation: String
  let kind: Kind
  /// Of documents that are put in.
  private(set) var ids: [String] = []

  /// What there is, and the arguments that each takes.
  private static let operations: [String: [String]] = [
    "create": ["collection", "shared", "readers", "writers", "embedder", "if_missing"], "list": [], "show": ["collection"],
    "drop": ["collection"], "share": ["collection", "shared", "readers", "writers"], "add": ["collection", "documents", "model"],
    "upsert": ["collection", "documents", "model"], "update": ["collection", "documents", "model"],
    "get": ["collection", "ids", "where", "where_document", "limit", "offset", "vectors"],
    "delete": ["collection", "ids", "where", "where_document"], "count": ["collection", "where", "where_document"],
    "peek": ["collection", "limit"], "query": ["collection", "text", "embedding", "model", "limit", "where", "where_document", "mode"],
    "forget": ["collection", "source", "message", "persona"], "export": ["collection", "after"], "sources": ["collection", "under"],
    "replace": ["collection", "source", "hash", "documents", "first"], "reembed": ["collection", "embedder"],
  ]

  static func changes(_ operation: String) -> Bool {
    !["list", "show", "get", "count", "peek", "query", "export", "sources"].contains(operation)
  }

  init(_ order: MemoryOrder, limits: MemoryLimits) throws(MemoryError) {
    operation = order.operation
    guard let known = Self.operations[operation] else {
      let names = Self.operations.keys.sorted().joined(separator: ", ")
      throw MemoryError(.invalid, "the memory has no operation \(operation); it has \(names)")
    }
    let parsed: JSON
    do { parsed = try JSON(parsing: order.arguments) } catch {
      throw MemoryError(.invalid, "memory \(operation): the arguments are no JSON: \(error.why)")
    }
    guard case .object(let members) = parsed else {
      throw MemoryError(.invalid, "memory \(operation): the arguments are an object, not \(parsed.kind)")
    }
    let arguments = Arguments(operation: operation, members: members)
    if let unknown = members.keys.sorted().first(where: { !known.contains($0) }) {
      throw arguments.wrong("there is no \"\(unknown)\"; it takes \(known.joined(separator: ", "))")
    }
    func name() throws(MemoryError) -> String {
      guard let name = try arguments.string("collection") else { throw arguments.wrong("\"collection\" is missing") }
      return name
    }
    func filter() throws(MemoryError) -> Filter {
      try Filter(where: arguments["where"], document: arguments["where_document"], limits: limits)
    }
    switch operation {
    case "create":
      kind = .plain(
        .create(
          try name(), try arguments.rights() ?? .ownerOnly, embedder: try arguments.embedder(),
          ifMissing: try arguments.bool("if_missing") ?? false))
    case "list": kind = .plain(.list)
    case "show": kind = .plain(.show(try name()))
    case "drop": kind = .plain(.drop(try name()))
    case "share":
      guard let rights = try arguments.rights() else { throw arguments.wrong("say \"shared\", or \"readers\" and \"writers\"") }
      kind = .plain(.share(try name(), rights))
    case "add", "upsert", "update":
      let name = try name()
      let documents = try arguments.documents(message: order.trace, limits: limits)
      ids = documents.map(\.id)
      switch operation {
      case "add": kind = .put(name, documents) { .add(name, $0) }
      case "upsert": kind = .put(name, documents) { .upsert(name, $0) }
      default: kind = .put(name, documents) { .update(name, $0) }
      }
    case "replace":
      let name = try name()
      guard let source = try arguments.string("source") else { throw arguments.wrong("\"source\" is missing") }
      let hash = try arguments.string("hash")
      let isFirst = try arguments.bool("first") ?? true
      let documents = try arguments.documents(message: order.trace, limits: limits)
      kind = .put(name, documents) { .replace(name, source: source, hash: hash, $0, isFirst: isFirst) }
    case "get":
      kind = .plain(
        .get(
          try name(),
          Selection(
            ids: try arguments.strings("ids"), filter: try filter(), limit: try arguments.int("limit"),
            offset: try arguments.int("offset") ?? 0,
            withVectors: try arguments.bool("vectors") ?? false)))
    case "delete":
      let ids = try arguments.strings("ids")
      if ids == nil, arguments["where"] == nil, arguments["where_document"] == nil {
        throw arguments.wrong("say which: \"ids\", \"where\" or \"where_document\"; \"where\": {} means all")
      }
      kind = .plain(.delete(try name(), Selection(ids: ids, filter: try filter())))
    case "count": kind = .plain(.count(try name(), try filter()))
    case "peek": kind = .plain(.peek(try name(), try arguments.int("limit") ?? 10))
    case "query":
      var query = MemoryQuery(text: try arguments.string("text"), limit: try arguments.int("limit") ?? 10, filter: try filter())
      if let vector = try arguments.vector(arguments["embedding"], "embedding") {
        query.embedding = Embedding(model: try arguments.string("model") ?? Self.given, vector: vector)
      }
      if let mode = try arguments.string("mode") {
        guard let known = MemoryQuery.Mode(rawValue: mode) else { throw arguments.wrong("\"mode\" is \"words\", \"vectors\" or \"fused\"") }
        query.mode = known
      }
      if query.text == nil, query.embedding == nil { throw arguments.wrong("say what is looked for: \"text\", or \"embedding\"") }
      kind = .query(try name(), query)
    case "forget":
      var parts: [Origin.Part] = []
      if let source = try arguments.string("source") { parts.append(.source(source)) }
      if let message = try arguments.string("message") { parts.append(.message(message)) }
      if let persona = try arguments.string("persona") { parts.append(.persona(persona)) }
      guard parts.count == 1 else { throw arguments.wrong("say one of \"source\", \"message\" and \"persona\"") }
      kind = .plain(.forget(parts[0], collection: try arguments.string("collection")))
    case "export": kind = .plain(.export(try name(), after: Int64(try arguments.int("after") ?? 0)))
    case "sources": kind = .plain(.sources(try name(), under: try arguments.string("under")))
    default: kind = .reembed(try name(), embedder: try arguments.embedder())
    }
  }

  /// The model of vectors that come with their documents, if nothing is said.
  fileprivate static let given = "given"
}

/// The members of the arguments, with errors that name them.
private struct Arguments {
  let operation: String
  let members: [String: JSON]

  subscript(key: String) -> JSON? { members[key] == .null ? nil : members[key] }

  func wrong(_ what: String) -> MemoryError { MemoryError(.invalid, "memory \(operation): \(what)") }

  func string(_ key: String) throws(MemoryError) -> String? { try value(key, "a string", \.string) }
  func bool(_ key: String) throws(MemoryError) -> Bool? { try value(key, "true or false", \.bool) }
  func int(_ key: String) throws(MemoryError) -> Int? {
    try value(key, "a whole number") { json in if case .int(let value) = json { value } else { nil } }
  }
  func strings(_ key: String) throws(MemoryError) -> [String]? {
    try value(key, "a list of strings") { json in
      guard let elements = json.array else { return nil }
      let strings = elements.compactMap(\.string)
      return strings.count == elements.count ? strings : nil
    }
  }

  private func value<T>(_ key: String, _ what: String, _ read: (JSON) -> T?) throws(MemoryError) -> T? {
    guard let json = self[key] else { return nil }
    guard let value = read(json) else { throw wrong("\"\(key)\" is \(what), not \(json.kind)") }
    return value
  }

  func embedder() throws(MemoryError) -> String? {
    guard let choice = try string("embedder") else { return nil }
    do throws(EmbeddingError) { _ = try EmbedderChoice(choice) } catch { throw wrong(error.description) }
    return choice
  }

  func rights() throws(MemoryError) -> Rights? {
    let shared = try bool("shared")
    let readers = try circle("readers")
    let writers = try circle("writers")
    if shared == nil, readers == nil, writers == nil { return nil }
    if let shared {
      if readers != nil || writers != nil { throw wrong("say \"shared\", or \"readers\" and \"writers\"") }
      return shared ? .shared : .ownerOnly
    }
    return Rights(readers: readers ?? .these([]), writers: writers ?? .these([]))
  }

  private func circle(_ key: String) throws(MemoryError) -> Rights.Circle? {
    if self[key] == "everyone" { return .everyone }
    return try strings(key).map { .these(Set($0)) }
  }

  func vector(_ json: JSON?, _ place: String) throws(MemoryError) -> [Float]? {
    guard let json, json != .null else { return nil }
    guard let elements = json.array else { throw wrong("\"\(place)\" is a list of numbers, not \(json.kind)") }
    let numbers = elements.compactMap(\.number)
    guard numbers.count == elements.count, !numbers.isEmpty else { throw wrong("\"\(place)\" is a list of numbers") }
    return numbers.map(Float.init)
  }

  func documents(message: String?, limits: MemoryLimits) throws(MemoryError) -> [Document] {
    guard let list = self["documents"] else { throw wrong("\"documents\" is missing") }
    guard let elements = list.array else { throw wrong("\"documents\" is a list of objects, not \(list.kind)") }
    if elements.count > limits.batch {
      throw MemoryError(.tooLarge, "memory \(operation): \(elements.count) documents at once; \(limits.batch) are the limit")
    }
    var documents: [Document] = []
    let model = try string("model") ?? MemoryCall.given
    for (index, element) in elements.enumerated() {
      let place = "documents[\(index)]"
      guard case .object(let members) = element else { throw wrong("\(place) is an object, not \(element.kind)") }
      if let unknown = members.keys.sorted().first(where: { !["id", "text", "metadata", "embedding", "source", "place"].contains($0) }) {
        throw wrong("\(place) has no \"\(unknown)\"; it takes id, text, metadata, embedding, source, place")
      }
      func string(_ key: String) throws(MemoryError) -> String? {
        guard let value = members[key], value != .null else { return nil }
        guard let string = value.string else { throw wrong("\(place).\(key) is a string, not \(value.kind)") }
        return string
      }
      var metadata: [String: JSON] = [:]
      if let value = members["metadata"], value != .null {
        guard case .object(let object) = value else { throw wrong("\(place).metadata is an object, not \(value.kind)") }
        metadata = object
      }
      let id = try string("id")
      if id == nil, operation == "update" { throw wrong("\(place) has no \"id\": which document is to be changed?") }
      documents.append(
        Document(
          id: id ?? Self.newID(), text: try string("text"), metadata: metadata,
          embedding: try vector(members["embedding"], place + ".embedding").map { Embedding(model: model, vector: $0) },
          origin: Origin(message: message, source: try string("source"), place: try string("place"))))
    }
    return documents
  }

  private static func newID() -> String {
    let number = String(UInt64.random(in: 0 ... .max), radix: 36)
    return String(repeating: "0", count: 13 - number.count) + number
  }
}

// MARK: Answers

extension MemoryReply {
  func json(of call: MemoryCall) -> JSON {
    switch self {
    case .collection(let collection): return ["collection": collection.json]
    case .collections(let collections): return ["collections": .array(collections.map(\.json))]
    case .count(let count):
      return call.ids.isEmpty ? ["count": .int(count)] : ["count": .int(count), "ids": .array(call.ids.map(JSON.string))]
    case .documents(let documents): return ["documents": .array(documents.map(\.json))]
    case .hits, .texts: preconditionFailure("queries are answered elsewhere, and nobody else asks for texts")
    case .sources(let sources):
      return [
        "sources": .array(
          sources.map { ["source": .string($0.source), "hash": $0.hash.map(JSON.string) ?? .null, "changed": .int(Int($0.changed))] })
      ]
    case .page(let lines, let next):
      return ["lines": .string(String(decoding: lines, as: UTF8.self)), "next": next.map { .int(Int($0)) } ?? .null]
    }
  }
}

extension MemoryCollection {
  var json: JSON {
    func circle(_ circle: Rights.Circle) -> JSON {
      switch circle {
      case .everyone: "everyone"
      case .these(let names): .array(names.sorted().map(JSON.string))
      }
    }
    return [
      "name": .string(name), "owner": .string(owner), "readers": circle(rights.readers), "writers": circle(rights.writers),
      "embedder": embedder.map(JSON.string) ?? .null, "model": model.map(JSON.string) ?? .null,
      "dimension": dimension.map(JSON.int) ?? .null,
      "documents": .int(documents), "vectors": .int(vectors), "created": .int(Int(created)),
    ]
  }
}

extension Hit {
  func json(in collection: MemoryCollection) -> JSON {
    var members = document.json.object ?? [:]
    members["collection"] = .string(collection.fullName)
    members["score"] = .double(score)
    members["similarity"] = similarity.map(JSON.double)
    members["words"] = wordScore.map(JSON.double)
    return .object(members)
  }

  /// What a reply says of where it stands.
  func citation(in collection: MemoryCollection) -> JSON {
    var members: [String: JSON] = [
      "collection": .string(collection.fullName), "id": .string(document.id), "score": .double((score * 10_000).rounded() / 10_000),
    ]
    members["source"] = (document.origin.source ?? document.origin.message).map(JSON.string)
    members["place"] = document.origin.place.map(JSON.string)
    return .object(members)
  }
}
