import Wire

/// What must be true of any line that comes over the wire.
enum WireClaims {
  /// Checks all claims; true if the input is a gram.
  static func check(_ input: [UInt8], _ memory: GuardedMemory) throws(BrokenClaim) -> Bool {
    // Twice: once with nothing readable behind the bytes, once with nothing readable before them.
    let (code, envelope) = memory.withBytes(input, atEnd: true, scan)
    let (again, other) = memory.withBytes(input, atEnd: false, scan)
    guard code == again, envelope == other else { throw BrokenClaim(claim: "a line scanned twice is told differently: \(code), \(again)") }
    try agree(input, in: memory)
    if code != 0 {
      _ = Envelope.error(code).message
      return false
    }
    guard readable(input) else { throw BrokenClaim(claim: "the scanner takes a gram that the reader refuses") }
    for field in fields(of: envelope) where field.isPresent {
      guard field.range.upperBound <= input.count else { throw BrokenClaim(claim: "a field does not lie within the line") }
    }
    try roundTrip(input, envelope)
    return true
  }

  private static func scan(_ line: UnsafeRawBufferPointer) -> (Int, Envelope) {
    var envelope = Envelope()
    let code = Envelope.scan(line, into: &envelope)
    return (code, envelope)
  }

  private static func fields(of envelope: Envelope) -> [Envelope.Field] {
    [
      envelope.target, envelope.source, envelope.method, envelope.trace, envelope.id, envelope.re, envelope.payload, envelope.object,
    ]
  }

  private static func readable(_ bytes: [UInt8]) -> Bool { (try? JSON(parsing: bytes)) != nil }

  /// Scanner and reader say the same of what could be a payload, and what was read can be written and read again.
  private static func agree(_ input: [UInt8], in memory: GuardedMemory) throws(BrokenClaim) {
    let isJSON = memory.withBytes(input, atEnd: true, isJSONValue)
    guard let value = try? JSON(parsing: input) else {
      if isJSON { throw BrokenClaim(claim: "the scanner takes a value that the reader refuses") }
      return
    }
    // The reader goes 512 deep, a payload 63: the input has that many brackets at least.
    if !isJSON, input.count(where: { $0 == 0x5b || $0 == 0x7b }) <= 63 {
      throw BrokenClaim(claim: "the reader takes a value that the scanner refuses")
    }
    let written = value.bytes
    guard let read = try? JSON(parsing: written), read.bytes == written else {
      throw BrokenClaim(claim: "a value that is written is read as another: \(value.text)")
    }
  }

  /// A gram made of an envelope's parts has the same parts when it is scanned.
  private static func roundTrip(_ line: [UInt8], _ envelope: Envelope) throws(BrokenClaim) {
    func raw(_ field: Envelope.Field) -> [UInt8] { field.isPresent ? Array(line[field.range]) : [] }
    func plain(_ field: Envelope.Field, in line: [UInt8]) -> [UInt8] {
      guard field.isPresent else { return [] }
      return field.escaped ? line[field.range].withUnsafeBytes(unescaped) : Array(line[field.range])
    }
    var gram = GramLine(target: plain(envelope.target, in: line), method: plain(envelope.method, in: line))
    gram.source = plain(envelope.source, in: line)
    gram.trace = plain(envelope.trace, in: line)
    gram.id = raw(envelope.id)
    gram.re = raw(envelope.re)
    gram.payload = raw(envelope.payload)
    gram.stream = envelope.stream
    gram.hops = Int(envelope.hops)
    gram.deadlineMilliseconds = Int(envelope.deadlineMilliseconds)
    let written = gram.bytes()
    guard written.count(where: { $0 == 0x0a }) == 1 else { throw BrokenClaim(claim: "a gram is written on more than one line") }
    let (code, second) = written.dropLast().withUnsafeBytes(scan)
    guard code == 0 else { throw BrokenClaim(claim: "a gram that is written cannot be scanned: \(Envelope.error(code).message)") }
    let isSame =
      plain(second.target, in: written) == gram.target && plain(second.method, in: written) == gram.method
      && plain(second.source, in: written) == gram.source && plain(second.trace, in: written) == gram.trace
      && second.id.count == envelope.id.count && second.re.count == envelope.re.count && second.stream == envelope.stream
      && second.hops == envelope.hops && second.deadlineMilliseconds == envelope.deadlineMilliseconds
    guard isSame else { throw BrokenClaim(claim: "a gram that is written is another when it is scanned") }
  }
}
