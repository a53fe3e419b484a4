// One pass over a line: is it exactly one JSON object (RFC 8259), and where are the envelope's keys?
//
// Strings take nearly all of the bytes, so they are skipped 16 bytes at a time: where a vector has a
// quote, a backslash or a control character, `stops` has 0xff. The state machine around it is the usual
// one; containers deeper than 64 are refused, so that the stack is one integer. The cursor is a local
// variable of `run`, handed down `inout`: in the structure it would be read and written for every byte.

typealias Bytes = UnsafePointer<UInt8>

extension Envelope {
  /// Reads a line (without its newline). The bytes are only looked at during the call.
  public static func scan(_ line: UnsafeRawBufferPointer) throws(EnvelopeError) -> Envelope {
    var envelope = Envelope()
    let code = scan(line, into: &envelope)
    if code == 0 { return envelope }
    throw error(code)
  }

  /// The same without the cost of throwing: 0, or a code for `error`.
  @inline(__always)
  public static func scan(_ line: UnsafeRawBufferPointer, into envelope: inout Envelope) -> Int {
    guard let base = line.baseAddress else { return -1 }
    var scanner = EnvelopeScanner(base.assumingMemoryBound(to: UInt8.self), line.count)
    return scanner.object(&envelope)
  }

  /// What a code of `scan(_:into:)` means.
  public static func error(_ code: Int) -> EnvelopeError {
    switch code {
    case EnvelopeScanner.encodingCode: .encoding
    case ...EnvelopeScanner.keyCode: .key(EnvelopeScanner.keys[EnvelopeScanner.keyCode - code])
    default: .syntax(offset: -code - 1)
    }
  }
}

/// True if the bytes are exactly one JSON value in UTF-8, of any kind, that a gram can have as its payload.
public func isJSONValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard let base = bytes.baseAddress else { return false }
  var scanner = EnvelopeScanner(base.assumingMemoryBound(to: UInt8.self), bytes.count)
  return scanner.anyValue()
}

struct EnvelopeScanner {
  static let encodingCode = Int.min
  static let keyCode = -(1 << 40)
  static let keys = ["", "target", "source", "method", "payload", "id", "re", "stream", "deadline_ms", "trace", "hops"]

  private let start: Bytes
  private let end: Bytes
  private var p: Bytes

  @inline(__always)
  init(_ bytes: Bytes, _ count: Int) {
    start = bytes
    end = bytes + count
    p = bytes
  }

  private enum State { case value, key, afterValue }

  @inline(__always)
  private static func skipSpace(_ p: inout Bytes, _ end: Bytes) {
    while p < end, p.pointee <= 0x20, p.pointee == 0x20 || p.pointee == 0x09 || p.pointee == 0x0d || p.pointee == 0x0a { p += 1 }
  }

  @inline(__always)
  private static func isHex(_ c: UInt8) -> Bool { (c >= 48 && c <= 57) || ((c | 32) >= 97 && (c | 32) <= 102) }

  private typealias Vector = SIMD16<UInt8>

  /// 0xff where a string ends, is escaped, or must not go on: the first and the second eight bytes.
  @inline(__always)
  private static func stops(_ v: Vector) -> SIMD2<UInt64> {
    let found = (v .== Vector(repeating: 0x22)) .| (v .== Vector(repeating: 0x5c)) .| (v .< Vector(repeating: 0x20))
    return unsafeBitCast(found, to: SIMD2<UInt64>.self)
  }

  /// From behind the opening quote to the closing quote; false at a syntax error. `seen` is all string
  /// bytes or-ed together: its high bits tell that UTF-8 must be checked.
  private static func skipString(_ cursor: inout Bytes, _ start: Bytes, _ end: Bytes, _ seen: inout Vector, _ escaped: inout Bool) -> Bool {
    var p = cursor
    var all = seen
    defer {
      cursor = p
      seen = all
    }
    while true {
      scan: do {
        while end - p >= 16 {
          let v = UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
          all |= v
          let found = stops(v)
          if found[0] != 0 {
            p += found[0].trailingZeroBitCount >> 3
            break scan
          }
          if found[1] != 0 {
            p += 8 + found[1].trailingZeroBitCount >> 3
            break scan
          }
          p += 16
          while end - p >= 32 {
            // In a long string: nothing to stop at, most likely, so both halves are asked at once.
            let v = UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
            let w = UnsafeRawPointer(p).loadUnaligned(fromByteOffset: 16, as: Vector.self)
            let found = stops(v) | stops(w)
            if found[0] | found[1] != 0 { break }
            all |= v | w
            p += 32
          }
        }
        if p - start >= 16, p < end {
          // The rest is shorter than a vector: the line's last 16 bytes, without those before the cursor.
          let v = UnsafeRawPointer(end - 16).loadUnaligned(as: Vector.self)
          all |= v
          let found = stops(v)
          let before = UInt64(truncatingIfNeeded: 16 &- (end - p)) &* 8  // in bits, 8 to 120
          let first = before < 64 ? found[0] & (.max &<< before) : 0
          if first != 0 {
            p = end - 16 + first.trailingZeroBitCount >> 3
            break scan
          }
          let second = before < 64 ? found[1] : found[1] & (.max &<< (before &- 64))
          if second == 0 { return false }
          p = end - 8 + second.trailingZeroBitCount >> 3
          break scan
        }
        while p < end, p.pointee != 0x22, p.pointee != 0x5c, p.pointee >= 0x20 {
          all[0] |= p.pointee
          p += 1
        }
        if p >= end { return false }
      }
      if p.pointee == 0x22 { return true }
      if p.pointee != 0x5c || end - p < 2 { return false }
      escaped = true
      switch p[1] {
      case 0x75:
        if end - p < 6 || !isHex(p[2]) || !isHex(p[3]) || !isHex(p[4]) || !isHex(p[5]) { return false }
        p += 6
      case 0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74: p += 2
      default: return false
      }
    }
  }

