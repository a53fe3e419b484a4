import Wire

/// A JSON schema, and what in a value does not fit it.
///
/// The part of the language (draft 2020-12) that models are given: `type`, `enum`, `const`, `properties`, `required`,
/// `additionalProperties`, `minProperties`, `maxProperties`, `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`,
/// `minLength`, `maxLength` (in Unicode scalars), `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`,
/// `anyOf`, `oneOf`, `allOf`, `not`, and `$ref` to a part of the same schema (`#/$defs/…`). Words that only describe
/// (`title`, `description`, `default`, `examples`, `format`, `$schema`, …) are let pass; `pattern` and whatever else would
/// restrict a value is refused, because a schema that is only half checked would be a promise not kept.
/// A reference that leads back to itself without a step into the value says nothing more.
struct JSONSchema: Sendable {
  /// What in a schema is not as it should be, and where.
  struct Malformed: Error, Sendable, Equatable, CustomStringConvertible {
    let description: String
  }

  /// What has been found, and how much work may still be done to find more: schemas can ask for any amount of it.
  private struct Findings {
    var list: [String] = []
    var steps: Int
    /// How many calls of `check` are within each other: they must fit the thread's stack.
    var depth = 0
    /// The references that are being followed since the last step into the value.
    var followed: [String] = []
    var isOver: Bool { list.count >= 20 || steps <= 0 }

    mutating func append(_ finding: String) { list.append(finding.utf8.count > 500 ? String(finding.prefix(480)) + "…" : finding) }
  }

  private static let depth = 1500
  /// How many rules are held against the parts of one value: a third of a second's work.
  private static let steps = 300_000

  private let root: JSON
  /// What each `$ref` points to.
  private var targets: [String: JSON] = [:]

  /// - Throws: what cannot be checked, with its place.
  init(_ schema: JSON) throws(Malformed) {
    root = schema
    try examine(schema, at: "#", depth: 0)
  }

  /// What does not fit, each with its place ("$.people[2].age is no integer"); empty: it fits. At most 20.
  func violations(in value: JSON) -> [String] {
    var found = Findings(steps: Self.steps)
    check(value, root, at: "$", &found)
    if found.steps <= 0 {
      found.append("it takes too much work to hold it against the schema: more than \(Self.steps) steps, or too deep ones")
    }
    return Array(found.list.prefix(20))
  }

  // MARK: The schema itself

