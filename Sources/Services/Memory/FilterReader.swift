import Wire

/// Reads filters as Chroma writes them.
///
///     where           {"key": value} · {"key": {"$op": operand, …}} · {"$and": […]} · {"$or": […]}
///                     $eq $ne $gt $gte $lt $lte $in $nin, and of lists $contains $not_contains
///     where_document  {"$contains": text} · {"$not_contains": text} · {"$and": […]} · {"$or": […]}
///
/// Several members of one object must all hold. Errors name the place.
struct FilterReader {
  private let limits: MemoryLimits
  private var parts = 0

  private init(_ limits: MemoryLimits) { self.limits = limits }

  /// The filter that both say; null and what is not there say nothing.
  static func read(where metadata: JSON?, document: JSON?, limits: MemoryLimits) throws(MemoryError) -> Filter {
    var reader = FilterReader(limits)
    var filter = Filter.everything
    if let metadata, metadata != .null { filter = try reader.filter(metadata, at: "where", depth: 0, reader: Self.metadata) }
    if let document, document != .null {
      filter = filter.and(try reader.filter(document, at: "where_document", depth: 0, reader: Self.document))
    }
    return filter
  }

  private typealias Member = (inout FilterReader, _ key: String, _ value: JSON, _ place: String) throws(MemoryError) -> Filter

  private mutating func filter(_ json: JSON, at place: String, depth: Int, reader: Member) throws(MemoryError) -> Filter {
    guard case .object(let members) = json else { throw wrong(place, "an object is wanted here, not \(json.kind)") }
    if depth > limits.filterDepth { throw MemoryError(.tooLarge, "\(place): more than \(limits.filterDepth) levels in each other") }
    var all: [Filter] = []
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      switch key {
      case "$and", "$or":
        guard case .array(let elements) = value, !elements.isEmpty else {
          throw wrong("\(place).\(key)", "a list of at least one filter is wanted here")
        }
        var filters: [Filter] = []
        for (index, element) in elements.enumerated() {
          filters.append(try filter(element, at: "\(place).\(key)[\(index)]", depth: depth + 1, reader: reader))
        }
        all.append(key == "$and" ? .all(filters) : .any(filters))
      default: all.append(try reader(&self, key, value, "\(place).\(key)"))
      }
    }
    return all.count == 1 ? all[0] : .all(all)
  }

  private static func document(_ reader: inout FilterReader, _ key: String, _ value: JSON, _ place: String) throws(MemoryError) -> Filter {
    guard key == "$contains" || key == "$not_contains" else {
      throw reader.wrong(place, "there is no such operator for the text; there are $contains, $not_contains, $and, $or")
    }
    guard case .string(let text) = value, !text.isEmpty else { throw reader.wrong(place, "a text that is not empty is wanted here") }
    try reader.count(1, place)
    return key == "$contains" ? .text(text) : .not(.text(text))
  }

  private static func metadata(_ reader: inout FilterReader, _ key: String, _ value: JSON, _ place: String) throws(MemoryError) -> Filter {
    if key.hasPrefix("$") {
      throw reader.wrong(place, "an operator stands behind a key, as in {\"key\": {\"\(key)\": …}}; only $and and $or stand alone")
    }
    guard case .object(let operators) = value else { return .key(key, .equals(try reader.scalar(value, place))) }
    if operators.isEmpty { throw reader.wrong(place, "an operator is wanted here") }
    var all: [Filter] = []
    for (name, operand) in operators.sorted(by: { $0.key < $1.key }) {
      all.append(try reader.test(key, name, operand, "\(place).\(name)"))
    }
    return all.count == 1 ? all[0] : .all(all)
  }

  private mutating func test(_ key: String, _ name: String, _ operand: JSON, _ place: String) throws(MemoryError) -> Filter {
    switch name {
    case "$eq": return .key(key, .equals(try scalar(operand, place)))
    case "$ne": return .not(.key(key, .equals(try scalar(operand, place))))
    case "$gt": return .key(key, .above(try ordered(operand, place), orEqual: false))
    case "$gte": return .key(key, .above(try ordered(operand, place), orEqual: true))
    case "$lt": return .key(key, .below(try ordered(operand, place), orEqual: false))
    case "$lte": return .key(key, .below(try ordered(operand, place), orEqual: true))
    case "$contains": return .key(key, .listContains(try scalar(operand, place)))
    case "$not_contains": return .not(.key(key, .listContains(try scalar(operand, place))))
    case "$in", "$nin":
      guard case .array(let elements) = operand, !elements.isEmpty else {
        throw wrong(place, "a list of at least one value is wanted here")
      }
      var values: [JSON] = []
      for (index, element) in elements.enumerated() { values.append(try scalar(element, "\(place)[\(index)]")) }
      return name == "$in" ? .key(key, .oneOf(values)) : .not(.key(key, .oneOf(values)))
    default:
      throw wrong(
        place, "there is no such operator; there are $eq $ne $gt $gte $lt $lte $in $nin, and $contains $not_contains for lists")
    }
  }

  private mutating func scalar(_ json: JSON, _ place: String) throws(MemoryError) -> JSON {
    switch json {
    case .string, .int, .double, .bool:
      try count(1, place)
      return json
    default: throw wrong(place, "a string, a number, true or false is wanted here, not \(json.kind)")
    }
  }

  private mutating func ordered(_ json: JSON, _ place: String) throws(MemoryError) -> JSON {
    if case .bool = json { throw wrong(place, "a number or a string is wanted here, not \(json.kind)") }
    return try scalar(json, place)
  }

  private mutating func count(_ more: Int, _ place: String) throws(MemoryError) {
    parts += more
    if parts > limits.filterParts { throw MemoryError(.tooLarge, "\(place): more than \(limits.filterParts) comparisons in one filter") }
  }

  private func wrong(_ place: String, _ what: String) -> MemoryError { MemoryError(.invalid, "\(place): \(what)") }
}

extension Filter {
  /// Reads a filter as Chroma writes it; null and what is not there mean everything.
  ///
  /// - Parameters:
  ///   - metadata: a `where`.
  ///   - document: a `where_document`.
  public init(where metadata: JSON?, document: JSON? = nil, limits: MemoryLimits = MemoryLimits()) throws(MemoryError) {
    self = try FilterReader.read(where: metadata, document: document, limits: limits)
  }
}

extension JSON {
  /// What it is, in words.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .int, .double: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}
