import Glibc
import PersonaABI
import Protocol
import Synchronization
import System
import Wire

/// One instance of one version of a persona's library, with the lane on which it runs.
///
/// It is what the C side holds (`persona_host.kernel`), so it is never freed: a persona that calls
/// after its end finds a retired generation and gets PERSONA_E_RETIRED. What the event loop knows of
/// it is in `InstanceContext`.
final class ThreadInstance: @unchecked Sendable {
  enum Phase: Int { case candidate, live, draining, retired }

  let persona: String
  let number: Int
  let library: LoadedLibrary
  let lane: LaneBox
  let state: StateStore
  let inbox: LoopInbox
  let log: Log
  /// The longest payload that still makes a frame, in bytes.
  let payloadLimit: Int

  /// The steps go in one direction only; written by the event loop.
  private let phaseValue = Atomic<Int>(Phase.candidate.rawValue)
  var phase: Phase {
    get { Phase(rawValue: phaseValue.load(ordering: .acquiring))! }
    set { phaseValue.store(newValue.rawValue, ordering: .releasing) }
  }

  /// Requests that have not completed: what to call. An entry is taken out by whoever completes it.
  struct Pending: @unchecked Sendable {
    var part: persona_part?
    var done: persona_done
    var context: UnsafeMutableRawPointer?
  }
  private let pending = Mutex<[UInt64: Pending]>([:])
  /// Grams that were handed over and not yet answered.
  private let tokens = Mutex<Set<UInt64>>([])
  /// What a candidate has put into its state; nil: removed.
  private let overlay = Mutex<[String: [UInt8]?]>([:])
  private let configuration: Mutex<[UInt8]>

  // Lane only.
  private var instance: OpaquePointer?
  private var explanation = ""
  private(set) var host: UnsafeMutablePointer<persona_host>

  private static let lastRequest = Atomic<UInt64>(0)

  init(
    persona: String, number: Int, library: LoadedLibrary, configuration: [UInt8], state: StateStore, inbox: LoopInbox,
    payloadLimit: Int = .max, log: Log
  ) {
    self.persona = persona
    self.number = number
    self.library = library
    self.configuration = Mutex(configuration)
    self.state = state
    self.inbox = inbox
    self.payloadLimit = payloadLimit
    self.log = log
    host = HostTables.host()
    lane = LaneBox()
    host.pointee.kernel = Unmanaged.passRetained(self).toOpaque()
    lane.lane = Lane(name: "\(persona)-\(number)") { [self] mail in receive(mail) }
  }

  static func of(_ host: UnsafePointer<persona_host>) -> ThreadInstance {
    Unmanaged<ThreadInstance>.fromOpaque(host.pointee.kernel).takeUnretainedValue()
  }

  // MARK: The steps of a life. Lane only.

  func create() throws(Failure) {
    try withText(configuration.withLock { $0 }, "create") { text in
      var made: OpaquePointer?
      let status = library.entry.pointee.create(host, text, &made)
      if status >= 0, made == nil {
        explanation = "create returned no instance"
        return -1
      }
      instance = made
      return status
    }
  }

  func load(schema: UInt32, state: [UInt8]) throws(Failure) {
    guard let load = library.vtable.load else {
      throw Failure(.state, "\(persona) has a state of \(state.count) bytes, and this version has no load function to read it")
    }
    try withText(state, "load") { load(instance!, schema, $0) }
  }

  func start() throws(Failure) {
    guard let start = library.vtable.start else { return }
    try check(start(instance!), "start")
  }

  /// The state, or nil if this persona keeps none.
  func save(limit: Int = 64 << 20) throws(Failure) -> [UInt8]? {
    guard let save = library.vtable.save, library.image.about.state != nil else { return nil }
    let collector = Collector(limit: limit)
    let status = withExtendedLifetime(collector) {
      var sink = collector.sink
      return save(instance!, &sink)
    }
    if collector.overflow { throw Failure(.tooLong, "\(persona) wrote a state of more than \(limit) bytes") }
    try check(status, "save")
    return collector.bytes
  }

