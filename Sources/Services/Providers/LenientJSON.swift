import Wire

/// JSON as model servers write it. It is read by `LenientJSONReader`, which takes more than RFC 8259 allows.
///
/// Numbers are kept as they were written, because they may have any size. Strings are kept as bytes, because a character may be
/// cut in two between one value and the next; `TextJoiner` puts it together. Of a key that stands twice the last counts.
enum LenientJSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case number(String)
  case string([UInt8])
  case array([LenientJSON])
  case object([String: LenientJSON])

  /// The member of an object; nil for other kinds and for keys that are not there.
  subscript(key: String) -> LenientJSON? { object?[key] }

  var object: [String: LenientJSON]? { if case .object(let members) = self { members } else { nil } }
  var array: [LenientJSON]? { if case .array(let elements) = self { elements } else { nil } }
  var isTrue: Bool { self == .bool(true) }
  var isNull: Bool { self == .null }

  /// A string that is more than blanks; a number as its text, where a server forgot the quotes.
  var word: String? {
    switch self {
    case .string(let bytes): bytes.contains { $0 > 32 } ? TextJoiner.text(bytes) : nil
    case .number(let text): text
    default: nil
    }
  }

  /// A string that is more than blanks.
  var text: String? { if case .string = self { word } else { nil } }

  /// The largest number that is taken for a count: more tokens than a prompt or an answer can have, and few enough to be added up.
  static let largestCount = 1 << 32

  /// A number, or a string that is one, as a count from 0 to `largestCount`; nil: it is none.
  var count: Int? {
    guard let number = word.flatMap(Double.init), !number.isNaN else { return nil }
    return Int(min(max(number, 0), Double(Self.largestCount)))
  }

  /// The same value as strict JSON. What is no number becomes null.
  var json: JSON {
    switch self {
    case .null: .null
    case .bool(let value): .bool(value)
    case .number(let text): Int(text).map { .int($0) } ?? Double(text).map { .double($0) } ?? .null
    case .string(let bytes): .string(TextJoiner.text(bytes))
    case .array(let elements): .array(elements.map(\.json))
    case .object(let members): .object(members.mapValues(\.json))
    }
  }
}
