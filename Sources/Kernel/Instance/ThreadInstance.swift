import Glibc
import PersonaABI
import Protocol
import Synchronization
import System
import Wire

/// An instance in this process: the persona's C functions on a lane of their own.
///
/// It is what the C side holds (`persona_host.kernel`), so it is never freed: a persona that calls after its end finds a retired
/// instance and gets PERSONA_E_RETIRED. What the event loop knows of it is in `InstanceContext`.
final class ThreadInstance: Instance, @unchecked Sendable {
  /// The longest state that `save` may write, in bytes.
  static let stateLimit = 64 << 20

  let persona: String
  let number: Int
  let inbox: LoopInbox
  let log: Log
  /// The longest payload that still makes a frame, in bytes.
  let payloadLimit: Int
  /// What may wait for the event loop.
  let quota = ActionQuota()
  let requests = PendingRequests()
  private let library: LoadedLibrary
  private let tokens = OpenTokens()
  private let values: StateStore
  private let json: Mutex<[UInt8]>
  /// Written by the event loop and at the end of the lane.
  private let phaseValue = Atomic<Int>(InstancePhase.candidate.rawValue)
  /// Set once, in init.
  private var lane: Lane!
  /// Set once, in init, and then the C side's.
  private let host: UnsafeMutablePointer<persona_host>

  // Lane only.
  /// What the library calls `self`.
  private var object: OpaquePointer?
  private var explanation = ""
  private var lastLook: UInt64 = 0

  init(
    persona: String, number: Int, library: LoadedLibrary, configuration: [UInt8], state: StateStore, inbox: LoopInbox,
    payloadLimit: Int = .max, log: Log
  ) throws(Failure) {
    self.persona = persona
    self.number = number
    self.library = library
    self.inbox = inbox
    self.payloadLimit = payloadLimit
    self.log = log
    json = Mutex(configuration)
    values = state
    state.open(number)
    host = HostTables.host()
    do throws(Errno) {
      lane = try Lane(name: "\(persona)-\(number)", author: "\(persona) generation \(number)") { [self] mail in receive(mail) }
    } catch {
      throw Failure(.failed, "no thread can be started for \(persona): \(error); end other programs, or raise ulimit -u")
    }
    host.pointee.kernel = Unmanaged.passRetained(self).toOpaque()
    SealedMemory.seal(host)
  }

  static func of(_ host: UnsafePointer<persona_host>) -> ThreadInstance {
    Unmanaged<ThreadInstance>.fromOpaque(host.pointee.kernel).takeUnretainedValue()
  }

  var image: LibraryImage { library.image }
  var phase: InstancePhase { InstancePhase(rawValue: phaseValue.load(ordering: .acquiring)) ?? .retired }
  /// What it was made with, or told last.
  var configuration: [UInt8] { json.withLock { $0 } }

  func enter(_ phase: InstancePhase) {
    phaseValue.store(phase.rawValue, ordering: .releasing)
    switch phase {
    case .candidate, .draining: break
    case .live:
      for key in values.commit(number) {
        log.warning("a value that \(persona) put before its switch does not fit its state any more and is left out", ["key": key])
      }
    case .retired: values.close(number)
    }
  }

  // MARK: Steps

  /// Runs a step on the lane.
  private func step<Value>(_ then: @escaping StepEnd<Value>, _ body: @escaping @Sendable () throws(Failure) -> Value) {
    lane.run { [self] in
      let result: Result<Value, Failure>
      do throws(Failure) { result = .success(try body()) } catch { result = .failure(error) }
      lookAfterProcess("a step of its life")
      then(result)
    }
  }

  func create(then: @escaping StepEnd<Void>) {
    step(then) { [self] () throws(Failure) in
      var made: OpaquePointer?
      try call("create") { configuration.lend { library.entry.pointee.create(host, $0, &made) } }
      guard let made else { throw Failure(.failed, "create of \(persona) returned no instance") }
      object = made
    }
  }

  func load(_ state: SavedState, then: @escaping StepEnd<Void>) {
    step(then) { [self] () throws(Failure) in
      guard let load = library.vtable.load else {
        throw Failure(
          .state, "\(persona) has a state of \(state.bytes.count) bytes, and this version has no load function to read it")
      }
      let instance = try created()
      try call("load") { state.bytes.lend { load(instance, state.schema, $0) } }
    }
  }

  func start(then: @escaping StepEnd<Void>) {
    step(then) { [self] () throws(Failure) in
      guard let start = library.vtable.start else { return }
      let instance = try created()
      try call("start") { start(instance) }
    }
  }

  func save(then: @escaping StepEnd<[UInt8]?>) {
    step(then) { [self] () throws(Failure) in
      guard let save = library.vtable.save, library.image.about.state != nil else { return nil }
      let instance = try created()
      let collector = OutputCollector(limit: Self.stateLimit)
      let status = collector.collect { save(instance, $0) }
      if collector.hasOverflowed { throw Failure(.tooLong, "\(persona) wrote a state of more than \(Self.stateLimit) bytes") }
      if status < 0 { throw failure(status, "save") }
      return collector.bytes
    }
  }