  func configChanged(_ json: [UInt8]) throws(Failure) {
    configuration.withLock { $0 = json }
    guard let changed = library.vtable.config_changed, instance != nil else { return }
    try withText(json, "config_changed") { changed(instance!, $0) }
  }

  func health() throws(Failure) {
    guard let health = library.vtable.health, instance != nil else { return }
    try check(health(instance!), "health")
  }

  /// stop, then every open request ends with PERSONA_E_RETIRED, then destroy; then the lane ends.
  func end() {
    if let instance {
      library.vtable.stop?(instance)
      phase = .retired
      let left = pending.withLock { pending in
        let left = pending.sorted { $0.key < $1.key }
        pending = [:]
        return left
      }
      for (request, call) in left { Self.call(call, request, Int32(PERSONA_E_RETIRED), Array("this generation has been replaced".utf8)) }
      library.vtable.destroy?(instance)
      self.instance = nil
    }
    phase = .retired
    lane.lane.close()
  }

  private func receive(_ mail: Mail) {
    // One whose asker has gone while it waited is not begun.
    guard let instance, let receive = library.vtable.receive, isOpen(token: mail.token) else { return }
    explanation = ""
    let status = mail.withGram { gram in
      withUnsafePointer(to: gram) { receive(instance, $0) }
    }
    if status == Int32(PERSONA_LATER) { return }
    guard close(token: mail.token) else { return }
    let token = mail.token
    if status >= 0 {
      inbox.post { $0.router.requests.finish(token, payload: []) }
    } else {
      let failure = failure(status, "receive")
      inbox.post { $0.router.requests.fail(token, failure) }
    }
  }

  private func withText(_ bytes: [UInt8], _ step: String, _ call: (persona_text) -> persona_status) throws(Failure) {
    explanation = ""
    let status = bytes.withUnsafeBytes { raw in
      call(persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count))
    }
    try check(status, step)
  }

  private func check(_ status: persona_status, _ step: String) throws(Failure) {
    if status < 0 { throw failure(status, step) }
  }

  private func failure(_ status: persona_status, _ step: String) -> Failure {
    defer { explanation = "" }
    return Failure(
      .init(status: status), explanation.isEmpty ? "\(persona) returned status \(status) from \(step) and did not explain it" : explanation)
  }

  // MARK: What the persona calls, and what answers it. Any thread unless it says so.

  /// Lane only.
  func explain(_ why: String) { explanation = why }

  func open(token: UInt64) { tokens.withLock { _ = $0.insert(token) } }

  /// True for the one who ends it.
  func close(token: UInt64) -> Bool { tokens.withLock { $0.remove(token) != nil } }

  func isOpen(token: UInt64) -> Bool { tokens.withLock { $0.contains(token) } }

  static func nextRequest() -> UInt64 { lastRequest.wrappingAdd(1, ordering: .relaxed).newValue }

  /// A number for a new request, unique in the process, and what to call when it ends.
  func begin(_ call: Pending) -> UInt64 {
    let request = Self.nextRequest()
    pending.withLock { $0[request] = call }
    return request
  }

  /// Ends a request, on the lane, if nobody has before. Any thread.
  func complete(_ request: UInt64, _ status: Int32, _ result: [UInt8]) {
    lane.lane.run { [self] in
      guard let call = pending.withLock({ $0.removeValue(forKey: request) }) else { return }
      Self.call(call, request, status, result)
    }
  }

  func complete(_ request: UInt64, _ failure: Failure) { complete(request, failure.code.status, Array(failure.message.utf8)) }

  /// A piece of a request's growing result. Any thread.
  func part(_ request: UInt64, _ text: [UInt8]) {
    lane.lane.run { [self] in
      guard let call = pending.withLock({ $0[request] }), let part = call.part else { return }
      text.withUnsafeBytes { raw in
        part(call.context, request, persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count))
      }
    }
  }

  private static func call(_ call: Pending, _ request: UInt64, _ status: Int32, _ result: [UInt8]) {
    result.withUnsafeBytes { raw in
      call.done(call.context, request, status, persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count))
    }
  }

  var currentConfiguration: [UInt8] { configuration.withLock { $0 } }

  func stateValue(_ key: String) -> [UInt8]? {
    if phase == .candidate, let held = overlay.withLock({ $0[key] }) { return held }
    return state.get(key)
  }

  func setState(_ key: String, _ value: [UInt8]?) -> Bool {
    if phase == .candidate {
      if let value, value.count > StateStore.limit { return false }
      overlay.withLock { $0[key] = .some(value) }
      return true
    }
    return state.set(key, value)
  }

  func stateKeys(prefix: String) -> [String] {
    var keys = Set(state.keys(prefix: prefix))
    if phase == .candidate {
      for (key, value) in overlay.withLock({ $0 }) where key.hasPrefix(prefix) {
        if value == nil { keys.remove(key) } else { keys.insert(key) }
      }
    }
    return keys.sorted()
  }

  /// The switch: what the candidate put becomes true. Event loop only.
  func commitState() {
    let held = overlay.withLock { overlay in
      let held = overlay
      overlay = [:]
      return held
    }
    for (key, value) in held where !state.set(key, value) {
      log.warning("a value that \(persona) put before its switch does not fit its state any more and is left out", ["key": key])
    }
  }
}

