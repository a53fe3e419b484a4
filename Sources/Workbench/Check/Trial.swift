import Kernel
import PersonaABI
import Synchronization
import System
import Wire

/// One instance on a lane of its own, and the calls of its life, each with a time limit. For one thread.
final class Trial {
  /// The result of a call of the persona's code.
  struct Answer: Sendable {
    var status: persona_status
    /// The text that the persona passed to explain() during the call.
    var why: String
    var isRefusal: Bool { status < 0 }
  }

  /// A gram that is still open after so much silence is taken to stay open for ever.
  private let patience: Duration
  private let callMilliseconds: Int
  let host: CheckHost
  let log: CheckLog
  private let entry: UnsafePointer<persona_entry>
  private let vtable: persona_vtable
  private let config: [UInt8]
  private var instance: OpaquePointer?

  init(
    _ context: CheckContext, answers: CheckHost.Answers = .promptly, shape: HostShape = .plain, absent: Set<String> = [],
    entry: UnsafePointer<persona_entry>? = nil, vtable: persona_vtable? = nil
  ) {
    self.entry = entry ?? context.library.entry
    self.vtable = vtable ?? context.library.vtable
    log = context.log
    callMilliseconds = context.callMilliseconds
    patience = .milliseconds(callMilliseconds * 2 / 5)
    config = context.config
    host = CheckHost(
      name: context.about.name, shape: shape, absent: absent, config: context.config, random: context.random("host"), log: context.log)
    self.answers = answers
  }

  /// How its requests end from now on.
  var answers: CheckHost.Answers {
    get { host.record.withLock { $0.answers } }
    set { host.record.withLock { $0.answers = newValue } }
  }

  private struct Unchecked<T>: @unchecked Sendable { let value: T }

  /// Runs something on the lane and waits for it.
  private func onLane<R: Sendable>(_ what: String, times: Int = 1, _ body: @escaping () -> R) throws(Halt) -> R {
    let work = Unchecked(value: body)
    let result = Monitor<R?>(nil)
    host.lane.run {
      let value = work.value()
      result.withLock { $0 = value }
    }
    guard let value = result.wait(milliseconds: callMilliseconds * times, until: { $0 }) else {
      throw Halt(.failure, "\(what) has not returned after \(callMilliseconds * times) ms: the kernel gives a generation up that does that")
    }
    return value
  }

  /// One call of the persona's code.
  private func call(_ what: String, _ body: @escaping () -> persona_status) throws(Halt) -> Answer {
    let (host, log) = (host, log)
    let answer = try onLane(what) {
      _ = host.takeExplanation()
      log.begins(what)
      let status = body()
      log.returned()
      return Answer(status: status, why: host.takeExplanation())
    }
    return answer
  }

  /// Warns of a refusal without an explanation. (For grams, the tests grams.unknown and grams.methods do that.)
  private func explained(_ answer: Answer, _ step: String) -> Answer {
    if answer.isRefusal, answer.why.isEmpty {
      log.warn(
        "returns \(StatusText.name(answer.status)) from \(step) and does not explain it: people read a bare number; call host->explain() first"
      )
    }
    return answer
  }

  private func withText(_ what: String, _ bytes: [UInt8], _ body: @escaping (persona_text) -> persona_status) throws(Halt) -> Answer {
    let guarded = host.tables.isGuarded
    return try call(what) { lend(bytes, guarded: guarded, body) }
  }

  // MARK: The steps of a life