  private static let types: Set<String> = ["null", "boolean", "integer", "number", "string", "array", "object"]
  private static let describing: Set<String> = [
    "title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment", "$anchor",
    "contentEncoding", "contentMediaType", "strict", "name",
  ]
  private static let counts: Set<String> = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]
  private static let bounds: Set<String> = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]

  private mutating func examine(_ schema: JSON, at place: String, depth: Int) throws(Malformed) {
    if case .bool = schema { return }
    guard let members = schema.object else { throw Malformed(description: "\(place) is no schema: it must be an object, true or false") }
    if depth > 64 { throw Malformed(description: "\(place) is nested more than 64 deep") }
    func wrong(_ key: String, _ what: String) -> Malformed { Malformed(description: "\(place)/\(key) must be \(what)") }
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      switch key {
      case "type":
        let names = value.array?.map(\.string) ?? [value.string]
        guard !names.isEmpty, names.allSatisfy({ Self.types.contains($0 ?? "") }) else {
          throw wrong(key, "one or several of \(Self.types.sorted().joined(separator: ", "))")
        }
      case "enum": guard value.array?.isEmpty == false else { throw wrong(key, "an array of values") }
      case "const": break
      case "required":
        guard let names = value.array, names.allSatisfy({ $0.string != nil }) else { throw wrong(key, "an array of strings") }
      case "properties", "$defs", "definitions":
        guard let parts = value.object else { throw wrong(key, "an object of schemas") }
        for (name, part) in parts.sorted(by: { $0.key < $1.key }) { try examine(part, at: "\(place)/\(key)/\(name)", depth: depth + 1) }
      case "items", "additionalProperties", "not": try examine(value, at: "\(place)/\(key)", depth: depth + 1)
      case "anyOf", "oneOf", "allOf", "prefixItems":
        guard let parts = value.array, !parts.isEmpty else { throw wrong(key, "an array of schemas") }
        for (index, part) in parts.enumerated() { try examine(part, at: "\(place)/\(key)/\(index)", depth: depth + 1) }
      case "uniqueItems": guard value.bool != nil else { throw wrong(key, "true or false") }
      case "$ref":
        guard let pointer = value.string, let part = targets[pointer] ?? target(pointer) else {
          throw wrong(key, "a place in this schema, as \"#/$defs/name\"")
        }
        targets[pointer] = part
      case _ where Self.counts.contains(key):
        guard let count = value.number, count.isFinite, count >= 0, count.rounded() == count else {
          throw wrong(key, "a whole number, 0 or more")
        }
      case _ where Self.bounds.contains(key):
        guard let bound = value.number, bound.isFinite, key != "multipleOf" || bound > 0 else { throw wrong(key, "a number") }
      case _ where Self.describing.contains(key): break
      default: throw Malformed(description: "\(place)/\(key): this word of JSON schema is not known here, so it could not be checked")
      }
    }
  }

  /// What `#/a/b` points to.
  private func target(_ pointer: String) -> JSON? {
    guard pointer.hasPrefix("#") else { return nil }
    var part = root
    for step in pointer.dropFirst().split(separator: "/") {
      let key = String(Self.replacing("~0", "~", in: Self.replacing("~1", "/", in: String(step))))
      if let next = part[key] {
        part = next
      } else if let elements = part.array, let index = Int(key), elements.indices.contains(index) {
        part = elements[index]
      } else {
        return nil
      }
    }
    return part
  }

  private static func replacing(_ old: String, _ new: String, in text: String) -> String {
    var rest = text[...]
    var out = ""
    while !rest.isEmpty {
      if rest.hasPrefix(old) {
        out += new
        rest.removeFirst(old.count)
      } else {
        out.append(rest.removeFirst())
      }
    }
    return out
  }

  // MARK: Values

  private func fits(_ value: JSON, _ schema: JSON, _ found: inout Findings) -> Bool {
    var own = Findings(steps: found.steps, depth: found.depth, followed: found.followed)
    check(value, schema, at: "$", &own)
    found.steps = own.steps
    return own.list.isEmpty
  }

  private func check(_ value: JSON, _ schema: JSON, at place: String, _ found: inout Findings) {
    if found.isOver { return }
    if found.depth >= Self.depth { found.steps = 0 }
    found.steps -= 1
    found.depth += 1
    defer { found.depth -= 1 }
    guard let members = schema.object else {
      if schema == false { found.append("\(place) may not be there") }
      return
    }
    if let pointer = members["$ref"]?.string, let part = targets[pointer], !found.followed.contains(pointer) {
      found.followed.append(pointer)
      check(value, part, at: place, &found)
      found.followed.removeLast()
    }
    if let type = members["type"] {
      let names = (type.array ?? [type]).compactMap(\.string)
      // A value of the wrong kind is one mistake, not as many as there are rules for the right kind.
      guard names.contains(where: { Self.isOf($0, value) }) else {
        return found.append("\(place) is \(Self.kind(of: value)), not \(names.map(Self.article).joined(separator: " or "))")
      }
    }
    if let values = members["enum"]?.array {
      found.steps -= values.count
      if !values.contains(value) { found.append("\(place) is none of \(values.prefix(30).map(\.text).joined(separator: ", "))") }
    }
    if let constant = members["const"], constant != value { found.append("\(place) is not \(constant.text)") }
    combine(value, members, at: place, &found)
    let followed = found.followed
    found.followed = []
    defer { found.followed = followed }
    switch value {
    case .object(let object): check(object, members, at: place, &found)
    case .array(let array): check(array, members, at: place, &found)
    case .string(let string): check(string, members, at: place, &found)
    case .int, .double: check(number: value.number ?? 0, members, at: place, &found)
    case .null, .bool: break
    }
  }

  private func combine(_ value: JSON, _ members: [String: JSON], at place: String, _ found: inout Findings) {
    for part in members["allOf"]?.array ?? [] { check(value, part, at: place, &found) }
    if let parts = members["anyOf"]?.array, !parts.contains(where: { fits(value, $0, &found) }) {
      found.append("\(place) fits none of the \(parts.count) forms that it may have")
    }
    if let parts = members["oneOf"]?.array {
      let count = parts.count { fits(value, $0, &found) }
      if count != 1 { found.append("\(place) fits \(count) of the \(parts.count) forms of which it must have exactly one") }
    }
    if let part = members["not"], fits(value, part, &found) { found.append("\(place) has a form that is not allowed") }
  }

  private func check(_ object: [String: JSON], _ members: [String: JSON], at place: String, _ found: inout Findings) {
    let required = members["required"]?.array ?? []
    found.steps -= required.count + object.count
    for name in required.compactMap(\.string) where object[name] == nil && !found.isOver { found.append("\(place).\(name) is missing") }
    let properties = members["properties"]?.object ?? [:]
    for (name, value) in object.sorted(by: { $0.key < $1.key }) {
      if found.isOver { return }
      if let part = properties[name] {
        check(value, part, at: "\(place).\(name)", &found)
      } else if let rest = members["additionalProperties"] {
        check(value, rest, at: "\(place).\(name)", &found)
      }
    }
    bound(object.count, "members", members["minProperties"], members["maxProperties"], at: place, &found)
  }

  private func check(_ array: [JSON], _ members: [String: JSON], at place: String, _ found: inout Findings) {
    let first = members["prefixItems"]?.array ?? []
    for (index, value) in array.enumerated() {
      if found.isOver { return }
      if index < first.count {
        check(value, first[index], at: "\(place)[\(index)]", &found)
      } else if let items = members["items"] {
        check(value, items, at: "\(place)[\(index)]", &found)
      }
    }
    bound(array.count, "elements", members["minItems"], members["maxItems"], at: place, &found)
    if members["uniqueItems"] == true {
      var seen: Set<String> = []
      if let index = array.indices.first(where: { !seen.insert(Self.canonical(array[$0]).text).inserted }) {
        found.append("\(place)[\(index)] is there twice")
      }
      found.steps -= array.count
    }
  }

  /// Equal values have one form: 1.0 is 1.
  private static func canonical(_ value: JSON) -> JSON {
    switch value {
    case .double(let number): Int(exactly: number).map { .int($0) } ?? value
    case .array(let elements): .array(elements.map(canonical))
    case .object(let members): .object(members.mapValues(canonical))
    default: value
    }
  }

  private func check(_ string: String, _ members: [String: JSON], at place: String, _ found: inout Findings) {
    found.steps -= string.utf8.count / 256
    bound(string.unicodeScalars.count, "characters", members["minLength"], members["maxLength"], at: place, &found)
  }

  private func check(number: Double, _ members: [String: JSON], at place: String, _ found: inout Findings) {
    if let least = members["minimum"]?.number, number < least { found.append("\(place) is less than \(members["minimum"]!.text)") }
    if let most = members["maximum"]?.number, number > most { found.append("\(place) is more than \(members["maximum"]!.text)") }
    if let least = members["exclusiveMinimum"]?.number, number <= least {
      found.append("\(place) is not more than \(members["exclusiveMinimum"]!.text)")
    }
    if let most = members["exclusiveMaximum"]?.number, number >= most {
      found.append("\(place) is not less than \(members["exclusiveMaximum"]!.text)")
    }
    if let step = members["multipleOf"]?.number, abs((number / step).rounded() - number / step) > 1e-9 {
      found.append("\(place) is no multiple of \(members["multipleOf"]!.text)")
    }
  }

  private func bound(_ count: Int, _ what: String, _ least: JSON?, _ most: JSON?, at place: String, _ found: inout Findings) {
    if let least = least?.int, count < least { found.append("\(place) has \(count) \(what), fewer than \(least)") }
    if let most = most?.int, count > most { found.append("\(place) has \(count) \(what), more than \(most)") }
  }

  private static func isOf(_ type: String, _ value: JSON) -> Bool {
    switch (type, value) {
    case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object), ("number", .int),
      ("number", .double), ("integer", .int):
      true
    case ("integer", .double(let number)): number.rounded() == number
    default: false
    }
  }

  private static func kind(of value: JSON) -> String {
    switch value {
    case .null: "null"
    case .bool: "true or false"
    case .int, .double: "the number \(value.text)"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  private static func article(_ type: String) -> String {
    switch type {
    case "null": "null"
    case "boolean": "true or false"
    case "integer", "array", "object": "an \(type)"
    default: "a \(type)"
    }
  }
}