/// Lets the lane's closure hold the generation that holds the lane; set once, in init.
final class LaneBox: @unchecked Sendable {
  var lane: Lane!
}

/// Collects what a persona writes into a sink.
private final class Collector {
  var bytes: [UInt8] = []
  var overflow = false
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Valid while the collector lives.
  var sink: persona_sink {
    persona_sink(context: Unmanaged.passUnretained(self).toOpaque()) { context, source, count in
      let collector = Unmanaged<Collector>.fromOpaque(context!).takeUnretainedValue()
      if collector.bytes.count + count > collector.limit {
        collector.overflow = true
        return Int32(PERSONA_E_TOO_LONG)
      }
      if count > 0 { collector.bytes.append(contentsOf: UnsafeRawBufferPointer(start: source, count: count)) }
      return 0
    }
  }
}

extension Mail {
  /// Lends the gram as persona.h describes it.
  func withGram<R>(_ body: (persona_gram_v1) -> R) -> R {
    line.withUnsafeBytes { raw in
      source.withUnsafeBytes { source in
        trace.withUnsafeBytes { trace in
          topic.withUnsafeBytes { topic in
            let plainMethod = envelope.method.escaped ? unescaped(UnsafeRawBufferPointer(rebasing: raw[envelope.method.range])) : []
            return plainMethod.withUnsafeBytes { plain in
              func text(_ field: Envelope.Field) -> persona_text {
                field.isPresent ? Self.text(UnsafeRawBufferPointer(rebasing: raw[field.range])) : persona_text()
              }
              var gram = persona_gram_v1()
              gram.token = token
              gram.source = Self.text(source)
              gram.method = envelope.method.escaped ? Self.text(plain) : text(envelope.method)
              gram.payload = envelope.payload.isPresent ? text(envelope.payload) : HostTables.null
              gram.topic = Self.text(topic)
              gram.trace = Self.text(trace)
              let now = MachineClock.now()
              gram.deadline_ms = deadline == 0 ? 0 : max(1, (deadline - min(deadline, now)) / 1_000_000)
              gram.flags =
                (wantsReply ? UInt32(PERSONA_GRAM_WANTS_REPLY) : 0) | (wantsStream ? UInt32(PERSONA_GRAM_WANTS_STREAM) : 0)
                | (self.topic.isEmpty ? 0 : UInt32(PERSONA_GRAM_PUBLISHED))
              gram.hops = UInt32(hops)
              return body(gram)
            }
          }
        }
      }
    }
  }

  private static func text(_ raw: UnsafeRawBufferPointer) -> persona_text {
    persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count)
  }
}
