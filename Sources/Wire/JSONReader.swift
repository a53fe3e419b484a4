/// Reads JSON text (RFC 8259, UTF-8) into a value, in one pass.
///
/// For what is read into values: settings, histories, schemas. Grams on their way are only scanned (EnvelopeScanner).
/// Both pass over strings, numbers and words with `JSONToken`, so that they give the same verdict on what is JSON; only the
/// depth differs. PersonaKit has a reader of its own, because kernel and personas share no Swift module.
///
/// Refused, with the byte where it is: what is no JSON or no UTF-8, and more than 512 arrays and objects in each other.
/// Half a surrogate pair is read as U+FFFD, and a number that no `Double` holds as infinity. Of a key that stands twice the last counts.
struct JSONReader {
  private let start: Bytes
  private let end: Bytes
  private var p: Bytes

  static func read(_ bytes: [UInt8]) throws(JSON.Unreadable) -> JSON {
    try bytes.withUnsafeBufferPointer { (buffer) throws(JSON.Unreadable) in
      guard let base = buffer.baseAddress else { throw JSON.Unreadable(why: "no JSON at byte 0: the text is empty") }
      var reader = JSONReader(start: base, end: base + buffer.count, p: base)
      let value = try reader.value(depth: 0)
      if reader.next() != nil { throw reader.problem("nothing may follow the value") }
      return value
    }
  }

  private func problem(_ what: String) -> JSON.Unreadable { .init(why: "no JSON at byte \(p - start): \(what)") }

  /// The next byte that is not blank, not taken yet.
  private mutating func next() -> UInt8? {
    JSONToken.skipSpace(&p, end)
    return p < end ? p.pointee : nil
  }

  /// Takes the next byte if it is this one.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    p += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSON.Unreadable) -> JSON {
    guard let first = next() else { throw problem("the text ends where a value is expected") }
    switch first {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t") where JSONToken.literal(&p, end, "true"): return .bool(true)
    case UInt8(ascii: "f") where JSONToken.literal(&p, end, "false"): return .bool(false)
    case UInt8(ascii: "n") where JSONToken.literal(&p, end, "null"): return .null
    default: throw problem("a value is expected")
    }
  }

  private mutating func elements(depth: Int) throws(JSON.Unreadable) -> [JSON] {
    if depth > 512 { throw problem("nested more than 512 deep") }
    p += 1
    var elements: [JSON] = []
    if take("]") { return elements }
    repeat { elements.append(try value(depth: depth)) } while take(",")
    guard take("]") else { throw problem("\",\" or \"]\" is expected") }
    return elements
  }

  private mutating func members(depth: Int) throws(JSON.Unreadable) -> [String: JSON] {
    if depth > 512 { throw problem("nested more than 512 deep") }
    p += 1
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

  private mutating func number() throws(JSON.Unreadable) -> JSON {
    let from = p
    guard JSONToken.number(&p, end) else { throw problem("a digit is expected") }
    let text = String(decoding: UnsafeBufferPointer(start: from, count: p - from), as: UTF8.self)
    if let int = Int(text) { return .int(int) }
    guard let number = Double(text) else { throw problem("the number \(text.prefix(40)) cannot be read") }
    return .double(number)
  }

  /// A string; the cursor is at its opening quote.
  private mutating func string() throws(JSON.Unreadable) -> String {
    let from = p + 1
    let string = JSONToken.string(from: from, start: start, end: end, seen: JSONToken.Vector(repeating: 0))
    p = string.cursor
    guard string.isWhole else {
      if p >= end { throw problem("a string does not end") }
      throw problem(p.pointee == 0x5c ? "no escape that JSON has" : "a control character in a string")
    }
    let raw = UnsafeRawBufferPointer(start: from, count: p - from)
    let text = string.escaped ? String(validating: unescaped(raw), as: UTF8.self) : String(validating: raw, as: UTF8.self)
    guard let text else { throw problem("the string that ends here is no UTF-8") }
    p += 1
    return text
  }
}
