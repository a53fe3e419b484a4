import Glibc
import Protocol
import System
import Wire

/// Where each gram goes. Event loop only.
///
/// The common gram (one connection to another, its source true, no `id`) takes the short way in `line(from:)`: scanned once, looked up
/// once, noted for the receiver's next `sendmsg`, never copied, and no reference is counted on it. Everything else becomes a `Gram` and
/// takes `deliver`.
final class Router {
  static let readBufferBytes = 256 << 10
  static let kernelName = Array("KERNEL".utf8)

  let loop: EventLoop
  let log: Log
  var limits: Limits {
    didSet {
      requests.limits = limits
      replies.frameBytes = limits.frameBytes
      house.limit = limits.totalBytes
    }
  }
  /// What all clients together have here.
  let house: HouseBytes
  /// The same for one connection's way out.
  var quota: Quota { Quota(queueBytes: limits.queueBytes, frameBytes: limits.frameBytes) }
  /// Set once by BatKernel, which owns both.
  unowned var control: Control!

  /// Shared by all connections: one is read at a time, and its lines have left before the next.
  let readBuffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Router.readBufferBytes)
  /// Connections with pieces of the read buffer to send.
  var dirty: ContiguousArray<Connection> = []

  let names = NameRegistry()
  let topics = TopicRegistry()
  let taps = Taps()
  let replies: Replies
  let requests: RequestTable
  private(set) lazy var connections = ConnectionRegistry(router: self, log: log)
  /// Connections have closed, and what follows from it is still to be done.
  var hasClosed = false
  /// Kept here for the short way.
  private var isTapped = false

  private var messages: UInt64 = 0
  private var refusals: UInt64 = 0
  private var undelivered: UInt64 = 0

  init(loop: EventLoop, limits: Limits, log: Log) {
    self.loop = loop
    self.limits = limits
    self.log = log
    house = HouseBytes(limit: limits.totalBytes)
    replies = Replies(taps: taps, frameBytes: limits.frameBytes)
    requests = RequestTable(loop: loop, limits: limits, house: house)
    taps.onChange = { [unowned self] in isTapped = $0 }
  }

  deinit { readBuffer.deallocate() }

  /// What `stats` tells.
  var counters: (messages: UInt64, errors: UInt64, undelivered: UInt64) { (messages, refusals &+ requests.failures, undelivered) }

  // MARK: Lines of clients

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
        messages &+= 1
        if !receiver._withUnsafeGuaranteedRef({ $0.pass(line, count) }) { undeliverable(sender, target.takeUnretainedValue()) }
        return
      }
    }
    slowLine(from: sender, line, count, code, envelope)
  }

  @inline(never)
  private func slowLine(
    from sender: Connection, _ line: UnsafeMutablePointer<UInt8>, _ count: Int, _ code: Int, _ envelope: Envelope
  ) {
    let raw = UnsafeRawBufferPointer(start: line, count: count)
    guard let participant = sender.participant else {
      return connections.greet(sender, UnsafeRawBufferPointer(rebasing: raw.dropLast()))
    }
    if code != 0 {
      if raw.dropLast().allSatisfy({ $0 == 0x20 || $0 == 0x0d || $0 == 0x09 }) { return }  // a blank line says nothing
      return refuse(sender, Failure(.badJSON, Envelope.error(code).message))
    }
    let token = requests.nextToken()
    if envelope.source.isPresent, !envelope.source.escaped, raw[envelope.source.range].elementsEqual(participant.name) {
      deliver(Gram(token: token, from: sender, participant, .borrowed(line, count), envelope))
      return
    }
    // The kernel says who speaks.
    let stamped = Gram.stamped(raw, envelope, source: participant.name)
    var envelope = Envelope()
    let code = stamped.withUnsafeBytes { Envelope.scan(UnsafeRawBufferPointer(rebasing: $0.dropLast()), into: &envelope) }
    if code != 0 { return refuse(sender, Failure(.badJSON, Envelope.error(code).message)) }
    deliver(Gram(token: token, from: sender, participant, .owned(stamped), envelope))
  }

  func frameTooLong(_ sender: Connection) {
    refuse(
      sender,
      Failure(.tooLong, "a line of more than \(limits.frameBytes) bytes was left out; send less, or raise bus.frame_bytes in personas.toml")
    )
    if sender.participant == nil { sender.close() }
  }

  func houseFull(_ sender: Connection, _ count: Int) {
    refuse(sender, Failure(.queueFull, "a line of more than \(count) bytes was left out: \(house.reason)"))
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

  /// Called between two events: what was noted leaves, and what follows from the end of connections is done.
  func settle() {
    while hasClosed || !dirty.isEmpty {
      if hasClosed {
        hasClosed = false
        connections.workOff()
      }
      flush()
    }
  }

  // MARK: Delivering

  /// Gives a gram to whomever it is for. False: it has reached nobody, and its asker has been told why.
  @discardableResult
  func deliver(_ gram: Gram) -> Bool {
    messages &+= 1
    taps.show(gram)
    do throws(Failure) {
      return try route(gram)
    } catch {
      refused(gram, error)
      return false
    }
  }

  private func route(_ gram: Gram) throws(Failure) -> Bool {
    if gram.target.isEmpty { throw Failure(.invalid, "the gram has no \"target\"; name one, or \"*\", or \"KERNEL\"") }
    if let (key, count) = gram.longName {
      throw Failure(.invalid, "\"\(key)\" of the gram has \(count) bytes, and may have \(NameLimits.word)")
    }
    if gram.hops > limits.hops {
      throw Failure(
        .hopLimit,
        "\(Self.text(gram.source)) → \(Self.text(gram.target)): the gram went through \(gram.hops) hands; the limit is \(limits.hops)")
    }
    if gram.envelope.re.isPresent { return answer(gram) }
    let id = gram.asker.id
    if let owner = gram.asker.owner, requests.token(askedBy: owner, id: id) != nil {
      refused(gram, Failure(.invalid, "a request with id \(Self.text(id)) is still open; use another id"), isNamed: false)
      return false
    }
    if gram.recipient == nil {
      if gram.target == Self.kernelName { return try askKernel(gram) }
      if gram.isPublished { return publish(gram) }
    }
    guard let target = gram.recipient ?? names.find(gram.target), !target.isEmpty else { throw unknown(gram.target) }
    return try target.isPersona || !id.isEmpty ? request(gram, of: target) : pass(gram, to: target)
  }

  /// A gram whose end is waited for: by its asker, or because a persona works on it.
  private func request(_ gram: Gram, of target: Participant) throws(Failure) -> Bool {
    let gram = try requests.open(gram, target: target)
    var failure: Failure?
    var isTaken = false
    for endpoint in target.endpoints { if let reason = endpoint.take(gram) { failure = reason } else { isTaken = true } }
    if !isTaken { requests.fail(gram.token, failure ?? unknown(gram.target), source: target.isPersona ? nil : Self.kernelName) }
    return isTaken
  }

  /// To each of a client's connections; nobody waits for anything.
  private func pass(_ gram: Gram, to target: Participant) -> Bool {
    var isTaken = false
    for endpoint in target.endpoints {
      if let failure = endpoint.take(gram) { refused(gram, failure, isLost: true) } else { isTaken = true }
    }
    return isTaken
  }

  /// To everybody but the sender, or to a topic's subscribers.
  private func publish(_ gram: Gram) -> Bool {
    let receivers = gram.target == [0x2a] ? names.all.flatMap(\.endpoints) : topics.subscribers(of: gram.target)
    var gram = gram
    if receivers.count > 2, gram.count >= SharedLine.shortest { gram.line = .shared(SharedLine(gram.line.bytes, house)) }
    var delivered = 0
    for receiver in receivers where receiver !== gram.sender {
      let isTaken = receiver.worksOnGrams ? assign(gram, to: receiver) : receiver.take(gram) == nil
      if isTaken { delivered += 1 } else { undelivered &+= 1 }
    }
    if delivered == 0, gram.asker.id.isEmpty { undelivered &+= 1 }
    gram.asker.published(gram, to: delivered)
    return delivered > 0
  }

  /// A copy of a published gram becomes a persona's work, and nobody waits for its end.
  private func assign(_ gram: Gram, to persona: any Endpoint) -> Bool {
    var copy = gram
    copy.token = requests.nextToken()
    copy.asker = NoAsker(log: log)
    do throws(Failure) {
      copy = try requests.open(copy, target: persona.answersTo)
    } catch {
      log.warning("a published gram did not reach a persona", ["persona": persona.answersTo?.text ?? "", "error": error.message])
      return false
    }
    guard let failure = persona.take(copy) else { return true }
    requests.fail(copy.token, failure)
    return false
  }

  private func askKernel(_ gram: Gram) throws(Failure) -> Bool {
    let token = try requests.open(gram, target: nil).token
    let method = Self.text(gram.method)
    control.handle(method, gram.payload, from: gram.sender as? Connection, token: token) { [weak self] result in
      switch result {
      case .success(let payload): self?.requests.finish(token, payload: payload)
      case .failure(let failure): self?.requests.fail(token, failure)
      }
    }
    return true
  }

  /// A client's gram that answers: it goes to the one who asked, if that one still waits.
  private func answer(_ gram: Gram) -> Bool {
    let isPiece = gram.method.elementsEqual("delta".utf8)
    guard let sender = gram.sender?.answersTo, let asker = names.find(gram.target),
      let request = requests.request(answeredBy: sender, asker: asker, id: gram.re, isPiece: isPiece)
    else {
      let failure = Failure(.notFound, "nobody waits for an answer to \(Self.text(gram.re)): it has ended, or was never asked")
      refused(gram, failure, isNamed: false)
      return false
    }
    requests.relay(gram, for: request, isPiece: isPiece)
    return true
  }

  // MARK: What personas send and ask

  /// A gram from a persona for which no answer is wanted.
  func send(from context: InstanceContext, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    let line = personaLine(from: context, requests.request(cause), target: target, method: method, payload: payload)
    deliver(
      Gram(
        token: requests.nextToken(), line, asker: NoAsker(log: log), sender: context.slot, senderID: context.slot.senderID))
  }

  /// A persona's request; it ends by `context.complete`. `conversation`: the one with the model that waits for its end, if the model asks.
  /// `speaker`: under this name the asker of the cause is shown what is streamed.
  func ask(
    from context: InstanceContext, request number: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8],
    milliseconds: UInt64, stream: Bool, conversation: String? = nil, speaker: String? = nil
  ) {
    let origin = requests.request(cause)
    var failure = cause == 0 ? nil : requests.begin(number, of: context, for: cause)
    if target.first == 0x23 || target == [0x2a] {
      failure = Failure(.invalid, "\(Self.text(target)) cannot be asked: nobody would know whose answer counts; send to it")
    }
    if let failure {
      refusals &+= 1
      return context.complete(number, .failure(failure))
    }
    let token = requests.nextToken()
    var line = personaLine(from: context, origin, target: target, method: method, payload: payload)
    line.id = InstanceAsker.id(token)
    let through = speaker.flatMap { speaker in
      origin.flatMap { $0.wantsStream ? InstanceAsker.Through(token: cause, speaker: speaker) : nil }
    }
    line.stream = stream || through != nil
    let asker = InstanceAsker(context: context, request: number, isInteractive: origin?.isInteractive ?? false, through: through)
    var gram = Gram(token: token, line, asker: asker, sender: context.slot, senderID: context.slot.senderID)
    gram.milliseconds = Self.allowed(Int(clamping: milliseconds), until: origin?.deadline)
    gram.conversations = (origin?.conversations ?? []).union(conversation.map { [$0] } ?? [])
    deliver(gram)
  }

  private func personaLine(
    from context: InstanceContext, _ origin: OpenRequest?, target: [UInt8], method: [UInt8], payload: [UInt8]
  ) -> GramLine {
    var gram = GramLine(target: target, method: method)
    gram.source = context.slot.participant.name
    gram.payload = payload
    gram.hops = min(origin?.hops ?? 0, 255) + 1  // number: clamped
    gram.trace = origin?.trace ?? []
    return gram
  }

  /// Nothing may be waited for longer than what it is asked for.
  private static func allowed(_ milliseconds: Int, until deadline: UInt64?) -> Int {
    guard let deadline else { return milliseconds }
    let now = MachineClock.now()
    let left = max(1, Int((deadline - min(deadline, now)) / 1_000_000))
    return milliseconds == 0 ? left : min(milliseconds, left)
  }

  // MARK: Personas' places

  /// The name's participant for a new persona, unless a client has it.
  func claim(name: String) throws(Failure) -> Participant {
    let participant = names.make(Array(name.utf8))
    if let client = participant.endpoints.first as? Connection {
      throw Failure(.nameRefused, "a connected client is called \(name) (pid \(client.pid)); disconnect it, or rename the persona")
    }
    return participant
  }

  func release(_ participant: Participant) {
    participant.removeAll()
    names.release(participant)
  }

  /// A persona's subscriptions are those of its live instance.
  func setTopics(of slot: PersonaSlot, _ wanted: Set<[UInt8]>) { topics.set(wanted, of: slot) }

  /// The instance that has the gram now.
  func handed(_ token: UInt64, to context: InstanceContext) { requests.handed(token, to: context) }

  /// Mail that was taken back before it was begun, and cannot be given to anybody.
  func bounce(_ mail: [Mail], _ failure: Failure) { for item in mail { requests.fail(item.token, failure) } }

  // MARK: Telling

  /// To everybody who said hello.
  func announce(_ method: String, _ payload: [UInt8]) {
    for connection in connections.attached { replies.send(method, payload, to: connection) }
  }

  /// An error for a client, about none of its requests.
  func refuse(_ connection: Connection, _ failure: Failure, target: [UInt8] = []) {
    refusals &+= 1
    replies.error(failure, to: connection, re: [], target: target)
  }

  private func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool = true, isLost: Bool = false) {
    refusals &+= 1
    if isLost { undelivered &+= 1 }
    gram.asker.refused(gram, failure, isNamed: isNamed)
  }

  private func undeliverable(_ sender: Connection, _ target: Participant) {
    undelivered &+= 1
    refuse(sender, queueFull(target), target: target.name)
  }

  func queueFull(_ target: Participant?) -> Failure {
    let name = target?.text ?? "it"
    return Failure(
      .queueFull,
      "\(name) is not reading: what waits for it would be more than \(limits.queueBytes) bytes, or for all more than \(limits.totalBytes), "
        + "and this gram was left out; send it again later")
  }

  private func unknown(_ name: [UInt8]) -> Failure {
    let text = Self.text(name)
    // Each known name is compared, so there must not be thousands of them.
    let isWorthIt = name.count <= Name.longest && names.count <= 256
    let near = isWorthIt ? Suggestion.nearest(to: text, among: names.all.filter { !$0.isEmpty }.map(\.text).sorted()) : nil
    return Failure(
      .unknownTarget, "nobody is called \(text) here\(near.map { "; did you mean \($0)?" } ?? "; `parlor personas` lists who is")")
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
