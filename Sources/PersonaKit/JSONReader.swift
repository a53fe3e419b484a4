import PersonaABI

/// Reads JSON text (RFC 8259, UTF-8) into a value, in one pass.
///
/// Every payload is read on its persona's lane, also one of 16 MiB: through `Codable` that takes ten times as long.
///
/// Refused, with the byte where it is: what is no JSON or no UTF-8, and more than 512 arrays and objects in each other.
/// It takes what the kernel lets through: half a surrogate pair is read as U+FFFD, a number that no `Double` holds as infinity.
/// Of a key that stands twice the last counts.
struct JSONReader {
  private let bytes: [UInt8]
  private var at = 0

  static func read(_ bytes: [UInt8]) throws(KernelError) -> JSON {
    var reader = JSONReader(bytes: bytes)
    let value = try reader.value(depth: 0)
    if reader.next() != nil { throw reader.problem("nothing may follow the value") }
    return value
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private func problem(_ what: String) -> KernelError { .invalid("no JSON at byte \(at): \(what)") }

  /// The next byte that is not blank, not taken yet.
  private mutating func next() -> UInt8? {
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): at += 1
      default: return bytes[at]
      }
    }
    return nil
  }

  /// Takes the next byte if it is this one.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(KernelError) -> JSON {
    guard let first = next() else { throw problem("the text ends where a value is expected") }
    switch first {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw problem("a value is expected")
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSON) throws(KernelError) -> JSON {
    guard bytes[at...].starts(with: word.description.utf8) else { throw problem("a value is expected") }
    at += word.utf8CodeUnitCount
    return value
  }

  private mutating func elements(depth: Int) throws(KernelError) -> [JSON] {
    if depth > 512 { throw problem("nested more than 512 deep") }
    at += 1
    var elements: [JSON] = []
    if take("]") { return elements }
    repeat { elements.append(try value(depth: depth)) } while take(",")
    guard take("]") else { throw problem("\",\" or \"]\" is expected") }
    return elements
  }

  private mutating func members(depth: Int) throws(KernelError) -> [String: JSON] {
    if depth > 512 { throw problem("nested more than 512 deep") }
    at += 1
    var members: [String: JSON] = [:]
    if take("}") { return members }
    repeat {
      guard next() == UInt8(ascii: "\"") else { throw problem("a key in quotes is expected") }
      let key = try string()
      guard take(":") else { throw problem("\":\" is expected") }
      members[key] = try value(depth: depth)
    } while take(",")
    guard take("}") else { throw problem("\",\" or \"}\" is expected") }
    return members
  }

  private mutating func number() throws(KernelError) -> JSON {
    let start = at
    func digits(_ reader: inout JSONReader) -> Int {
      let first = reader.at
      while reader.at < reader.bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= reader.bytes[reader.at] { reader.at += 1 }
      return reader.at - first
    }
    func has(_ reader: inout JSONReader, _ characters: Unicode.Scalar...) -> Bool {
      guard reader.at < reader.bytes.count, characters.contains(Unicode.Scalar(reader.bytes[reader.at])) else { return false }
      reader.at += 1
      return true
    }
    _ = has(&self, "-")
    let whole = at
    let count = digits(&self)
    if count == 0 || (count > 1 && bytes[whole] == UInt8(ascii: "0")) { throw problem("a number is not written so") }
    var isInteger = true
    if has(&self, ".") {
      isInteger = false
      if digits(&self) == 0 { throw problem("a digit is expected") }
    }
    if has(&self, "e", "E") {
      isInteger = false
      _ = has(&self, "+", "-")
      if digits(&self) == 0 { throw problem("a digit is expected") }
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isInteger, let int = Int(text) { return .int(int) }
    guard let number = Double(text) else { throw problem("the number \(text.prefix(40)) cannot be read") }
    return .number(number)
  }

  /// A string; `at` is at its opening quote.
  private mutating func string() throws(KernelError) -> String {
    at += 1
    var start = at
    /// What stands before `start`, if it had escapes.
    var unescaped: [UInt8] = []
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        let text =
          unescaped.isEmpty
          ? String(validating: bytes[start..<at], as: UTF8.self) : String(validating: unescaped + bytes[start..<at], as: UTF8.self)
        guard let text else { throw problem("the string that ends here is no UTF-8") }
        at += 1
        return text
      case UInt8(ascii: "\\"):
        unescaped += bytes[start..<at]
        at += 1
        unescaped += Array(String(try escaped()).utf8)
        start = at
      case 0..<0x20: throw problem("a control character in a string")
      default: at += 1
      }
    }
    throw problem("a string does not end")
  }

  /// What an escape means; `at` is behind the backslash.
  private mutating func escaped() throws(KernelError) -> Unicode.Scalar {
    guard at < bytes.count else { throw problem("a string does not end") }
    at += 1
    switch bytes[at - 1] {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try codeUnit()
      if let scalar = Unicode.Scalar(unit) { return scalar }
      guard UTF16.isLeadSurrogate(unit), bytes[at...].starts(with: "\\u".utf8) else { return "\u{FFFD}" }
      let behindFirst = at
      at += 2
      let second = try codeUnit()
      guard UTF16.isTrailSurrogate(second) else {
        // An escape of its own, read next.
        at = behindFirst
        return "\u{FFFD}"
      }
      return Unicode.Scalar(0x10000 + (UInt32(unit & 0x3FF) << 10 | UInt32(second & 0x3FF)))!
    default: throw problem("no escape that JSON has")
    }
  }

  private mutating func codeUnit() throws(KernelError) -> UInt16 {
    guard at + 4 <= bytes.count, bytes[at..<at + 4].allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
      let unit = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    else { throw problem("four hexadecimal digits are expected") }
    at += 4
    return unit
  }
}
