/// Reads JSON as model servers write it.
///
/// It takes what RFC 8259 allows, and beside it: control characters and bytes that are no UTF-8 within strings, escapes that JSON
/// does not have, halves of surrogate pairs, commas before a closing bracket, NaN and Infinity (read as null), and Python's
/// None, True and False. More than `depthLimit` arrays and objects in each other are not read.
struct LenientJSONReader {
  static let depthLimit = 128

  private struct Unreadable: Error {}

  private let bytes: [UInt8]
  private var at = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Reads values that stand one behind the other, with blanks and commas between them.
  ///
  /// - Returns: the values, and what follows the last of them: empty if everything could be read.
  static func values(in bytes: [UInt8]) -> (values: [LenientJSON], rest: ArraySlice<UInt8>) {
    var reader = LenientJSONReader(bytes)
    var values: [LenientJSON] = []
    while true {
      while let byte = reader.next(), byte == UInt8(ascii: ",") { reader.at += 1 }
      let start = reader.at
      guard reader.at < bytes.count, let value = try? reader.value(depth: 0) else { return (values, bytes[start...]) }
      values.append(value)
    }
  }

  /// Reads one value; nil if there is none, or something follows it.
  static func value(in bytes: some Collection<UInt8>) -> LenientJSON? {
    let (values, rest) = values(in: Array(bytes))
    return values.count == 1 && rest.isEmpty ? values[0] : nil
  }

  /// The next byte that is not blank, not taken yet.
  private mutating func next() -> UInt8? {
    while at < bytes.count, bytes[at] <= 32 { at += 1 }
    return at < bytes.count ? bytes[at] : nil
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(Unreadable) -> LenientJSON {
    guard depth <= Self.depthLimit, let first = next() else { throw Unreadable() }
    switch first {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    default: return try bare()
    }
  }

  private mutating func elements(depth: Int) throws(Unreadable) -> [LenientJSON] {
    at += 1
    var elements: [LenientJSON] = []
    while !take("]") {
      elements.append(try value(depth: depth))
      if !take(","), next() != UInt8(ascii: "]") { throw Unreadable() }
    }
    return elements
  }

  private mutating func members(depth: Int) throws(Unreadable) -> [String: LenientJSON] {
    at += 1
    var members: [String: LenientJSON] = [:]
    while !take("}") {
      guard next() == UInt8(ascii: "\"") else { throw Unreadable() }
      let key = TextJoiner.text(try string())
      guard take(":") else { throw Unreadable() }
      members[key] = try value(depth: depth)
      if !take(","), next() != UInt8(ascii: "}") { throw Unreadable() }
    }
    return members
  }

  /// A number, or a word without quotes.
  private mutating func bare() throws(Unreadable) -> LenientJSON {
    let start = at
    while at < bytes.count, Self.isBare(bytes[at]) { at += 1 }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    switch text {
    case "true", "True": return .bool(true)
    case "false", "False": return .bool(false)
    case "null", "None", "nil", "undefined", "NaN", "nan", "-nan", "Infinity", "-Infinity", "inf", "-inf": return .null
    default:
      guard let first = text.utf8.first, first < 58, Double(text) != nil else { throw Unreadable() }
      return .number(text)
    }
  }

  private static func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  /// A string's bytes, its escapes resolved; the cursor is at the opening quote. Half a surrogate pair becomes three bytes, as if
  /// UTF-8 had a place for it.
  private mutating func string() throws(Unreadable) -> [UInt8] {
    var out: [UInt8] = []
    at += 1
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return out
      case UInt8(ascii: "\\"):
        guard at < bytes.count else { throw Unreadable() }
        at += 1
        escape(bytes[at - 1], into: &out)
      default: out.append(byte)
      }
    }
    throw Unreadable()
  }

  private mutating func escape(_ letter: UInt8, into out: inout [UInt8]) {
    switch letter {
    case UInt8(ascii: "n"): out.append(0x0a)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "r"): out.append(0x0d)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0c)
    case UInt8(ascii: "u"):
      guard at + 4 <= bytes.count, let unit = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16) else {
        return out.append(letter)
      }
      at += 4
      if unit < 0x80 {
        out.append(UInt8(unit))
      } else if unit < 0x800 {
        out += [UInt8(0xc0 | unit >> 6), UInt8(0x80 | unit & 0x3f)]
      } else {
        out += [UInt8(0xe0 | unit >> 12), UInt8(0x80 | unit >> 6 & 0x3f), UInt8(0x80 | unit & 0x3f)]
      }
    default: out.append(letter)
    }
  }
}
