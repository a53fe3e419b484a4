import Glibc
import Protocol
import System

/// How a generation is put in place, taken back, and let go: what `ReloadMachine` decides is performed here.
extension PersonaSlot {
  // MARK: Attempts

  func load(_ source: Source, force: Bool, done: @escaping (Receipt) -> Void) {
    if isBusy { return queue.append { [self] in load(source, force: force, done: done) } }
    if hasLeft {
      let reason = "\(name) is in personas.toml no more"
      return tell(Receipt(persona: name, outcome: .refused, total_ms: 0, reason: reason), done)
    }
    if current == nil, state != .loading { state = .loading }
    var prepared = false
    if case .library = source { prepared = true }
    let (machine, actions) = ReloadMachine.begin(
      hasOld: current != nil, prepared: prepared, force: force, success: prepared ? .rolledBack : current == nil ? .loaded : .reloaded)
    let attempt = Attempt(machine, from: current?.generation.number, done: done)
    switch source {
    case .file(let path): attempt.path = path
    case .image(let image): attempt.image = image
    case .library(let library, let reason):
      attempt.library = library
      attempt.reason = reason
    }
    self.attempt = attempt
    perform(actions)
  }

  func on(_ event: ReloadMachine.Event, _ id: Attempt) {
    guard let attempt, attempt === id else { return }
    perform(attempt.machine.handle(event))
  }

  func perform(_ actions: [ReloadMachine.Action]) {
    guard let attempt else { return }
    for action in actions {
      switch action {
      case .prepare: prepare(attempt)
      case .create: create(attempt)
      case .pauseAndSave: pauseAndSave(attempt)
      case .start: start(attempt)
      case .switchOver: switchOver(attempt)
      case .discard(let stuck): discard(attempt, stuck: stuck)
      case .resume: resume(attempt)
      case .arm:
        disarm(attempt)
        attempt.timer = loop.after(milliseconds: supervisor.settings.callMilliseconds) { [unowned self] in on(.timeout, attempt) }
      case .disarm: disarm(attempt)
      case .finish(let outcome, let failure): finish(attempt, outcome, failure)
      }
    }
  }

  func disarm(_ attempt: Attempt) {
    if let timer = attempt.timer { loop.cancel(timer: timer) }
    attempt.timer = nil
  }

  func prepare(_ attempt: Attempt) {
    let running = current?.generation
    let order = LibraryPreparer.Order(
      name: name, library: attempt.path ?? configuration.library, configuration: configuration, number: lastNumber + 1, running: running,
      keptState: lastSchema.flatMap { schema in states[schema].map { (schema, $0) } },
      image: attempt.image,
      unlessHash: attempt.machine.force ? nil : running?.library.image.hash)
    let attemptBox = LoopOnly((self, attempt))
    supervisor.preparer.prepare(order) { result, inbox in
      inbox.post { _ in
        let (slot, attempt) = attemptBox.value
        switch result {
        case .success(.unchanged): slot.on(.unchanged, attempt)
        case .success(.ready(let library, let rehearsal)):
          attempt.library = library
          attempt.rehearsal = rehearsal
          slot.on(.prepared, attempt)
        case .failure(let failure): slot.on(.failed(failure), attempt)
        }
      }
    }
  }

  /// Runs a step on the candidate's or the old one's lane and brings its outcome back here.
  func step(
    _ generation: ThreadInstance, _ attempt: Attempt, _ body: @escaping @Sendable (ThreadInstance) throws(Failure) -> ReloadMachine.Event
  ) {
    let box = LoopOnly((self, attempt))
    generation.lane.lane.run {
      var event: ReloadMachine.Event
      do throws(Failure) { event = try body(generation) } catch { event = .failed(error) }
      let outcome = event
      generation.inbox.post { _ in box.value.0.on(outcome, box.value.1) }
    }
  }

