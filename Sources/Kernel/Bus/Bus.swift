import Glibc
import Wire

/// Who is here, who waits for what, and where each gram goes. Event loop only.
///
/// The common gram (one connection to another, its source true, no `id`) takes the short way in
/// `line(from:)`: scanned once, looked up once, noted for the receiver's next `sendmsg`, never copied,
/// and no reference is counted on it.
/// Everything else takes `route`.
final class Bus {
  static let readBufferBytes = 256 << 10

  let loop: EventLoop
  let log: Log
  var limits: Limits
  /// Set once by BatKernel, which owns both.
  unowned var control: Control!

  /// Shared by all connections: one is read at a time, and its lines have left before the next.
  let readBuffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Bus.readBufferBytes)
  /// Connections with pieces of the read buffer to send.
  var dirty: ContiguousArray<Connection> = []

  let names = NameTable()
  private(set) var connections: [UInt64: Connection] = [:]
  private var lastConnection: UInt64 = 0
  private var requests: [UInt64: Request] = [:]
  private var lastToken: UInt64 = 0
  private var topics: [[UInt8]: Topic] = [:]
  private var taps: [Connection] = [] { didSet { isTapped = !taps.isEmpty } }
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
    connections[lastConnection] = Connection(id: lastConnection, descriptor: descriptor, pid: pid, bus: self)
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
      for (token, request) in requests where request.target === participant {
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
  private func slowLine(
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
      Failure(.tooLong, "a line of more than \(limits.frameBytes) bytes was left out; send less, or raise bus.frame_bytes in personas.toml"))
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

  private func bytes(_ raw: UnsafeRawBufferPointer, _ field: Envelope.Field) -> [UInt8] {
    if !field.isPresent { return [] }
    let part = UnsafeRawBufferPointer(rebasing: raw[field.range])
    return field.escaped ? unescaped(part) : Array(part)
  }

  // MARK: Routing

  private func route(
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
      return refuse(sender, re: id, Failure(.hopLimit, "the gram went through \(envelope.hops) hands; the limit is \(limits.hops)"), target: targetName)
    }
    func pass(_ receiver: Connection) -> Bool {
      if let borrowed { return receiver.pass(borrowed, raw.count) }
      return receiver.send(Array(raw), .message)
    }
    if envelope.re.isPresent { return answer(from: sender, me, raw, envelope, targetName) }
    if !id.isEmpty {
      if sender.requests[id] != nil {
        return refuse(sender, re: [], Failure(.invalid, "a request with id \(String(decoding: id, as: UTF8.self)) is still open; use another id"))
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
      control.handle(method, payload, from: sender) { [weak self] result in
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
  private func spread(
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
      if hand(token, to: slot, Array(raw.dropLast()), envelope, source: source?.name ?? Self.kernelName, sender: sender, topic: name) { delivered += 1 }
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
  private func answer(from sender: Connection, _ me: Participant, _ raw: UnsafeRawBufferPointer, _ envelope: Envelope, _ target: [UInt8]) {
    let re = bytes(raw, envelope.re)
    let method = bytes(raw, envelope.method)
    let asker = names.find(target)
    var token: UInt64?
    if let asker {
      for connection in asker.connections {
        if let open = connection.requests[re], requests[open]?.target === me { token = open }
      }
      if asker.slot != nil, let number = UInt64(String(decoding: re, as: UTF8.self)), requests[number]?.target === me { token = number }
    }
    guard let token, let request = requests[token] else {
      return refuse(
        sender, re: [], Failure(.notFound, "nobody waits for an answer to \(String(decoding: re, as: UTF8.self)): it has ended, or was never asked"),
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
    case .persona(let tenure, let number):
      let payload = envelope.payload.isPresent ? Array(raw[envelope.payload.range]) : Array("null".utf8)
      if isDelta {
        if let text = deltaText(payload) { tenure.generation.part(number, text) }
        return
      }
      close(token)
      tenure.asks[number] = nil
      if method == Array("error".utf8) {
        tenure.generation.complete(number, clientFailure(payload, from: me))
      } else {
        tenure.generation.complete(number, 0, payload)
      }
    case .name, .nobody: break
    }
  }

  private func deltaText(_ payload: [UInt8]) -> [UInt8]? { Payload.decode(Payload.Delta.self, payload).map { Array($0.text.utf8) } }

  private func clientFailure(_ payload: [UInt8], from: Participant) -> Failure {
    let told = Payload.decode(Payload.Refusal.self, payload)
    return Failure(told?.code.flatMap(Failure.Code.init(rawValue:)) ?? .failed, told?.message ?? "\(from.text) answered with an error")
  }

  // MARK: Personas

  /// Gives mail to a persona, or ends its request with the reason why not.
  @discardableResult
  private func hand(
    _ token: UInt64, to slot: PersonaSlot, _ line: [UInt8], _ envelope: Envelope, source: [UInt8], sender: UInt64, topic: [UInt8]
  ) -> Bool {
    guard let request = requests[token] else { return false }
    var wantsReply = true
    if case .nobody = request.asker { wantsReply = false }
    let mail = Mail(
      token: token, sender: sender, line: line, envelope: envelope, source: source, topic: topic, trace: request.trace, hops: request.hops,
      deadline: request.deadline, wantsReply: wantsReply, wantsStream: request.wantsStream)
    if let failure = slot.deliver(mail, quota: limits.mailboxBytes) {
      end(token, failure)
      return false
    }
    return true
  }

  /// The persona that has the gram now.
  func handed(_ token: UInt64, to tenure: Tenure) { requests[token]?.answerer = tenure }

  /// Mail that was taken back before it was begun, and cannot be given to anybody.
  func bounce(_ mail: [Mail], _ failure: Failure) { for item in mail { end(item.token, failure) } }

  /// A gram from a persona for which no answer is wanted.
  func send(from tenure: Tenure, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    counters.messages &+= 1
    let origin = requests[cause]
    let line = personaLine(from: tenure, origin, target: target, method: method, payload: payload, id: [], stream: false)
    let hops = (origin?.hops ?? 0) + 1
    if hops > limits.hops {
      counters.errors &+= 1
      log.warning("stopped a loop: hop limit", ["from": tenure.slot.name, "to": String(decoding: target, as: UTF8.self), "hops": hops])
      return
    }
    tap(line)
    var delivered = 0
    line.withUnsafeBytes { raw in
      var envelope = Envelope()
      let code = Envelope.scan(UnsafeRawBufferPointer(rebasing: raw.dropLast()), into: &envelope)
      precondition(code == 0, "a line that the kernel made is a gram")
      if target[0] == 0x23 || target == [0x2a] {
        delivered = spread(target, from: tenure.slot.participant, sender: tenure.slot.senderID, raw, envelope, trace: origin?.trace ?? []) {
          $0.send(line, .message)
        }
      } else if target == Self.kernelName {
        delivered = 1
        control.handle(String(decoding: method, as: UTF8.self), payload, from: nil) { [log] result in
          if case .failure(let failure) = result { log.warning("KERNEL refused", ["from": tenure.slot.name, "error": failure.message]) }
        }
      } else if let participant = names.find(target) {
        if let slot = participant.slot {
          let token = open(
            asker: .nobody, target: participant, trace: origin?.trace ?? [], hops: hops, milliseconds: 0, stream: false)
          if hand(token, to: slot, Array(line.dropLast()), envelope, source: tenure.slot.participant.name, sender: tenure.slot.senderID, topic: []) {
            delivered = 1
          }
        } else {
          for receiver in participant.connections where receiver.send(line, .message) { delivered += 1 }
        }
      }
    }
    if delivered == 0, target[0] != 0x23 {
      counters.undelivered &+= 1
      log.warning(
        "a gram reached nobody", ["from": tenure.slot.name, "to": String(decoding: target, as: UTF8.self), "method": String(decoding: method, as: UTF8.self)])
    }
  }

  /// A persona's request; it ends by `tenure.generation.complete`.
  func ask(
    from tenure: Tenure, request number: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8], milliseconds: UInt64,
    stream: Bool
  ) {
    counters.messages &+= 1
    func fail(_ failure: Failure) {
      counters.errors &+= 1
      tenure.generation.complete(number, failure)
    }
    let origin = requests[cause]
    if cause != 0, origin == nil { return fail(Failure(.cancelled, "the gram on whose behalf this is asked has ended")) }
    let hops = (origin?.hops ?? 0) + 1
    if hops > limits.hops {
      return fail(
        Failure(.hopLimit, "\(tenure.slot.name) → \(String(decoding: target, as: UTF8.self)): the gram went through \(hops) hands; the limit is \(limits.hops)"))
    }
    var allowed = Int(clamping: milliseconds)
    if let origin, origin.deadline > 0 {
      let now = EventLoop.now()
      let left = origin.deadline > now ? Int((origin.deadline - now) / 1_000_000) : 0
      allowed = allowed == 0 ? left : min(allowed, left)
      allowed = max(1, allowed)
    }
    let trace = origin?.trace ?? []
    func opened(_ participant: Participant?) -> UInt64 {
      let token = open(
        asker: .persona(tenure, request: number), target: participant, trace: trace, hops: hops, milliseconds: allowed, stream: stream)
      tenure.asks[number] = token
      origin?.children.append((tenure, number))
      return token
    }
    if target == Self.kernelName {
      let token = opened(nil)
      control.handle(String(decoding: method, as: UTF8.self), payload, from: nil) { [weak self] result in
        switch result {
        case .success(let payload): self?.finish(token, payload: payload)
        case .failure(let failure): self?.end(token, failure)
        }
      }
      return
    }
    if target[0] == 0x23 || target == [0x2a] {
      return fail(Failure(.invalid, "\(String(decoding: target, as: UTF8.self)) cannot be asked: nobody would know whose answer counts; send to it"))
    }
    guard let participant = names.find(target) else { return fail(unknown(target)) }
    let token = opened(participant)
    let line = personaLine(from: tenure, origin, target: target, method: method, payload: payload, id: Array(String(token).utf8), stream: stream)
    tap(line)
    if let slot = participant.slot {
      line.withUnsafeBytes { raw in
        var envelope = Envelope()
        let code = Envelope.scan(UnsafeRawBufferPointer(rebasing: raw.dropLast()), into: &envelope)
        precondition(code == 0, "a line that the kernel made is a gram")
        hand(token, to: slot, Array(line.dropLast()), envelope, source: tenure.slot.participant.name, sender: tenure.slot.senderID, topic: [])
      }
    } else {
      var taken = false
      for receiver in participant.connections where receiver.send(line, .message) { taken = true }
      if !taken { end(token, full(participant)) }
    }
  }

  private func personaLine(
    from tenure: Tenure, _ origin: Request?, target: [UInt8], method: [UInt8], payload: [UInt8], id: [UInt8], stream: Bool
  ) -> [UInt8] {
    var gram = GramLine(target: target, method: method)
    gram.source = tenure.slot.participant.name
    gram.payload = payload
    gram.id = id
    gram.stream = stream
    gram.hops = (origin?.hops ?? 0) + 1
    gram.trace = origin?.trace ?? []
    return gram.bytes()
  }

  // MARK: Requests

  /// So many requests are open.
  var openRequests: Int { requests.count }

  func request(_ token: UInt64) -> Request? { requests[token] }

  private func open(
    asker: Request.Asker, target: Participant?, trace: [UInt8], hops: Int, milliseconds: Int, stream: Bool
  ) -> UInt64 {
    lastToken += 1
    let token = lastToken
    let allowed = milliseconds > 0 ? milliseconds : limits.deadlineMilliseconds
    if case .connection(let connection, let id) = asker { connection.requests[id] = token }
    let deadline = EventLoop.now() + UInt64(allowed) * 1_000_000
    let request = Request(token: token, asker: asker, target: target, trace: trace, hops: hops, deadline: deadline, wantsStream: stream)
    request.timer = loop.after(milliseconds: allowed) { [unowned self] in
      cancel(token, Failure(.deadline, "no answer\(target.map { " from \($0.text)" } ?? "") within \(allowed) ms"))
    }
    requests[token] = request
    return token
  }

  /// Takes it off the books. Its answerer may hold a token that has ended: that is found out there.
  @discardableResult
  private func close(_ token: UInt64) -> Request? {
    guard let request = requests.removeValue(forKey: token) else { return nil }
    if let timer = request.timer { loop.cancel(timer: timer) }
    switch request.asker {
    case .connection(let connection, let id): connection.requests[id] = nil
    case .persona(let tenure, let number): tenure.asks[number] = nil
    default: break
    }
    if let answerer = request.answerer { answerer.gramEnded(token) }
    return request
  }

  /// The answer. Empty: there is nothing to say. Unknown tokens have ended before: no error.
  func finish(_ token: UInt64, payload: [UInt8]) {
    guard let request = requests[token] else { return }
    if case .connection(let connection, let id) = request.asker { sendHeld(request, connection, id, final: true) }
    close(token)
    let source = request.target?.name ?? Self.kernelName
    switch request.asker {
    case .connection(let connection, let id): reply(to: connection, id: id, from: source, method: "reply", payload: payload, trace: request.trace)
    case .name(let participant):
      if payload.isEmpty { return }
      var gram = GramLine(target: participant.name, method: Array("reply".utf8))
      gram.source = source
      gram.payload = payload
      gram.trace = request.trace
      let line = gram.bytes()
      tap(line)
      for connection in participant.connections { connection.send(line, .answer) }
    case .persona(let tenure, let number):
      tenure.generation.complete(number, 0, payload.isEmpty ? Array("null".utf8) : payload)
    case .nobody: break
    }
  }

  /// The answerer's error.
  func fail(_ token: UInt64, _ failure: Failure) { end(token, failure) }

  /// Ends it in an error, told in the name of whoever was asked.
  func end(_ token: UInt64, _ failure: Failure) {
    guard let request = requests[token] else { return }
    if case .connection(let connection, let id) = request.asker { sendHeld(request, connection, id, final: true) }
    close(token)
    counters.errors &+= 1
    request.target?.slot?.countFailure()
    switch request.asker {
    case .connection(let connection, let id):
      refuse(connection, re: id, failure, target: request.target?.name ?? [], source: request.target?.name ?? Self.kernelName, trace: request.trace)
    case .name(let participant):
      for connection in participant.connections {
        refuse(connection, re: [], failure, target: request.target?.name ?? [], source: request.target?.name ?? Self.kernelName)
      }
    case .persona(let tenure, let number): tenure.generation.complete(number, failure)
    case .nobody:
      log.warning("a gram failed and nobody waits for it", ["persona": request.target?.text ?? "KERNEL", "code": failure.code.rawValue, "error": failure.message])
    }
  }

  /// Ends it because nobody waits any more; what runs on its behalf is cancelled too.
  func cancel(_ token: UInt64, _ failure: Failure) {
    guard let request = requests[token] else { return }
    _ = request.answerer?.generation.close(token: token)  // a reply that still comes finds it ended
    let children = request.children
    end(token, failure)
    for child in children { child.tenure.cancel(request: child.request) }
  }

  /// A client takes back its own request. False: there is none.
  func cancel(id: [UInt8], of connection: Connection) -> Bool {
    guard let token = connection.requests[id] else { return false }
    cancel(token, Failure(.cancelled, "cancelled by the asker"))
    return true
  }

  // MARK: Streams

  /// A piece of text ahead of the reply. While the asker does not read, pieces are merged.
  func stream(_ token: UInt64, _ text: [UInt8]) {
    guard let request = requests[token], request.wantsStream else { return }
    switch request.asker {
    case .connection(let connection, let id):
      request.heldText.append(contentsOf: text)
      sendHeld(request, connection, id, final: false)
    case .persona(let tenure, let number): tenure.generation.part(number, text)
    case .name, .nobody: break
    }
  }

  private func sendHeld(_ request: Request, _ connection: Connection, _ id: [UInt8], final: Bool) {
    if request.heldText.isEmpty { return }
    if !final, connection.waitingBytes > limits.queueBytes / 4 { return }
    // A piece may end within a character: the rest of it waits for the next one.
    let whole = final ? request.heldText.count : wholeCharacters(request.heldText)
    if whole == 0 { return }
    var payload: [UInt8] = []
    payload.append(#"{"text":"#)
    payload.appendJSON(String(decoding: request.heldText[..<whole], as: UTF8.self))
    payload.append(0x7d)
    request.heldText.removeFirst(whole)
    reply(to: connection, id: id, from: request.target?.name ?? Self.kernelName, method: "delta", payload: payload)
  }

  private func wholeCharacters(_ text: [UInt8]) -> Int {
    var start = text.count - 1
    while start > 0, text.count - start < 4, text[start] & 0xc0 == 0x80 { start -= 1 }
    let lead = text[start]
    let length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    return start + length > text.count && lead >= 0xc0 ? start : text.count
  }

  // MARK: Telling

  func reply(to connection: Connection, id: [UInt8], from source: [UInt8], method: StaticString, payload: [UInt8], trace: [UInt8] = []) {
    var gram = GramLine(target: connection.participant?.name ?? [], method: [UInt8](UnsafeBufferPointer(start: method.utf8Start, count: method.utf8CodeUnitCount)))
    gram.source = source
    gram.re = id
    gram.payload = payload
    gram.trace = trace
    let line = gram.bytes()
    if !taps.isEmpty { tap(line, except: connection) }
    connection.send(line, .answer)
  }

  private func refuse(
    _ connection: Connection, re: [UInt8], _ failure: Failure, target: [UInt8] = [], source: [UInt8] = Bus.kernelName, trace: [UInt8] = []
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

  private func undeliverable(_ sender: Connection, _ target: Participant) {
    counters.undelivered &+= 1
    refuse(sender, re: [], full(target), target: target.name)
  }

  private func full(_ target: Participant) -> Failure {
    Failure(.queueFull, "\(target.text) is not reading: \(limits.queueBytes) bytes wait for it, and this gram was left out; send it again later")
  }

  private func unknown(_ name: [UInt8]) -> Failure {
    let text = String(decoding: name, as: UTF8.self)
    let near = Suggestion.nearest(to: text, among: names.all.map(\.text).sorted())
    return Failure(.unknownTarget, "nobody is called \(text) here\(near.map { "; did you mean \($0)?" } ?? "; `parlor personas` lists who is")")
  }

  /// To everybody who said hello.
  func announce(_ method: StaticString, _ payload: [UInt8]) {
    for connection in attached { reply(to: connection, id: [], from: Self.kernelName, method: method, payload: payload) }
  }

  // MARK: Greeting

  private func greet(_ connection: Connection, _ raw: UnsafeRawBufferPointer) {
    var name = Array(raw)
    while let last = name.last, last == 0x0d || last == 0x20 || last == 0x09 { name.removeLast() }
    while let first = name.first, first == 0x20 || first == 0x09 { name.removeFirst() }
    var hello = false
    if name.first == 0x7b {
      hello = true
      guard let greeting = Payload.decode(Payload.Hello.self, name), greeting.hello == 1 else {
        return turnAway(connection, Failure(.nameRefused, "the first line is neither a name nor {\"hello\":1,\"name\":…}; see docs/WIRE.md"))
      }
      name = greeting.name.map { Array($0.utf8) } ?? Array("client-\(connection.id)".utf8)
    }
    if let reason = refusal(of: name) { return turnAway(connection, Failure(.nameRefused, reason)) }
    let participant = names.make(name)
    participant.connections.append(connection)
    connection.participant = participant
    connection.greeting = hello ? .attached : .named
    log.debug("here", ["client": participant.text, "pid": connection.pid, "hello": hello])
    if hello { reply(to: connection, id: [], from: Self.kernelName, method: "welcome", payload: control.welcome(participant)) }
  }

  private func refusal(of name: [UInt8]) -> String? {
    let text = String(decoding: name, as: UTF8.self)
    if name.isEmpty { return "the first line is empty: begin with your name" }
    if name.count > 64 { return "a name has at most 64 bytes" }
    if Array(text.utf8) != name || name.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == 0x22 || $0 == 0x5c }) {
      return "a name is UTF-8 without control characters, quotes and backslashes"
    }
    if name == Self.kernelName || name == [0x2a] || name[0] == 0x23 || name[0] == 0x7b { return "\(text) is not free: KERNEL, * and names that begin with # or { mean something else" }
    if let slot = names.find(name)?.slot { return "\(slot.name) is a persona of this kernel; take another name" }
    return nil
  }

  private func turnAway(_ connection: Connection, _ failure: Failure) {
    refuse(connection, re: [], failure)
    connection.close()
  }

  // MARK: Names of personas

  /// The name's participant for a new persona, unless a client has it.
  func claim(name: String) throws(Failure) -> Participant {
    let bytes = Array(name.utf8)
    if let found = names.find(bytes), !found.connections.isEmpty {
      throw Failure(.nameRefused, "a connected client is called \(name) (pid \(found.connections[0].pid)); disconnect it, or rename the persona")
    }
    return names.make(bytes)
  }

  func release(_ participant: Participant) {
    participant.slot = nil
    names.release(participant)
  }

  // MARK: Topics

  /// Topics carry their '#'. Returns how many subscribers there are now.
  func subscribe(_ topic: [UInt8], _ connection: Connection) -> Int {
    if connection.topics.insert(topic).inserted { topics[topic, default: Topic()].connections.append(connection) }
    return topics[topic]?.count ?? 0
  }

  func unsubscribe(_ topic: [UInt8], _ connection: Connection) -> Int {
    if connection.topics.remove(topic) != nil { dropSubscriber(topic) { $0.connections.removeAll { $0 === connection } } }
    return topics[topic]?.count ?? 0
  }

  /// A persona's subscriptions are those of its live generation.
  func setTopics(of slot: PersonaSlot, _ wanted: Set<[UInt8]>) {
    for topic in slot.topics.subtracting(wanted) { dropSubscriber(topic) { $0.slots.removeAll { $0 === slot } } }
    for topic in wanted.subtracting(slot.topics) { topics[topic, default: Topic()].slots.append(slot) }
    slot.topics = wanted
  }

  private func dropSubscriber(_ topic: [UInt8], _ body: (inout Topic) -> Void) {
    guard topics[topic] != nil else { return }
    body(&topics[topic]!)
    if topics[topic]!.count == 0 { topics[topic] = nil }
  }

  var topicCounts: [(String, Int)] { topics.map { (String(decoding: $0.key.dropFirst(), as: UTF8.self), $0.value.count) }.sorted { $0.0 < $1.0 } }

  // MARK: Taps

  func setTap(_ connection: Connection, _ on: Bool) {
    if on == connection.taps { return }
    connection.taps = on
    if on { taps.append(connection) } else { taps.removeAll { $0 === connection } }
  }

  private func tap(_ line: [UInt8], except: Connection? = nil) {
    if taps.isEmpty { return }
    line.withUnsafeBytes { tap($0.dropLast(), except: except) }
  }

  private func tap(_ gram: Slice<UnsafeRawBufferPointer>, except: Connection?) {
    for connection in taps where connection !== except {
      var payload: [UInt8] = []
      payload.append(#"{"gram":"#)
      payload.append(contentsOf: gram)
      payload.append(0x7d)
      var copy = GramLine(target: connection.participant?.name ?? [], method: Array("tap".utf8))
      copy.source = Self.kernelName
      copy.payload = payload
      if !connection.send(copy.bytes(), .copy) { connection.missedTaps += 1 }
    }
  }

  func reportMissedTaps(_ connection: Connection) {
    let payload = Array("{\"missed\":\(connection.missedTaps)}".utf8)
    connection.missedTaps = 0
    var copy = GramLine(target: connection.participant?.name ?? [], method: Array("tap".utf8))
    copy.source = Self.kernelName
    copy.payload = payload
    connection.send(copy.bytes(), .copy)
  }
}
