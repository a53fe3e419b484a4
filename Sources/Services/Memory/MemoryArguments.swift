import Kernel
import Wire

/// The arguments of one call, read member by member; errors name the operation and the member.
struct MemoryArguments {
  let operation: String
  let limits: MemoryLimits
  /// The trace of the message on whose behalf the call is made.
  let trace: String?
  private let members: [String: JSON]

  /// - Parameter keys: others are refused.
  init(_ request: MemoryRequest, keys: [String], limits: MemoryLimits) throws(MemoryError) {
    operation = request.operation
    // A trace that is as long as a text is none by which anything would be forgotten.
    trace = request.trace.flatMap { $0.utf8.count <= limits.id ? $0 : nil }
    self.limits = limits
    let parsed: JSON
    do { parsed = try JSON(parsing: request.arguments) } catch {
      throw MemoryError(.invalid, "memory \(request.operation): the arguments are no JSON: \(error.why)")
    }
    guard case .object(let members) = parsed else {
      throw MemoryError(.invalid, "memory \(request.operation): the arguments are an object, not \(parsed.kind)")
    }
    self.members = members
    if let unknown = members.keys.sorted().first(where: { !keys.contains($0) }) {
      throw wrong("there is no \"\(unknown)\"; it takes \(keys.joined(separator: ", "))")
    }
  }

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

  /// The collection that every operation on one must name.
  func collection() throws(MemoryError) -> String {
    guard let name = try name("collection") else { throw wrong("\"collection\" is missing") }
    return name
  }

  /// The name of a collection, with or without that of its owner.
  func name(_ key: String) throws(MemoryError) -> String? { try string(key, atMost: 2 * limits.name + 1) }

  func string(_ key: String, atMost limit: Int) throws(MemoryError) -> String? {
    guard let text = try string(key) else { return nil }
    guard text.utf8.count <= limit else {
      throw MemoryError(.tooLarge, "memory \(operation): \"\(key)\" has \(text.utf8.count) bytes; \(limit) are the limit")
    }
    return text
  }

  func filter() throws(MemoryError) -> Filter {
    try Filter(where: self["where"], document: self["where_document"], limits: limits)
  }

  private func value<T>(_ key: String, _ what: String, _ read: (JSON) -> T?) throws(MemoryError) -> T? {
    guard let json = self[key] else { return nil }
    guard let value = read(json) else { throw wrong("\"\(key)\" is \(what), not \(json.kind)") }
    return value
  }

  func embedder() throws(MemoryError) -> String? {
    guard let choice = try string("embedder", atMost: limits.model) else { return nil }
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
    guard let names = try strings(key) else { return nil }
    if names.count > limits.names {
      throw MemoryError(.tooLarge, "memory \(operation): \"\(key)\" has \(names.count) names; \(limits.names) are the limit")
    }
    if let long = names.first(where: { $0.utf8.count > limits.name }) {
      throw MemoryError(
        .tooLarge, "memory \(operation): a name in \"\(key)\" has \(long.utf8.count) bytes; \(limits.name) are the limit")
    }
    return .these(Set(names))
  }

  func vector(_ json: JSON?, _ place: String) throws(MemoryError) -> [Float]? {
    guard let json, json != .null else { return nil }
    guard let elements = json.array else { throw wrong("\"\(place)\" is a list of numbers, not \(json.kind)") }
    let numbers = elements.compactMap(\.number)
    guard numbers.count == elements.count, !numbers.isEmpty else { throw wrong("\"\(place)\" is a list of numbers") }
    return numbers.map(Float.init)
  }

  /// Vectors that come with their documents or a query, and are of no embedder of ours, are of this model.
  func model() throws(MemoryError) -> String { try string("model", atMost: limits.model) ?? "given" }

  func documents() throws(MemoryError) -> [Document] {
    guard let list = self["documents"] else { throw wrong("\"documents\" is missing") }
    guard let elements = list.array else { throw wrong("\"documents\" is a list of objects, not \(list.kind)") }
    if elements.count > limits.batch {
      throw MemoryError(.tooLarge, "memory \(operation): \(elements.count) documents at once; \(limits.batch) are the limit")
    }
    let model = try model()
    var documents: [Document] = []
    for (index, element) in elements.enumerated() {
      documents.append(try document(element, "documents[\(index)]", model: model))
    }
    return documents
  }

  private static let documentKeys = ["id", "text", "metadata", "embedding", "source", "place"]

  private func document(_ json: JSON, _ place: String, model: String) throws(MemoryError) -> Document {
    guard case .object(let members) = json else { throw wrong("\(place) is an object, not \(json.kind)") }
    if let unknown = members.keys.sorted().first(where: { !Self.documentKeys.contains($0) }) {
      throw wrong("\(place) has no \"\(unknown)\"; it takes \(Self.documentKeys.joined(separator: ", "))")
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
    return Document(
      id: id ?? Self.newID(), text: try string("text"), metadata: metadata,
      embedding: try vector(members["embedding"], place + ".embedding").map { Embedding(model: model, vector: $0) },
      origin: Origin(message: trace, source: try string("source"), place: try string("place")))
  }

  private static func newID() -> String {
    let number = String(UInt64.random(in: 0 ... .max), radix: 36)
    return String(repeating: "0", count: 13 - number.count) + number
  }
}
