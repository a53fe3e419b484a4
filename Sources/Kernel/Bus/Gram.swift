import Protocol
import Wire

/// A message on its way through the router: what is decided by, and the line that is passed on.
///
/// The common gram does not become one of these: see `Router.line`.
struct Gram {
  /// The bytes of the line, newline included.
  enum Line {
    /// A piece of the read buffer, which stays as it is until the batch has been sent.
    case borrowed(UnsafeMutablePointer<UInt8>, Int)
    case owned([UInt8])
    /// One that many get.
    case shared(SharedLine)
  }

  /// Names it at the router and in persona.h.
  var token: UInt64
  var line: Line
  var envelope: Envelope
  /// Who is told what becomes of it.
  var asker: any Asker
  /// Nil in a replay.
  let sender: (any Endpoint)?
  /// Whose share of a mailbox it takes.
  let senderID: UInt64
  /// The sender's true name.
  let source: [UInt8]
  let target: [UInt8]
  /// Who gets it, whatever the target says: for a replay.
  var recipient: Participant?
  let trace: [UInt8]
  let hops: Int
  /// How long its answer may take; 0: as long as the kernel's limit says.
  var milliseconds: Int
  let wantsStream: Bool
  /// The conversations with the model that wait for its end.
  var conversations: Set<String> = []

  /// What a client sent. The line names its true source.
  init(token: UInt64, from connection: Connection, _ participant: Participant, _ line: Line, _ envelope: Envelope) {
    self.token = token
    self.line = line
    self.envelope = envelope
    sender = connection
    senderID = connection.id
    source = participant.name
    (hops, milliseconds) = (Int(clamping: envelope.hops), Int(clamping: envelope.deadlineMilliseconds))
    (target, trace, asker, wantsStream) = line.withBytes { raw in
      let id = raw.text(envelope.id)
      return (
        raw.text(envelope.target), raw.text(envelope.trace),
        id.isEmpty
          ? NameAsker(participant: participant, replies: connection.router.replies) as any Asker
          : ConnectionAsker(connection: connection, id: id),
        envelope.stream && !id.isEmpty
      )
    }
  }

  /// What the kernel writes for a persona or a replay.
  init(token: UInt64, _ made: GramLine, asker: any Asker, sender: (any Endpoint)?, senderID: UInt64) {
    self.token = token
    self.asker = asker
    self.sender = sender
    self.senderID = senderID
    source = made.source
    target = made.target
    trace = made.trace
    hops = made.hops
    milliseconds = made.deadlineMilliseconds
    wantsStream = made.stream
    let bytes = made.bytes()
    line = .owned(bytes)
    envelope = Envelope()
    let code = bytes.withUnsafeBytes { Envelope.scan(UnsafeRawBufferPointer(rebasing: $0.dropLast()), into: &envelope) }
    precondition(code == 0, "a line that the kernel made is a gram")
    if made.payload.isEmpty { envelope.payload = Envelope.Field() }
  }

  /// The key whose text is longer than a name may be, and its length; nil: all are short enough.
  var longName: (key: String, count: Int)? {
    let fields = [
      ("target", envelope.target), ("method", envelope.method), ("trace", envelope.trace), ("id", envelope.id), ("re", envelope.re),
    ]
    return fields.first { $0.1.count > NameLimits.word }.map { ($0.0, Int($0.1.count)) }
  }
  /// It is for everybody or for a topic's subscribers.
  var isPublished: Bool { target == [0x2a] || target.first == 0x23 }
  /// Bytes of the line.
  var count: Int { line.count }
  var method: [UInt8] { line.withBytes { $0.text(envelope.method) } }
  /// As it stands in the line.
  var id: [UInt8] { line.withBytes { $0.text(envelope.id) } }
  /// What it answers, as it stands in the line.
  var re: [UInt8] { line.withBytes { $0.text(envelope.re) } }
  /// JSON; empty if there is none.
  var payload: [UInt8] { envelope.payload.isPresent ? line.withBytes { Array($0[envelope.payload.range]) } : [] }

  /// The same with other bytes in the place of `id` or `re`.
  func replacing(_ field: Envelope.Field, with bytes: [UInt8]) -> Gram {
    var gram = self
    let changed = line.withBytes { raw in Array(raw[..<Int(field.start)]) + bytes + Array(raw[field.range.upperBound...]) }
    gram.line = .owned(changed)
    let code = changed.withUnsafeBytes { Envelope.scan(UnsafeRawBufferPointer(rebasing: $0.dropLast()), into: &gram.envelope) }
    precondition(code == 0, "one id in the place of another makes a gram of a gram")
    return gram
  }

  /// A client's line with its true name in the place of what stands in `source`. `line` is a whole line, which `envelope` describes.
  static func stamped(_ line: UnsafeRawBufferPointer, _ envelope: Envelope, source: [UInt8]) -> [UInt8] {
    var name: [UInt8] = []
    name.appendJSON(source)
    var stamped: [UInt8] = []
    stamped.reserveCapacity(line.count + name.count + 12)
    if envelope.source.isPresent {
      stamped.append(contentsOf: line[..<(Int(envelope.source.start) - 1)])
      stamped.append(contentsOf: name)
      stamped.append(contentsOf: line[(envelope.source.range.upperBound + 1)...])
    } else {
      stamped.append(contentsOf: line[...Int(envelope.object.start)])
      stamped.append(#""source":"#)
      stamped.append(contentsOf: name)
      if envelope.target.isPresent || envelope.object.count > 2 { stamped.append(0x2c) }
      stamped.append(contentsOf: line[(Int(envelope.object.start) + 1)...])
    }
    return stamped
  }
}

extension Gram.Line {
  var count: Int {
    switch self {
    case .borrowed(_, let count): count
    case .owned(let bytes): bytes.count
    case .shared(let line): line.bytes.count
    }
  }

  func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    switch self {
    case .borrowed(let bytes, let count): body(UnsafeRawBufferPointer(start: bytes, count: count))
    case .owned(let bytes): bytes.withUnsafeBytes(body)
    case .shared(let line): line.bytes.withUnsafeBytes(body)
    }
  }

  /// A copy for somebody who keeps it.
  var bytes: [UInt8] {
    switch self {
    case .borrowed(let bytes, let count): Array(UnsafeBufferPointer(start: bytes, count: count))
    case .owned(let bytes): bytes
    case .shared(let line): line.bytes
    }
  }
}

extension UnsafeRawBufferPointer {
  /// A field of the line, its escapes resolved; empty if it is absent.
  func text(_ field: Envelope.Field) -> [UInt8] {
    if !field.isPresent { return [] }
    let part = UnsafeRawBufferPointer(rebasing: self[field.range])
    return field.escaped ? unescaped(part) : Array(part)
  }
}
