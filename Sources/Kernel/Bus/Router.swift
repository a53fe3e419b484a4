import Glibc
import Protocol
import Wire

/// Who is here, who waits for what, and where each gram goes. Event loop only.
///
/// The common gram (one connection to another, its source true, no `id`) takes the short way in
/// `line(from:)`: scanned once, looked up once, noted for the receiver's next `sendmsg`, never copied,
/// and no reference is counted on it.
/// Everything else takes `route`.
final class Router {
  static let readBufferBytes = 256 << 10

  let loop: EventLoop
  let log: Log
  var limits: Limits
  /// The same for one connection's way out.
  var quota: Quota { Quota(queueBytes: limits.queueBytes, frameBytes: limits.frameBytes) }
  /// Stands in the names that the kernel gives: conversations are kept by the client's name longer than a kernel runs, and
  /// who comes tomorrow must not find those of a stranger.
  let runTag = String(UInt32.random(in: 0x10_0000...0xFF_FFFF), radix: 16)
  /// Set once by BatKernel, which owns both.
  unowned var control: Control!

  /// Shared by all connections: one is read at a time, and its lines have left before the next.
  let readBuffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Router.readBufferBytes)
  /// Connections with pieces of the read buffer to send.
  var dirty: ContiguousArray<Connection> = []

  let names = NameRegistry()
  var connections: [UInt64: Connection] = [:]
  var lastConnection: UInt64 = 0
  var table: [UInt64: Request] = [:]
  var requests: RequestTable { RequestTable(router: self) }
  var lastToken: UInt64 = 0
  var topics: [[UInt8]: Topic] = [:]
  var taps: [Connection] = [] { didSet { isTapped = !taps.isEmpty } }
  private var isTapped = false

  /// What `stats` tells.
  struct Counters {
    var messages: UInt64 = 0
    var errors: UInt64 = 0
    var undelivered: UInt64 = 0
  }
  var counters = Counters()

  struct Topic {
    var connections: [Connection] = []
    var slots: [PersonaSlot] = []
    var count: Int { connections.count + slots.count }
  }

  static let kernelName = Array("KERNEL".utf8)

  init(loop: EventLoop, limits: Limits, log: Log) {
    self.loop = loop
    self.limits = limits
    self.log = log
  }

  deinit { readBuffer.deallocate() }

  // MARK: Connections

  func accept(_ descriptor: Int32, pid: Int32) {
    lastConnection += 1
    connections[lastConnection] = Connection(id: lastConnection, descriptor: descriptor, pid: pid, router: self)
  }

  /// A connection has gone: its requests are cancelled, its name may become free.
  func closed(_ connection: Connection) {
    connections[connection.id] = nil
    loop.after(milliseconds: 0) { withExtendedLifetime(connection) {} }  // see Participant.only
    for topic in connection.topics { dropSubscriber(topic) { $0.connections.removeAll { $0 === connection } } }
    if connection.taps { taps.removeAll { $0 === connection } }
    for token in connection.requests.values { cancel(token, Failure(.cancelled, "the asker has gone")) }
    connection.requests = [:]
    guard let participant = connection.participant else { return }
    participant.connections.removeAll { $0 === connection }
    log.debug("gone", ["client": participant.text, "pid": connection.pid])
    if participant.connections.isEmpty, participant.slot == nil {
      // Nobody is left to answer what this name was asked.
      for (token, request) in table where request.target === participant {
        end(token, Failure(.unknownTarget, "\(participant.text) has gone without answering"))
      }
      names.release(participant)
    }
  }

  func closeAll() { for connection in connections.values { connection.close() } }

  var attached: [Connection] { connections.values.filter { $0.greeting == .attached } }

  // MARK: Lines

  /// One line, newline included, out of the read buffer.
  @inline(__always)
  func line(from sender: Connection, _ line: UnsafeMutablePointer<UInt8>, _ count: Int) {
    var envelope = Envelope()
    var code = 0
    if let name = sender.name {
      code = Envelope.scan(UnsafeRawBufferPointer(start: line, count: count - 1), into: &envelope)
      if code == 0, !envelope.id.isPresent, !envelope.re.isPresent, envelope.hops == 0, !isTapped, envelope.target.isPresent,
        !envelope.target.escaped, envelope.source.isPresent, Int(envelope.source.count) == sender.nameCount,
        memcmp(name, line + Int(envelope.source.start), sender.nameCount) == 0,
        let target = names.find(line + Int(envelope.target.start), Int(envelope.target.count)),
        let receiver = target._withUnsafeGuaranteedRef({ $0.only })
      {
        counters.messages &+= 1
        if !receiver._withUnsafeGuaranteedRef({ $0.pass(line, count) }) { undeliverable(sender, target.takeUnretainedValue()) }
        return
      }
    }
    guard let me = sender.participant else { return greet(sender, UnsafeRawBufferPointer(start: line, count: count - 1)) }
    slowLine(from: sender, me, line, count, code, envelope)
  }

  @inline(never)
  func slowLine(
    from sender: Connection, _ me: Participant, _ line: UnsafeMutablePointer<UInt8>, _ count: Int, _ code: Int, _ envelope: Envelope
  ) {
    let raw = UnsafeRawBufferPointer(start: line, count: count)
    if code != 0 {
      if raw.dropLast().allSatisfy({ $0 == 0x20 || $0 == 0x0d || $0 == 0x09 }) { return }  // a blank line says nothing
      return refuse(sender, re: [], Failure(.badJSON, Envelope.error(code).message))
    }
    if envelope.source.isPresent, !envelope.source.escaped, raw[envelope.source.range].elementsEqual(me.name) {
      return route(from: sender, me, raw, envelope, borrowed: line)
    }
    // The kernel says who speaks: the true name takes the place of what stands there.
    var name: [UInt8] = []
    name.appendJSON(me.name)
    var stamped: [UInt8] = []
    stamped.reserveCapacity(count + name.count + 12)
    if envelope.source.isPresent {
      stamped.append(contentsOf: raw[..<(Int(envelope.source.start) - 1)])
      stamped.append(contentsOf: name)
      stamped.append(contentsOf: raw[(envelope.source.range.upperBound + 1)...])
    } else {
      stamped.append(contentsOf: raw[...Int(envelope.object.start)])
      stamped.append(#""source":"#)
      stamped.append(contentsOf: name)
      if envelope.target.isPresent || envelope.object.count > 2 { stamped.append(0x2c) }
      stamped.append(contentsOf: raw[(Int(envelope.object.start) + 1)...])
    }
    stamped.withUnsafeBytes { raw in
      var envelope = Envelope()
      let code = Envelope.scan(UnsafeRawBufferPointer(rebasing: raw.dropLast()), into: &envelope)
      if code != 0 { return refuse(sender, re: [], Failure(.badJSON, Envelope.error(code).message)) }
      route(from: sender, me, raw, envelope, borrowed: nil)
    }
  }

  func frameTooLong(_ sender: Connection) {
    refuse(
      sender, re: [],
      Failure(.tooLong, "a line of more than \(limits.frameBytes) bytes was left out; send less, or raise bus.frame_bytes in personas.toml")
    )
    if sender.participant == nil { sender.close() }
  }

  /// What was noted leaves.
  func flush() {
    var i = 0
    while i < dirty.count {
      dirty[i].isDirty = false
      dirty[i].flush()
      i += 1
    }
    dirty.removeAll(keepingCapacity: true)
  }

  func bytes(_ raw: UnsafeRawBufferPointer, _ field: Envelope.Field) -> [UInt8] {
    if !field.isPresent { return [] }
    let part = UnsafeRawBufferPointer(rebasing: raw[field.range])
    return field.escaped ? unescaped(part) : Array(part)
  }

  // MARK: Routing

  func route(
    from sender: Connection, _ me: Participant, _ raw: UnsafeRawBufferPointer, _ envelope: Envelope, borrowed: UnsafeMutablePointer<UInt8>?
  ) {
    counters.messages &+= 1
    let id = bytes(raw, envelope.id)
    let targetName = bytes(raw, envelope.target)
    if !taps.isEmpty { tap(raw.dropLast(), except: sender) }
    if targetName.isEmpty {
      return refuse(sender, re: id, Failure(.invalid, "the gram has no \"target\"; name one, or \"*\", or \"KERNEL\""))
    }
    if Int(envelope.hops) > limits.hops {
      return refuse(
        sender, re: id, Failure(.hopLimit, "the gram went through \(envelope.hops) hands; the limit is \(limits.hops)"), target: targetName)
    }
    func pass(_ receiver: Connection) -> Bool {
      if let borrowed { return receiver.pass(borrowed, raw.count) }
      return receiver.send(Array(raw), .message)
    }
    if envelope.re.isPresent { return answer(from: sender, me, raw, envelope, targetName) }
    if !id.isEmpty {
      if sender.requests[id] != nil {
        return refuse(
          sender, re: [], Failure(.invalid, "a request with id \(String(decoding: id, as: UTF8.self)) is still open; use another id"))
      }
      if sender.requests.count >= limits.requests {
        return refuse(sender, re: id, Failure(.queueFull, "\(limits.requests) requests of yours are open; wait for some to end"))
      }
    }
    let trace = bytes(raw, envelope.trace)

    if targetName == Self.kernelName {
      let token = open(
        asker: id.isEmpty ? .name(me) : .connection(sender, id: id), target: nil, trace: trace, hops: Int(envelope.hops),
        milliseconds: Int(envelope.deadlineMilliseconds), stream: false)
      let method = String(decoding: bytes(raw, envelope.method), as: UTF8.self)
      let payload = envelope.payload.isPresent ? Array(raw[envelope.payload.range]) : []
      control.handle(method, payload, from: sender, token: token) { [weak self] result in
        switch result {
        case .success(let payload): self?.finish(token, payload: payload)
        case .failure(let failure): self?.end(token, failure)
        }
      }
      return
    }

    if targetName[0] == 0x2a && targetName.count == 1 || targetName[0] == 0x23 {
      let delivered = spread(targetName, from: me, sender: sender.id, raw, envelope, trace: trace, pass: { $0 === sender ? nil : pass($0) })
      if !id.isEmpty {
        reply(to: sender, id: id, from: Self.kernelName, method: "reply", payload: Array("{\"delivered\":\(delivered)}".utf8))
      } else if delivered == 0 {
        counters.undelivered &+= 1
      }
      return
    }

    guard let target = names.find(targetName) else { return refuse(sender, re: id, unknown(targetName), target: targetName) }
    if let slot = target.slot {
      let token = open(
        asker: id.isEmpty ? .name(me) : .connection(sender, id: id), target: target, trace: trace, hops: Int(envelope.hops),
        milliseconds: Int(envelope.deadlineMilliseconds), stream: envelope.stream && !id.isEmpty)
      hand(token, to: slot, Array(raw.dropLast()), envelope, source: me.name, sender: sender.id, topic: [])
      return
    }
    if id.isEmpty {
      for receiver in target.connections where !pass(receiver) { undeliverable(sender, target) }
      return
    }
    var taken = false
    for receiver in target.connections where pass(receiver) { taken = true }
    if !taken { return refuse(sender, re: id, full(target), target: targetName) }
    _ = open(
      asker: .connection(sender, id: id), target: target, trace: trace, hops: Int(envelope.hops),
      milliseconds: Int(envelope.deadlineMilliseconds), stream: envelope.stream)
  }

  /// To everybody but the sender, or to a topic's subscribers; returns how many took it.
  func spread(
    _ name: [UInt8], from source: Participant?, sender: UInt64, _ raw: UnsafeRawBufferPointer, _ envelope: Envelope, trace: [UInt8],
    pass: (Connection) -> Bool?
  ) -> Int {
    var delivered = 0
    func give(_ receiver: Connection) {
      guard let taken = pass(receiver) else { return }
      if taken { delivered += 1 } else { counters.undelivered &+= 1 }
    }
    func give(_ slot: PersonaSlot) {
      if slot.participant === source { return }
      let token = open(
        asker: .nobody, target: slot.participant, trace: trace, hops: Int(envelope.hops), milliseconds: Int(envelope.deadlineMilliseconds),
        stream: false)
      if hand(token, to: slot, Array(raw.dropLast()), envelope, source: source?.name ?? Self.kernelName, sender: sender, topic: name) {
        delivered += 1
      }
    }
    if name[0] == 0x2a {
      for participant in names.all {
        if let slot = participant.slot { give(slot) }
        for receiver in participant.connections { give(receiver) }
      }
    } else if let topic = topics[name] {
      for receiver in topic.connections { give(receiver) }
      for slot in topic.slots { give(slot) }
    }
    return delivered
  }

  /// A gram that answers: it goes to the one who asked, if that one still waits.
  func answer(from sender: Connection, _ me: Participant, _ raw: UnsafeRawBufferPointer, _ envelope: Envelope, _ target: [UInt8]) {
    let re = bytes(raw, envelope.re)
    let method = bytes(raw, envelope.method)
    let asker = names.find(target)
    var token: UInt64?
    if let asker {
      for connection in asker.connections {
        if let open = connection.requests[re], table[open]?.target === me { token = open }
      }
      if asker.slot != nil, let number = UInt64(String(decoding: re, as: UTF8.self)), table[number]?.target === me { token = number }
    }
    guard let token, let request = table[token] else {
      return refuse(
        sender, re: [],
        Failure(.notFound, "nobody waits for an answer to \(String(decoding: re, as: UTF8.self)): it has ended, or was never asked"),
        target: target)
    }
    let isDelta = method == Array("delta".utf8)
    switch request.asker {
    case .connection(let connection, let id):
      if isDelta {
        if request.wantsStream { connection.send(Array(raw), .copy) }
        return
      }
      connection.send(Array(raw), .answer)
      connection.requests[id] = nil
      close(token)
    case .persona(let context, let number):
      let payload = envelope.payload.isPresent ? Array(raw[envelope.payload.range]) : Array("null".utf8)
      if isDelta {
        if let text = deltaText(payload) { context.instance.part(number, text) }
        return
      }
      close(token)
      context.askEnded(number)
      if method == Array("error".utf8) {
        context.complete(number, .failure(clientFailure(payload, from: me)))
      } else {
        context.complete(number, .success(payload))
      }
    case .name, .nobody: break
    }
  }

  func deltaText(_ payload: [UInt8]) -> [UInt8]? { (try? PayloadCoding.value(Delta.self, from: payload))?.text.map { Array($0.utf8) } }

  func clientFailure(_ payload: [UInt8], from: Participant) -> Failure {
    let told = try? PayloadCoding.value(ErrorReport.self, from: payload).failure
    return told.flatMap { $0.message.isEmpty ? nil : $0 } ?? Failure(told?.code ?? .failed, "\(from.text) answered with an error")
  }

  // MARK: Telling

  func reply(to connection: Connection, id: [UInt8], from source: [UInt8], method: StaticString, payload: [UInt8], trace: [UInt8] = []) {
    var gram = GramLine(
      target: connection.participant?.name ?? [],
      method: [UInt8](UnsafeBufferPointer(start: method.utf8Start, count: method.utf8CodeUnitCount)))
    gram.source = source
    gram.re = id
    gram.payload = payload
    gram.trace = trace
    let line = gram.bytes()
    if !taps.isEmpty { tap(line, except: connection) }
    connection.send(line, .answer)
  }

  func refuse(
    _ connection: Connection, re: [UInt8], _ failure: Failure, target: [UInt8] = [], source: [UInt8] = Router.kernelName, trace: [UInt8] = []
  ) {
    counters.errors &+= 1
    var payload: [UInt8] = []
    payload.append(#"{"code":"#)
    payload.appendJSON(failure.code.rawValue)
    payload.append(#","message":"#)
    payload.appendJSON(failure.message)
    if !target.isEmpty {
      payload.append(#","target":"#)
      payload.appendJSON(target)
    }
    payload.append(0x7d)
    reply(to: connection, id: re, from: source, method: "error", payload: payload, trace: trace)
  }

  func undeliverable(_ sender: Connection, _ target: Participant) {
    counters.undelivered &+= 1
    refuse(sender, re: [], full(target), target: target.name)
  }

  func full(_ target: Participant) -> Failure {
    Failure(
      .queueFull, "\(target.text) is not reading: \(limits.queueBytes) bytes wait for it, and this gram was left out; send it again later")
  }

  func unknown(_ name: [UInt8]) -> Failure {
    let text = String(decoding: name, as: UTF8.self)
    let near = Suggestion.nearest(to: text, among: names.all.map(\.text).sorted())
    return Failure(
      .unknownTarget, "nobody is called \(text) here\(near.map { "; did you mean \($0)?" } ?? "; `parlor personas` lists who is")")
  }

  /// To everybody who said hello.
  func announce(_ method: StaticString, _ payload: [UInt8]) {
    for connection in attached { reply(to: connection, id: [], from: Self.kernelName, method: method, payload: payload) }
  }
}