  func create(_ attempt: Attempt) {
    guard let library = attempt.library else { preconditionFailure("a library is open before its instance is made") }
    lastNumber += 1
    let generation = ThreadInstance(
      persona: name, number: lastNumber, library: library, configuration: configuration.json, state: store, inbox: supervisor.inbox,
      payloadLimit: supervisor.router.limits.frameBytes - 4096,
      log: supervisor.logger.part(name))
    let context = InstanceContext(generation, slot: self)
    supervisor.add(context)
    attempt.candidate = context
    step(generation, attempt) { generation throws(Failure) in
      try generation.create()
      return .created
    }
  }

  func pauseAndSave(_ attempt: Attempt) {
    guard let current else { preconditionFailure("a running generation is paused") }
    attempt.pausedAt = MachineClock.now()
    let back = current.generation.lane.lane.pause()
    current.giveBack(back)
    for item in back { held.append(item) }
    let box = LoopOnly((self, attempt))
    let generation = current.generation
    generation.lane.lane.run {
      var state: [UInt8]?
      var problem: Failure?
      do throws(Failure) { state = try generation.save() } catch { problem = error }
      let (saved, failure) = (state, problem)
      generation.inbox.post { _ in box.value.0.saved(box.value.1, saved, failure) }
    }
  }

  func saved(_ attempt: Attempt, _ state: [UInt8]?, _ problem: Failure?) {
    if self.attempt === attempt, attempt.machine.stage == .saving, let current { keep(state, current.generation.library.image.about) }
    on(problem.map { .failed($0) } ?? .saved, attempt)
  }

  func start(_ attempt: Attempt) {
    guard let candidate = attempt.candidate else { preconditionFailure("a candidate is started") }
    let state = readableState(for: candidate.generation.library.image.about)
    attempt.stateBytes = state?.1.count
    if let lastSchema, state?.0 != lastSchema {
      let instead = state.map { "an older one of schema \($0.0)" } ?? "none"
      attempt.stateWarning =
        "it began with \(instead): it cannot read the last state, of schema \(lastSchema), which is kept for a version that can"
    }
    step(candidate.generation, attempt) { generation throws(Failure) in
      if let (schema, bytes) = state { try generation.load(schema: schema, state: bytes) }
      try generation.start()
      return .started
    }
  }

