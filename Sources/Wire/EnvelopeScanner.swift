// One pass over a line: is it exactly one JSON object (RFC 8259), and where are the envelope's keys?
//
// Strings take nearly all of the bytes, so they are skipped 16 bytes at a time (JSONToken). The state machine around it
// is the usual one; containers deeper than 64 are refused, so that the stack is one integer. The scanner is a local
// variable of `run` and every step is inlined there, so its fields are registers: a step that was called would read and
// write them for every byte.

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
    return EnvelopeScanner.run(base.assumingMemoryBound(to: UInt8.self), line.count, isGram: true, into: &envelope)
  }

  /// What a code of `scan(_:into:)` means.
  public static func error(_ code: Int) -> EnvelopeError {
    switch code {
    case EnvelopeScanner.encodingCode: .encoding
    case ...EnvelopeScanner.keyCode: .key(EnvelopeKey.names[EnvelopeScanner.keyCode - code])
    default: .syntax(offset: -code - 1)
    }
  }
}

/// True if the bytes are exactly one JSON value in UTF-8, of any kind, that a gram can have as its payload.
public func isJSONValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard let base = bytes.baseAddress else { return false }
  var nothing = Envelope()
  return EnvelopeScanner.run(base.assumingMemoryBound(to: UInt8.self), bytes.count, isGram: false, into: &nothing) == 0
}

/// The state of one pass. A step returns 0 to go on, or the code of an error.
struct EnvelopeScanner {
  static let encodingCode = Int.min
  static let keyCode = -(1 << 40)

  private enum State { case value, key, afterValue, end }

  private let start: Bytes
  private let end: Bytes
  private var p: Bytes
  private var state = State.value
  private var seen = JSONToken.Vector(repeating: 0)
  /// One bit a level: 1 object, 0 array.
  private var containers: UInt64 = 0
  private var depth = 0
  private let deepest: Int
  /// The keys at depth 1 are those of an envelope.
  private let isGram: Bool
  /// The envelope key whose value is being read, at depth 1.
  private var wanted = 0
  private var valueStart: Bytes
  /// One bit for each envelope key that was there.
  private var found: UInt32 = 0

  @inline(__always)
  private init(_ bytes: Bytes, _ count: Int, isGram: Bool) {
    start = bytes
    end = bytes + count
    p = bytes
    valueStart = bytes
    self.isGram = isGram
    // A value alone becomes a payload, one level down.
    deepest = isGram ? 64 : 63
  }

  /// Reads exactly one value, which is an object if it is a gram: 0, or the code of an error.
  static func run(_ bytes: Bytes, _ count: Int, isGram: Bool, into out: inout Envelope) -> Int {
    var scanner = EnvelopeScanner(bytes, count, isGram: isGram)
    JSONToken.skipSpace(&scanner.p, scanner.end)
    let first = scanner.p
    if isGram, first >= scanner.end || first.pointee != 0x7b { return scanner.syntax() }
    while true {
      let code: Int
      switch scanner.state {
      case .value: code = scanner.value(&out)
      case .key: code = scanner.key()
      case .afterValue: code = scanner.afterValue(&out)
      case .end:
        out.object = .init(start: first - bytes, count: scanner.p - first)
        return scanner.ending()
      }
      if code != 0 { return code }
    }
  }

  /// The code for: the byte at the cursor does not fit.
  @inline(__always) private func syntax() -> Int { -1 - (p - start) }

  /// From the opening quote to behind the closing one; false at the byte that does not fit.
  @inline(__always)
  private mutating func skipString(_ escaped: inout Bool) -> Bool {
    let string = JSONToken.string(from: p + 1, start: start, end: end, seen: seen)
    p = string.cursor
    seen = string.seen
    escaped = string.escaped
    if string.isWhole { p += 1 }
    return string.isWhole
  }

  @inline(__always)
  private mutating func value(_ out: inout Envelope) -> Int {
    JSONToken.skipSpace(&p, end)
    if p >= end { return syntax() }
    if depth == 1 { valueStart = p }
    switch p.pointee {
    case 0x7b: return open(object: true)
    case 0x5b: return open(object: false)
    case 0x22:
      var escaped = false
      if !skipString(&escaped) { return syntax() }
      state = .afterValue
      return wanted != 0 && depth == 1 ? takeString(&out, escaped) : 0
    case 0x74:
      if !JSONToken.literal(&p, end, "true") { return syntax() }
      if wanted == EnvelopeKey.stream, depth == 1 {
        out.stream = true
        wanted = 0
      }
    case 0x66:
      if !JSONToken.literal(&p, end, "false") { return syntax() }
      if wanted == EnvelopeKey.stream, depth == 1 { wanted = 0 }
    case 0x6e:
      if !JSONToken.literal(&p, end, "null") { return syntax() }
      if depth == 1, wanted > EnvelopeKey.payload { wanted = 0 }  // null is as good as absent
    default:
      if !JSONToken.number(&p, end) { return syntax() }
      state = .afterValue
      return wanted != 0 && depth == 1 ? takeNumber(&out) : 0
    }
    state = .afterValue
    return 0
  }