  @inline(__always)
  private static func literal(_ p: inout Bytes, _ end: Bytes, _ word: StaticString) -> Bool {
    let n = word.utf8CodeUnitCount
    if end - p < n { return false }
    for i in 0..<n where p[i] != word.utf8Start[i] { return false }
    p += n
    return true
  }

  private static func digits(_ p: inout Bytes, _ end: Bytes) -> Bool {
    if p >= end || p.pointee < 48 || p.pointee > 57 { return false }
    while p < end, p.pointee >= 48, p.pointee <= 57 { p += 1 }
    return true
  }

  private static func number(_ p: inout Bytes, _ end: Bytes) -> Bool {
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

  /// Which envelope key this is: an index into `keys`, or 0.
  @inline(__always)
  private static func key(_ k: Bytes, _ n: Int) -> Int {
    let raw = UnsafeRawPointer(k)
    switch n {
    case 2:
      if k[0] == 0x69 && k[1] == 0x64 { return 5 }
      return k[0] == 0x72 && k[1] == 0x65 ? 6 : 0
    case 4: return raw.loadUnaligned(as: UInt32.self) == 0x7370_6f68 ? 10 : 0
    case 5: return raw.loadUnaligned(as: UInt32.self) == 0x6361_7274 && k[4] == 0x65 ? 9 : 0
    case 6:
      let tail = raw.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
      switch raw.loadUnaligned(as: UInt32.self) {
      case 0x6772_6174: return tail == 0x7465 ? 1 : 0
      case 0x7275_6f73: return tail == 0x6563 ? 2 : 0
      case 0x6874_656d: return tail == 0x646f ? 3 : 0
      case 0x6572_7473: return tail == 0x6d61 ? 7 : 0
      default: return 0
      }
    case 7:
      return raw.loadUnaligned(as: UInt32.self) == 0x6c79_6170 && raw.loadUnaligned(fromByteOffset: 3, as: UInt32.self) == 0x6461_6f6c
        ? 4 : 0
    case 11: return raw.loadUnaligned(as: UInt64.self) == 0x656e_696c_6461_6564 && k[8] == 0x5f && k[9] == 0x6d && k[10] == 0x73 ? 8 : 0
    default: return 0
    }
  }

  private static func escapedKey(_ k: Bytes, _ n: Int) -> Int {
    let name = unescaped(UnsafeRawBufferPointer(start: k, count: n))
    return name.withUnsafeBufferPointer { $0.baseAddress.map { key($0, name.count) } ?? 0 }
  }

  @inline(__always) private func syntax(_ p: Bytes) -> Int { -1 - (p - start) }

  mutating func anyValue() -> Bool {
    var nothing = Envelope()
    return run(&nothing, top: false) == 0
  }

  mutating func object(_ out: inout Envelope) -> Int {
    Self.skipSpace(&p, end)
    if p >= end || p.pointee != 0x7b { return syntax(p) }
    let from = p - start
    let code = run(&out, top: true)
    if code == 0 { out.object = .init(start: from, count: last - from) }
    return code
  }

  /// The offset behind the outermost value.
  private var last = 0

  private mutating func run(_ out: inout Envelope, top: Bool) -> Int {
    let start = start
    let end = end
    var p = p
    var seen = Vector(repeating: 0)
    var containers: UInt64 = 0  // one bit a level: 1 object, 0 array
    // A value alone becomes a payload, one level down.
    let deepest = top ? 64 : 63
    var depth = 0
    var wanted = 0  // the envelope key whose value is being read, at depth 1
    var valueStart = p
    var found: UInt32 = 0
    var state = State.value
    while true {
      switch state {
      case .value:
        Self.skipSpace(&p, end)
        if p >= end { return syntax(p) }
        if depth == 1 { valueStart = p }
        switch p.pointee {
        case 0x7b:
          if depth == deepest { return syntax(p) }
          containers = containers << 1 | 1
          depth &+= 1
          p += 1
          Self.skipSpace(&p, end)
          if p < end, p.pointee == 0x7d {
            p += 1
            depth &-= 1
            containers >>= 1
            state = .afterValue
          } else {
            state = .key
          }
        case 0x5b:
          if depth == deepest { return syntax(p) }
          containers <<= 1
          depth &+= 1
          p += 1
          Self.skipSpace(&p, end)
          if p < end, p.pointee == 0x5d {
            p += 1
            depth &-= 1
            containers >>= 1
            state = .afterValue
          }
        case 0x22:
          p += 1
          var escaped = false
          if !Self.skipString(&p, start, end, &seen, &escaped) { return syntax(p) }
          p += 1
          if wanted != 0, depth == 1 {
            let text = Envelope.Field(start: valueStart + 1 - start, count: p - valueStart - 2, escaped: escaped)
            switch wanted {
            case 1: out.target = text
            case 2: out.source = text
            case 3: out.method = text
            case 9: out.trace = text
            case 4: out.payload = .init(start: valueStart - start, count: p - valueStart)
            case 5: out.id = .init(start: valueStart - start, count: p - valueStart)
            case 6: out.re = .init(start: valueStart - start, count: p - valueStart)
            default: return Self.keyCode - wanted
            }
            wanted = 0
          }
          state = .afterValue
        case 0x74:
          if !Self.literal(&p, end, "true") { return syntax(p) }
          if wanted == 7, depth == 1 {
            out.stream = true
            wanted = 0
          }
          state = .afterValue
        case 0x66:
          if !Self.literal(&p, end, "false") { return syntax(p) }
          if wanted == 7, depth == 1 { wanted = 0 }
          state = .afterValue
        case 0x6e:
          if !Self.literal(&p, end, "null") { return syntax(p) }
          if depth == 1, wanted > 4 { wanted = 0 }  // null is as good as absent
          state = .afterValue
        default:
          if !Self.number(&p, end) { return syntax(p) }
          if depth == 1 {
            switch wanted {
            case 5:
              out.id = .init(start: valueStart - start, count: p - valueStart)
              wanted = 0
            case 6:
              out.re = .init(start: valueStart - start, count: p - valueStart)
              wanted = 0
            case 8, 10:
              guard let value = Self.integer(valueStart, p) else { return Self.keyCode - wanted }
              if wanted == 8 { out.deadlineMilliseconds = value } else { out.hops = Int32(clamping: value) }
              wanted = 0
            default: break
            }
          }
          state = .afterValue
        }
      case .key:
        Self.skipSpace(&p, end)
        if p >= end || p.pointee != 0x22 { return syntax(p) }
        p += 1
        let k = p
        var escaped = false
        if !Self.skipString(&p, start, end, &seen, &escaped) { return syntax(p) }
        if top, depth == 1 {
          wanted = escaped ? Self.escapedKey(k, p - k) : Self.key(k, p - k)
          if wanted != 0 {
            if found & (1 << UInt32(wanted)) != 0 { return Self.keyCode - wanted }
            found |= 1 << UInt32(wanted)
          }
        }
        p += 1
        Self.skipSpace(&p, end)
        if p >= end || p.pointee != 0x3a { return syntax(p) }
        p += 1
        state = .value
      case .afterValue:
        if depth == 1, wanted != 0 {
          // A container, or a literal that the key does not take; only a payload may be anything.
          if wanted != 4 { return Self.keyCode - wanted }
          out.payload = .init(start: valueStart - start, count: p - valueStart)
          wanted = 0
        }
        if depth == 0 {
          last = p - start
          Self.skipSpace(&p, end)
          if p != end { return syntax(p) }
          return Self.isASCII(seen) || isUTF8() ? 0 : Self.encodingCode
        }
        Self.skipSpace(&p, end)
        if p >= end { return syntax(p) }
        let c = p.pointee
        if containers & 1 == 1 {
          if c == 0x2c {
            p += 1
            state = .key
          } else if c == 0x7d {
            p += 1
            depth &-= 1
            containers >>= 1
          } else {
            return syntax(p)
          }
        } else if c == 0x2c {
          p += 1
          state = .value
        } else if c == 0x5d {
          p += 1
          depth &-= 1
          containers >>= 1
        } else {
          return syntax(p)
        }
      }
    }
  }

  /// A number that is a whole one and not below zero, or nil.
  private static func integer(_ from: Bytes, _ to: Bytes) -> Int64? {
    var value: Int64 = 0
    var q = from
    while q < to {
      guard q.pointee >= 48, q.pointee <= 57 else { return nil }
      let (m, over) = value.multipliedReportingOverflow(by: 10)
      if over { return nil }
      let (s, over2) = m.addingReportingOverflow(Int64(q.pointee - 48))
      if over2 { return nil }
      value = s
      q += 1
    }
    return value
  }

  @inline(__always)
  private static func isASCII(_ seen: Vector) -> Bool {
    let words = unsafeBitCast(seen, to: SIMD2<UInt64>.self)
    return (words[0] | words[1]) & 0x8080_8080_8080_8080 == 0
  }

  private func isUTF8() -> Bool {
    let span = Span(_unsafeStart: start, count: end - start)
    return (try? UTF8Span(validating: span)) != nil
  }
}