  func create() throws(Halt) -> Answer {
    let made = Unchecked(value: UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: 1))
    made.value.initialize(to: nil)
    let (entry, host) = (Unchecked(value: entry), host.host)
    let pointer = Unchecked(value: host)
    let answer = explained(try withText("create()", config) { entry.value.pointee.create(pointer.value, $0, made.value) }, "create()")
    instance = made.value.pointee
    made.value.deallocate()
    if !answer.isRefusal, instance == nil { throw Halt(.failure, "create() returns \(answer.status) and makes no instance") }
    if answer.isRefusal, instance != nil {
      log.warn("create() refuses and leaves an instance behind, which nobody will destroy")
      instance = nil
    }
    return answer
  }

  func start() throws(Halt) -> Answer {
    guard let start = vtable.start, let instance else { return Answer(status: 0, why: "") }
    return explained(try call("start()") { start(instance) }, "start()")
  }

  /// Calls create() and start(), neither of which may refuse.
  func begin() throws(Halt) {
    for (step, answer) in [("create()", try create()), ("start()", try start())] where answer.isRefusal {
      throw Halt(.failure, "\(step) refuses: \(answer.words)")
    }
  }

  /// Ends the instance as the kernel does: stop(), the end of all requests and destroy() in one job on the lane, then the lane's last jobs.
  func end() throws(Halt) {
    guard let instance else { return host.lane.close() }
    self.instance = nil
    let (host, log, vtable) = (host, log, vtable)
    let finished = Monitor(false)
    try onLane("stop() or destroy()", times: 2) {
      if let stop = vtable.stop {
        log.begins("stop()")
        stop(instance)
        log.returned()
      }
      host.retire()
      log.begins("destroy()")
      vtable.destroy?(instance)
      log.returned()
      host.destroyed()
      host.lane.run { finished.withLock { $0 = true } }
      host.lane.close()
    }
    guard finished.wait(milliseconds: callMilliseconds, until: { $0 ? true : nil }) != nil else {
      throw Halt(.failure, "a job that was posted before destroy() has not returned after \(callMilliseconds) ms")
    }
  }

  func health() throws(Halt) -> Answer {
    guard let health = vtable.health, let instance else { return Answer(status: 0, why: "") }
    return explained(try call("health()") { health(instance) }, "health()")
  }

  func configChanged(_ json: [UInt8]) throws(Halt) -> Answer {
    guard let changed = vtable.config_changed, let instance else { return Answer(status: 0, why: "") }
    host.record.withLock { $0.config = json }
    return explained(try withText("config_changed() to \(CheckText.short(json))", json) { changed(instance, $0) }, "config_changed()")
  }

  func load(_ state: [UInt8], schema: UInt32) throws(Halt) -> Answer {
    guard let load = vtable.load, let instance else { return Answer(status: Int32(PERSONA_E_STATE), why: "there is no load function") }
    let answer = try withText("load() of \(state.count) bytes in schema \(schema): \(CheckText.short(state))", state) {
      load(instance, schema, $0)
    }
    return explained(answer, "load()")
  }

  /// Calls save() with a sink that is full after `limit` bytes.
  func save(limit: Int = 64 << 20) throws(Halt) -> (answer: Answer, sink: CheckSink) {
    let sink = CheckSink(limit: limit, lane: host.lane, log: log)
    guard let save = vtable.save, let instance else { return (Answer(status: 0, why: ""), sink) }
    let held = Unchecked(value: sink)
    let answer = try call("save()") {
      var raw = held.value.raw
      defer { held.value.close() }
      return save(instance, &raw)
    }
    // The error of a full sink explains itself.
    return (sink.overflow ? answer : explained(answer, "save()"), sink)
  }

  func extended(_ name: String) throws(Halt) -> Bool {
    guard let ask = vtable.extension, let instance else { return false }
    let log = log
    return try onLane("extension()") {
      log.begins("extension(\"\(name)\")")
      defer { log.returned() }
      return ask(instance, name) != nil
    }
  }

  // MARK: Grams

  /// Hands a gram over as the kernel does. Afterwards its token has ended or is still open.
  func receive(_ gram: CheckGram) throws(Halt) -> UInt64 {
    guard let receive = vtable.receive, let instance else { preconditionFailure("a trial receives between its beginning and its end") }
    let (token, guarded, host) = (host.open(gram.name), host.tables.isGuarded, host)
    _ = try call(gram.words) {
      let status = gram.lent(token: token, guarded: guarded) { receive(instance, $0) }
      host.returned(token, status)
      return status
    }
    return token
  }

  /// Tells it that nobody waits for the gram any more, if it has answered it with PERSONA_LATER and not ended it.
  func cancelled(_ token: UInt64) throws(Halt) {
    guard let cancelled = vtable.cancelled, let instance else { return }
    guard case .gone? = host.record.withLock({ $0.tokens[token] }) else { return }
    _ = try call("cancelled()") {
      cancelled(instance, token)
      return 0
    }
  }

  /// Waits until a gram has ended. Meanwhile timers run out one after the other, without waiting for their times.
  func finish(_ token: UInt64, _ gram: CheckGram) throws(Halt) -> CheckHost.Ending? {
    var fired = 0
    var silence = Silence(limit: patience)
    while true {
      enum Seen { case ended(CheckHost.Ending), gone }
      let seen = host.record.wait(milliseconds: 1) { record -> Seen? in
        switch record.tokens[token] {
        case .ended(let ending): .ended(ending)
        case .gone, nil: .gone
        case .open: nil
        }
      }
      switch seen {
      case .ended(let ending): return ending
      case .gone: return nil
      case nil: break
      }
      let (heard, open) = host.record.withLock { ($0.heard, $0.requests.count) }
      if silence.goesOn(heard: heard, isBusy: host.lane.isBusy) {
        throw Halt(
          .failure,
          "\(gram.words) returned PERSONA_LATER, and the gram is still open after \(callMilliseconds * 2 / 5) ms of silence, with \(open) requests of its own in flight: an asker would wait until the deadline, and a reload for the drain"
        )
      }
      if silence.busy > .milliseconds(callMilliseconds) {
        throw Halt(.failure, "a job or a done() that followed \(gram.words) has not returned after \(callMilliseconds) ms")
      }
      // A persona may set a timer whenever one runs out, for ever; but a gram must not wait for that.
      if case .hold = answers { continue }
      if fired < 1000, host.fireTimer() { fired += 1 }
    }
  }

  /// Hands a gram over and waits for its end.
  @discardableResult
  func ask(_ gram: CheckGram) throws(Halt) -> CheckHost.Ending? { try finish(try receive(gram), gram) }

  /// Waits until the lane has nothing to do and nothing is heard of the persona for a while: what it does next depends on us alone,
  /// and not on how fast the machine is.
  func quiet() {
    var silence = Silence(limit: .milliseconds(20))
    while true {
      let heard = host.record.wait(milliseconds: 1) { _ -> ContinuousClock.Instant? in nil } ?? host.record.withLock { $0.heard }
      if silence.goesOn(heard: heard, isBusy: host.lane.isBusy) || silence.busy > .milliseconds(callMilliseconds) { return }
    }
  }

  /// Waits until a gram has ended or requests are open; false if neither happened in time.
  func settle(_ token: UInt64) -> Bool {
    var silence = Silence(limit: patience)
    while true {
      let settled = host.record.wait(milliseconds: 1) { record -> Bool? in
        if !record.requests.isEmpty { return true }
        if case .open? = record.tokens[token] { return nil }
        return true
      }
      if settled != nil { return true }
      if silence.goesOn(heard: host.record.withLock { $0.heard }, isBusy: host.lane.isBusy) { return false }
    }
  }
}

extension Trial.Answer {
  /// A refusal in words: its explanation and status.
  var words: String { why.isEmpty ? "\(StatusText.name(status)), without a word" : "\(why) (\(StatusText.name(status)))" }
}
