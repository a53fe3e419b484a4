/// A place in bytes that somebody else keeps alive.
typealias Bytes = UnsafePointer<UInt8>

/// The tokens of JSON text (RFC 8259): strings, numbers, words and the blanks between them, passed over without being read.
///
/// The envelope scanner and `JSONReader` both stand on these functions, so that they cannot differ about what JSON is.
/// Cursors are handed over as values and come back as values: a cursor in memory would be loaded and stored for every byte.
enum JSONToken {
  typealias Vector = SIMD16<UInt8>

  /// Where the passage over a string has ended.
  struct StringEnd {
    /// At the closing quote; if the string is not `isWhole`, at the byte that does not fit.
    var cursor: Bytes
    /// All bytes of strings so far, or-ed together: the high bits tell that UTF-8 must be checked.
    var seen: Vector
    var escaped = false
    var isWhole = false
  }

  @inline(__always)
  static func skipSpace(_ p: inout Bytes, _ end: Bytes) {
    while p < end, p.pointee <= 0x20, p.pointee == 0x20 || p.pointee == 0x09 || p.pointee == 0x0d || p.pointee == 0x0a { p += 1 }
  }

  /// From behind the opening quote to the closing quote. `start` is where the whole text begins: bytes from there on may be loaded.
  static func string(from p: Bytes, start: Bytes, end: Bytes, seen: Vector) -> StringEnd {
    var at = StringEnd(cursor: p, seen: seen)
    while stop(&at.cursor, start, end, &at.seen) {
      if at.cursor.pointee == 0x22 {
        at.isWhole = true
        break
      }
      guard at.cursor.pointee == 0x5c, let next = behindEscape(at.cursor, end) else { break }
      at.escaped = true
      at.cursor = next
    }
    return at
  }

  /// Moves to the next quote, backslash or control character; false if there is none before the end.
  @inline(__always)
  private static func stop(_ p: inout Bytes, _ start: Bytes, _ end: Bytes, _ seen: inout Vector) -> Bool {
    while end - p >= 16 {
      let v = UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
      seen |= v
      let found = stops(v)
      if found[0] != 0 {
        p += found[0].trailingZeroBitCount >> 3
        return true
      }
      if found[1] != 0 {
        p += 8 + found[1].trailingZeroBitCount >> 3
        return true
      }
      p += 16
      while p <= end - 32 {
        // In a long string: nothing to stop at, most likely, so both halves are asked at once.
        let v = UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
        let w = UnsafeRawPointer(p).loadUnaligned(fromByteOffset: 16, as: Vector.self)
        let found = stops(v) | stops(w)
        if found[0] | found[1] != 0 { break }
        seen |= v | w
        p += 32
      }
    }
    if p - start >= 16, p < end { return stopInTail(&p, end, &seen) }
    while p < end, p.pointee != 0x22, p.pointee != 0x5c, p.pointee >= 0x20 {
      seen[0] |= p.pointee
      p += 1
    }
    return p < end
  }

  /// The same where less than a vector is left: looks at the text's last 16 bytes, without those before the cursor.
  @inline(__always)
  private static func stopInTail(_ p: inout Bytes, _ end: Bytes, _ seen: inout Vector) -> Bool {
    let v = UnsafeRawPointer(end - 16).loadUnaligned(as: Vector.self)
    seen |= v
    let found = stops(v)
    let before = UInt64(truncatingIfNeeded: 16 &- (end - p)) &* 8  // in bits, 8 to 120
    let first = before < 64 ? found[0] & (.max &<< before) : 0
    if first != 0 {
      p = end - 16 + first.trailingZeroBitCount >> 3
      return true
    }
    let second = before < 64 ? found[1] : found[1] & (.max &<< (before &- 64))
    if second == 0 { return false }
    p = end - 8 + second.trailingZeroBitCount >> 3
    return true
  }

  /// 0xff where a string ends, is escaped, or must not go on: the first and the second eight bytes.
  @inline(__always)
  private static func stops(_ v: Vector) -> SIMD2<UInt64> {
    let found = (v .== Vector(repeating: 0x22)) .| (v .== Vector(repeating: 0x5c)) .| (v .< Vector(repeating: 0x20))
    return unsafeBitCast(found, to: SIMD2<UInt64>.self)
  }

  /// Behind the escape whose backslash is at the cursor; nil if JSON has no such escape.
  @inline(__always)
  private static func behindEscape(_ p: Bytes, _ end: Bytes) -> Bytes? {
    if end - p < 2 { return nil }
    switch p[1] {
    case 0x75:
      // Half a surrogate pair is an escape too: RFC 8259 allows it. Its reader sees U+FFFD.
      if end - p < 6 || !isHex(p[2]) || !isHex(p[3]) || !isHex(p[4]) || !isHex(p[5]) { return nil }
      return p + 6
    case 0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74: return p + 2
    default: return nil
    }
  }

  @inline(__always)
  private static func isHex(_ c: UInt8) -> Bool { (c >= 48 && c <= 57) || ((c | 32) >= 97 && (c | 32) <= 102) }

  /// Passes over `true`, `false` or `null`; false if something else stands there.
  @inline(__always)
  static func literal(_ p: inout Bytes, _ end: Bytes, _ word: StaticString) -> Bool {
    let n = word.utf8CodeUnitCount
    if end - p < n { return false }
    for i in 0..<n where p[i] != word.utf8Start[i] { return false }
    p += n
    return true
  }

  /// Passes over a number of any size; false at the byte that does not fit.
  @inline(__always)
  static func number(_ p: inout Bytes, _ end: Bytes) -> Bool {
    if p < end, p.pointee == 45 { p += 1 }
    if p < end, p.pointee == 48 { p += 1 } else if !digits(&p, end) { return false }
    if p < end, p.pointee == 46 {
      p += 1
      if !digits(&p, end) { return false }
    }
    if p < end, p.pointee | 32 == 101 {
      p += 1
      if p < end, p.pointee == 43 || p.pointee == 45 { p += 1 }
      if !digits(&p, end) { return false }
    }
    return true
  }

  @inline(__always)
  private static func digits(_ p: inout Bytes, _ end: Bytes) -> Bool {
    if p >= end || p.pointee < 48 || p.pointee > 57 { return false }
    while p < end, p.pointee >= 48, p.pointee <= 57 { p += 1 }
    return true
  }
}