  @inline(__always)
  private mutating func open(object: Bool) -> Int {
    if depth == deepest { return syntax() }
    p += 1
    JSONToken.skipSpace(&p, end)
    if p < end, p.pointee == (object ? 0x7d : 0x5d) {
      p += 1
      state = .afterValue
    } else {
      containers = containers << 1 | (object ? 1 : 0)
      depth &+= 1
      state = object ? .key : .value
    }
    return 0
  }

  /// The string between `valueStart` and the cursor is the value of the wanted key.
  @inline(__always)
  private mutating func takeString(_ out: inout Envelope, _ escaped: Bool) -> Int {
    let text = Envelope.Field(start: valueStart + 1 - start, count: p - valueStart - 2, escaped: escaped)
    switch wanted {
    case EnvelopeKey.target: out.target = text
    case EnvelopeKey.source: out.source = text
    case EnvelopeKey.method: out.method = text
    case EnvelopeKey.trace: out.trace = text
    case EnvelopeKey.payload: out.payload = value()
    case EnvelopeKey.id: out.id = value()
    case EnvelopeKey.re: out.re = value()
    default: return Self.keyCode - wanted
    }
    wanted = 0
    return 0
  }

  /// The number between `valueStart` and the cursor is the value of the wanted key.
  @inline(__always)
  private mutating func takeNumber(_ out: inout Envelope) -> Int {
    switch wanted {
    case EnvelopeKey.id: out.id = value()
    case EnvelopeKey.re: out.re = value()
    case EnvelopeKey.deadline, EnvelopeKey.hops:
      guard let number = Self.integer(valueStart, p) else { return Self.keyCode - wanted }
      if wanted == EnvelopeKey.deadline { out.deadlineMilliseconds = number } else { out.hops = Int32(clamping: number) }
    default: return 0  // a payload, or the wrong kind: `afterValue` tells
    }
    wanted = 0
    return 0
  }

  /// What stands between `valueStart` and the cursor.
  @inline(__always) private func value() -> Envelope.Field { .init(start: valueStart - start, count: p - valueStart) }

  @inline(__always)
  private mutating func key() -> Int {
    JSONToken.skipSpace(&p, end)
    if p >= end || p.pointee != 0x22 { return syntax() }
    let name = p + 1
    var escaped = false
    if !skipString(&escaped) { return syntax() }
    if isGram, depth == 1 {
      let count = p - name - 1
      wanted = escaped ? EnvelopeKey.numberOfEscaped(name, count) : EnvelopeKey.number(name, count)
      if wanted != 0 {
        if found & (1 << UInt32(wanted)) != 0 { return Self.keyCode - wanted }
        found |= 1 << UInt32(wanted)
      }
    }
    JSONToken.skipSpace(&p, end)
    if p >= end || p.pointee != 0x3a { return syntax() }
    p += 1
    state = .value
    return 0
  }

  @inline(__always)
  private mutating func afterValue(_ out: inout Envelope) -> Int {
    if depth == 1, wanted != 0 {
      // A container, or a literal that the key does not take; only a payload may be anything.
      if wanted != EnvelopeKey.payload { return Self.keyCode - wanted }
      out.payload = value()
      wanted = 0
    }
    if depth == 0 {
      state = .end
      return 0
    }
    JSONToken.skipSpace(&p, end)
    if p >= end { return syntax() }
    let isObject = containers & 1 == 1
    if p.pointee == 0x2c {
      state = isObject ? .key : .value
    } else if p.pointee == (isObject ? 0x7d : 0x5d) {
      depth &-= 1
      containers >>= 1
    } else {
      return syntax()
    }
    p += 1
    return 0
  }

  /// Nothing but blanks may follow; if a string has bytes beyond ASCII, they must be UTF-8.
  @inline(__always)
  private mutating func ending() -> Int {
    JSONToken.skipSpace(&p, end)
    if p != end { return syntax() }
    return Self.isASCII(seen) || Self.isUTF8(start, end) ? 0 : Self.encodingCode
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
  private static func isASCII(_ seen: JSONToken.Vector) -> Bool {
    let words = unsafeBitCast(seen, to: SIMD2<UInt64>.self)
    return (words[0] | words[1]) & 0x8080_8080_8080_8080 == 0
  }

  private static func isUTF8(_ start: Bytes, _ end: Bytes) -> Bool {
    let span = Span(_unsafeStart: start, count: end - start)
    return (try? UTF8Span(validating: span)) != nil
  }
}
