import FoundationEssentials

/// Any JSON value. Objects forget the order of their keys; they are written sorted.
enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// Reads one JSON text; throws a sentence that says what is wrong with it.
  init(parsing bytes: some Sequence<UInt8>) throws(Unreadable) {
    do {
      self = try JSONDecoder().decode(JSON.self, from: Data(bytes))
    } catch DecodingError.dataCorrupted(let context) {
      let cause = context.underlyingError.map { "\($0)" } ?? context.debugDescription
      throw Unreadable(why: cause)
    } catch {
      throw Unreadable(why: "\(error)")
    }
  }

  struct Unreadable: Error { let why: String }

  /// One line of JSON without a newline at its end.
  var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // A number that JSON cannot hold cannot have come from JSON, and we make none.
    guard let data = try? encoder.encode(self) else { preconditionFailure("a JSON value has a number that is not finite") }
    return String(decoding: data, as: UTF8.self)
  }

  subscript(key: String) -> JSON? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  var string: String? { if case .string(let value) = self { value } else { nil } }
  var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
  var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }
  var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
  var int: Int? {
    switch self {
    case .int(let value): value
    case .double(let value): Int(exactly: value.rounded())
    default: nil
    }
  }

  /// For a table's cell: a string without its quotes, nothing for null, else the JSON.
  var plain: String {
    switch self {
    case .null: ""
    case .string(let value): value
    default: text
    }
  }
}

extension JSON: Codable {
  init(from decoder: any Decoder) throws {
    let box = try decoder.singleValueContainer()
    if box.decodeNil() {
      self = .null
    } else if let value = try? box.decode(String.self) {
      self = .string(value)
    } else if let value = try? box.decode([String: JSON].self) {
      self = .object(value)
    } else if let value = try? box.decode([JSON].self) {
      self = .array(value)
    } else if let value = try? box.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? box.decode(Int.self) {
      self = .int(value)
    } else {
      self = .double(try box.decode(Double.self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var box = encoder.singleValueContainer()
    switch self {
    case .null: try box.encodeNil()
    case .bool(let value): try box.encode(value)
    case .int(let value): try box.encode(value)
    case .double(let value): try box.encode(value)
    case .string(let value): try box.encode(value)
    case .array(let value): try box.encode(value)
    case .object(let value): try box.encode(value)
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
  init(stringLiteral value: String) { self = .string(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(integerLiteral value: Int) { self = .int(value) }
  init(dictionaryLiteral members: (String, JSON)...) { self = .object(Dictionary(members) { _, last in last }) }
  init(arrayLiteral items: JSON...) { self = .array(items) }
}