  func health(then: @escaping StepEnd<Void>) {
    step(then) { [self] () throws(Failure) in
      guard let health = library.vtable.health else { return }
      let instance = try created()
      try call("health") { health(instance) }
    }
  }

  func configure(_ new: [UInt8], then: @escaping StepEnd<Void>) {
    step(then) { [self] () throws(Failure) in
      json.withLock { $0 = new }
      guard let changed = library.vtable.config_changed, let object else { return }
      try call("config_changed") { new.lend { changed(object, $0) } }
    }
  }

  func end(then: @escaping @Sendable () -> Void) {
    lane.run { [self] in
      if let object {
        library.vtable.stop?(object)
        enter(.retired)
        for (request, call) in requests.endAll() {
          Self.tell(call, request, Int32(PERSONA_E_RETIRED), Array("this generation has been replaced".utf8))
        }
        library.vtable.destroy?(object)
        self.object = nil
      }
      enter(.retired)
      lane.close()
      then()
    }
  }

  func barrier(then: @escaping @Sendable () -> Void) { lane.run(then) }

  /// Puts back what its code has changed of the process. Lane only.
  private func lookAfterProcess(_ call: String) {
    lastLook = MachineClock.now()
    if let change = ProcessGuard.putBack(after: call, of: persona) { log.error(change) }
  }

  private func created() throws(Failure) -> OpaquePointer {
    guard let object else { throw Failure(.retired, "this generation of \(persona) has ended") }
    return object
  }

  private func call(_ step: String, _ body: () -> persona_status) throws(Failure) {
    explanation = ""
    let status = body()
    if status < 0 { throw failure(status, step) }
  }

  private func failure(_ status: persona_status, _ step: String) -> Failure {
    defer { explanation = "" }
    return Failure(
      .init(status: status), explanation.isEmpty ? "\(persona) returned status \(status) from \(step) and did not explain it" : explanation)
  }

  /// Lane only.
  func explain(_ why: String) { explanation = why }

  // MARK: Mail

  func open(token: UInt64) { tokens.open(token) }
  func close(token: UInt64) -> Bool { tokens.close(token) }
  func isOpen(token: UInt64) -> Bool { tokens.contains(token) }

  func withdraw(token: UInt64) {
    guard tokens.withdraw(token) else { return }
    // receive() has returned when this runs; unless it left the gram for later, it has taken the token out itself.
    lane.run { [self] in
      guard tokens.takeWithdrawn(token), let object else { return }
      library.vtable.cancelled?(object, token)
    }
  }

  func offer(_ mail: Mail, quota: Int) -> Bool { lane.offer(mail, quota: quota) }
  func dropMail(of sender: UInt64) -> [Mail] { lane.dropMail(of: sender) }
  func pause() -> [Mail] { lane.pause() }
  func resume(with first: [Mail]) { lane.resume(with: first) }
  func load(now: UInt64) -> (waiting: Int, busy: UInt64) { lane.load(now: now) }
  var cpuTime: UInt64 { lane.cpuTime }

  /// Lane only.
  private func receive(_ mail: Mail) {
    // One whose asker has gone while it waited is not begun.
    guard let object, let receive = library.vtable.receive, tokens.begin(mail.token) else { return }
    explanation = ""
    let status = mail.lend { receive(object, $0) }
    // Once a second is enough to tell who it was, most likely, and too seldom to be felt.
    if MachineClock.now() &- lastLook > 1_000_000_000 { lookAfterProcess("receive()") }
    if status == Int32(PERSONA_LATER) { return }
    let token = mail.token
    guard close(token: token) else {
      _ = tokens.takeWithdrawn(token)
      return
    }
    if status >= 0 {
      inbox.post { $0.router.requests.finish(token, payload: []) }
    } else {
      let failure = failure(status, "receive")
      inbox.post { $0.router.requests.fail(token, failure) }
    }
  }

  // MARK: Requests, posted jobs and values. Any thread.

  func complete(_ request: UInt64, _ result: Result<[UInt8], Failure>) {
    lane.run { [self] in
      guard let call = requests.end(request) else { return }
      switch result {
      case .success(let json): Self.tell(call, request, 0, json)
      case .failure(let failure): Self.tell(call, request, failure.code.status, Array(failure.message.utf8))
      }
    }
  }

  func part(_ request: UInt64, _ text: [UInt8]) {
    guard requests.hold(text, for: request) else { return }
    lane.run { [self] in
      guard let (call, text) = requests.takeHeld(for: request), let part = call.part else { return }
      text.lend { part(call.context, request, $0) }
    }
  }

  private static func tell(_ call: PendingRequests.Call, _ request: UInt64, _ status: Int32, _ result: [UInt8]) {
    result.lend { call.done(call.context, request, status, $0) }
  }

  func post(_ job: @escaping Lane.Job) -> Result<Void, Lane.Refusal> { lane.post(job) }

  func value(_ key: String) -> [UInt8]? { values.get(key, by: number) }
  func setValue(_ key: String, _ value: [UInt8]?) -> StateStore.Change { values.set(key, value, by: number) }
  func keys(prefix: String) -> [String] { values.keys(prefix: prefix, by: number) }
}
