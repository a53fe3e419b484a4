/// Any JSON value. Objects forget the order of their keys; they are written sorted.
///
/// Whole numbers are kept exactly if they fit an `Int`. A number that fits no `Double` (1e400) is read as infinity; what
/// JSON has no word for (not a number, infinite) is written as null.
public enum JSON: Sendable {
  case null
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// Why a text is no JSON, and at which byte.
  public struct Unreadable: Error, Sendable, Equatable {
    public let why: String
  }

  /// Reads one JSON text, in UTF-8.
  public init(parsing bytes: some Sequence<UInt8>) throws(Unreadable) { self = try JSONReader.read(Array(bytes)) }

  /// JSON on one line, without a newline at its end.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// The same as bytes.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    write(to: &bytes)
    return bytes
  }

  private func write(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes.append("null" as StaticString)
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .int(let value): bytes += "\(value)".utf8
    case .double(let value): bytes += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): bytes.appendJSON(value)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        bytes.appendJSON(member.key)
        bytes.append(UInt8(ascii: ":"))
        member.value.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  /// The member of an object; nil for other kinds and for keys that are not there.
  public subscript(key: String) -> JSON? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
  public var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }
  /// Any number; beyond 2^53 the nearest one that a Double has.
  public var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
  /// A number as the nearest whole one, if it fits.
  public var int: Int? {
    switch self {
    case .int(let value): value
    case .double(let value): Int(exactly: value.rounded())
    default: nil
    }
  }

  /// For a table's cell: a string without its quotes, nothing for null, else the JSON.
  public var plain: String {
    switch self {
    case .null: ""
    case .string(let value): value
    default: text
    }
  }
}

extension JSON: Equatable {
  /// 1 and 1.0 are the same number.
  public static func == (a: JSON, b: JSON) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a == b
    case (.int(let a), .double(let b)), (.double(let b), .int(let a)): Int(exactly: b) == a
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)): a == b
    default: false
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(dictionaryLiteral members: (String, JSON)...) { self = .object(Dictionary(members) { _, last in last }) }
  public init(arrayLiteral items: JSON...) { self = .array(items) }
}