  /// The newest state that this version can read.
  func readableState(for about: About) -> (UInt32, [UInt8])? {
    guard let schema = about.state else { return nil }
    let readable = schema.reads...schema.writes
    if let lastSchema, readable.contains(lastSchema), let state = states[lastSchema] { return (lastSchema, state) }
    return states.filter { readable.contains($0.key) }.max { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  func switchOver(_ attempt: Attempt) {
    guard let candidate = attempt.candidate, let library = attempt.library else { preconditionFailure("a started candidate takes over") }
    let old = current
    current = candidate
    state = .running
    sick = false
    healthAsked = 0
    generations.append((candidate.generation.number, library))
    if attempt.machine.success == .rolledBack { lineage.removeLast() } else { lineage.append(library) }
    let waiting = held.takeAll().filter(candidate.begin)
    attempt.heldCount = waiting.count
    candidate.goLive()
    candidate.generation.lane.lane.resume(with: waiting)
    if attempt.pausedAt > 0 { attempt.pause = Int((MachineClock.now() - attempt.pausedAt) / 1000) }
    attempt.pausedAt = 0
    // What it sends itself comes behind what has waited for it.
    candidate.carryOut()
    supervisor.router.setTopics(of: self, candidate.topics)
    if let old { drain(old, "\(name) was replaced, and its old code did not finish this in time") }
    trialEnd = MachineClock.now() + UInt64(supervisor.settings.trialMilliseconds) * 1_000_000
    askHealth()
  }

  func discard(_ attempt: Attempt, stuck: Bool) {
    guard let candidate = attempt.candidate else { return }
    attempt.candidate = nil
    candidate.generation.phase = .retired
    candidate.abandon(Failure(.retired, "the new generation was refused"))
    supervisor.remove(candidate)
    let generation = candidate.generation
    // That comes when it comes back, if ever: its thread is given up, and nobody waits for it.
    if stuck {
      supervisor.log.warning("a new generation does not come back from a call", ["persona": name, "generation": generation.number])
    }
    generation.lane.lane.run { generation.end() }
  }

  func resume(_ attempt: Attempt) {
    guard let current else { return }
    let waiting = held.takeAll().filter(current.begin)
    attempt.heldCount = waiting.count
    current.generation.lane.lane.resume(with: waiting)
    attempt.pause = Int((MachineClock.now() - attempt.pausedAt) / 1000)
    attempt.pausedAt = 0
  }

  func finish(_ attempt: Attempt, _ outcome: Receipt.Outcome, _ failure: Failure?) {
    self.attempt = nil
    if current == nil {
      let reason = failure?.message ?? "no generation of it could be loaded"
      state = .failed(reason)
      supervisor.router.bounce(held.takeAll(), Failure(.unknownTarget, "\(name) is not running: \(reason)"))
    }
    var warnings = attempt.library?.image.warnings ?? []
    if outcome != .refused, let warning = attempt.stateWarning { warnings.append(warning) }
    let receipt = Receipt(
      persona: name, outcome: outcome, from: attempt.from, to: outcome == .refused ? nil : current?.generation.number,
      version: attempt.library?.image.about.version ?? current?.generation.library.image.about.version,
      hash: attempt.library?.image.hash ?? current?.generation.library.image.hash,
      state_bytes: outcome == .unchanged ? nil : attempt.stateBytes, pause_us: attempt.pause, held: attempt.heldCount,
      rehearsal_ms: attempt.rehearsal,
      total_ms: Int((MachineClock.now() - attempt.began) / 1_000_000), reason: failure?.message ?? attempt.reason,
      warnings: warnings.isEmpty ? nil : warnings, talk: current?.generation.library.image.about.talk)
    tellConfiguration()
    tell(receipt, attempt.done)
    next()
  }

  func tell(_ receipt: Receipt, _ done: (Receipt) -> Void) {
    lastReceipt = receipt
    supervisor.announce(receipt)
    done(receipt)
  }

  var isBusy: Bool { attempt != nil || departure != nil }

  func next() { while !isBusy, !queue.isEmpty { queue.removeFirst()() } }

  // MARK: Rollback, unload

  /// Brings the library before the current one back, as a new generation.
  func rollBack(reason: String?, done: @escaping (Receipt) -> Void) {
    // The attempt at hand decides what there is to go back from.
    if isBusy { return queue.append { [self] in rollBack(reason: reason, done: done) } }
    guard lineage.count >= 2, current != nil else {
      return tell(
        Receipt(
          persona: name, outcome: .refused, from: current?.generation.number, total_ms: 0,
          reason: "there is no earlier version of \(name) to go back to"), done)
    }
    // By force: what is to be left behind may be stuck.
    load(.library(lineage[lineage.count - 2], reason: reason), force: true, done: done)
  }

  /// Saves, finishes what it has been given, and ends. The name stays, with what it has kept.
  func unload(done: @escaping (Receipt) -> Void) {
    if isBusy { return queue.append { [self] in unload(done: done) } }
    guard let old = current else {
      state = .unloaded
      return tell(Receipt(persona: name, outcome: .unloaded, total_ms: 0), done)
    }
    state = .unloaded
    let departure = Departure(old, done)
    self.departure = departure
    if old.isIdle { return saveAndDepart(departure) }
    loop.after(milliseconds: supervisor.settings.drainMilliseconds) { [weak self] in self?.saveAndDepart(departure) }
    departIfStuck(departure)
  }

  /// One that does not come back from a call will finish nothing: it is not waited for until its time to drain is over.
  func departIfStuck(_ departure: Departure) {
    let limit = supervisor.settings.callMilliseconds
    loop.after(milliseconds: limit) { [weak self] in
      guard let self, self.departure === departure, !departure.isSaving else { return }
      let busy = departure.context.generation.lane.lane.load(now: MachineClock.now()).busy
      if busy >= UInt64(limit) * 1_000_000 { saveAndDepart(departure) } else { departIfStuck(departure) }
    }
  }

  /// What it was asked is done, or its time is over: now its state is whole.
  func saveAndDepart(_ departure: Departure) {
    guard self.departure === departure, !departure.isSaving else { return }
    departure.isSaving = true
    let generation = departure.context.generation
    let box = LoopOnly((self, departure))
    generation.lane.lane.run {
      var state: [UInt8]?
      var problem: Failure?
      do throws(Failure) { state = try generation.save() } catch { problem = error }
      let (saved, failure) = (state, problem)
      generation.inbox.post { _ in box.value.0.depart(box.value.1, saved, failure) }
    }
    loop.after(milliseconds: supervisor.settings.callMilliseconds) { [weak self] in
      self?.depart(departure, nil, Failure(.deadline, "it does not come back from a call"))
    }
  }

  final class Departure {
    let context: InstanceContext
    let done: (Receipt) -> Void
    let began = MachineClock.now()
    var isSaving = false
    init(_ context: InstanceContext, _ done: @escaping (Receipt) -> Void) {
      self.context = context
      self.done = done
    }
  }

  func depart(_ departure: Departure, _ saved: [UInt8]?, _ problem: Failure?) {
    guard self.departure === departure else { return }
    self.departure = nil
    let old = departure.context
    let about = old.generation.library.image.about
    keep(saved, about)
    current = nil
    supervisor.router.setTopics(of: self, [])
    drain(old, "\(name) was unloaded before it had finished this")
    tell(
      Receipt(
        persona: name, outcome: .unloaded, from: old.generation.number, version: about.version, state_bytes: saved?.count,
        total_ms: Int((MachineClock.now() - departure.began) / 1_000_000),
        reason: problem.map { "its state could not be saved: \($0.message)" }),
      departure.done)
    next()
  }

  func keep(_ saved: [UInt8]?, _ about: About) {
    guard let saved, let schema = about.state?.writes else { return }
    states[schema] = saved
    lastSchema = schema
  }

  /// No new mail comes to it; it may finish what it has, within the limit.
  func drain(_ old: InstanceContext, _ reason: String) {
    old.generation.phase = .draining
    draining.append(old)
    loop.after(milliseconds: supervisor.settings.drainMilliseconds) { [weak self, weak old] in
      guard let self, let old, draining.contains(where: { $0 === old }) else { return }
      supervisor.log.warning(
        "a generation did not finish in time and is ended", ["persona": name, "generation": old.generation.number, "open": old.openGrams])
      retire(old, Failure(.retired, reason))
    }
    settled(old)
  }

  /// A draining generation may have nothing left to do.
  func settled(_ context: InstanceContext) {
    if let departure, departure.context === context, context.isIdle { return saveAndDepart(departure) }
    if context.generation.phase == .draining, context.isIdle { retire(context, Failure(.retired, "\(name) was replaced")) }
  }

  func retire(_ context: InstanceContext, _ failure: Failure) {
    guard let index = draining.firstIndex(where: { $0 === context }) else { return }
    draining.remove(at: index)
    context.abandon(failure)
    // Until it has come back from its stop it may still say something.
    let generation = context.generation
    let box = LoopOnly((self, context))
    generation.lane.lane.run {
      generation.end()
      generation.inbox.post { _ in box.value.0.ended(box.value.1, failure) }
    }
    loop.after(milliseconds: supervisor.settings.callMilliseconds) { [self] in ended(context, failure) }
  }

  /// It has come back from its end, or is not waited for any longer.
  func ended(_ context: InstanceContext, _ failure: Failure) {
    guard supervisor.isKnown(context) else { return }
    context.generation.phase = .retired
    context.abandon(failure)
    supervisor.log.debug("retired", ["persona": name, "generation": context.generation.number])
    supervisor.remove(context)
  }
}
