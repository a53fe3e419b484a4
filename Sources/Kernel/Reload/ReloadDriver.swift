import Protocol
import System

/// Puts instances in place, takes them back and lets them go: performs what `ReloadMachine` decides. Event loop only.
///
/// One attempt or departure is under way at a time; what is asked for meanwhile waits for its end.
final class ReloadDriver {
  /// So many changes of one persona may wait.
  static let queueLimit = 1024

  private unowned let slot: PersonaSlot
  let draining: DrainingInstances
  private(set) var lastReceipt: Receipt?
  private var attempt: ReloadAttempt?
  private var departure: Departure?
  private var queue = Deque<() -> Void>()

  init(of slot: PersonaSlot) {
    self.slot = slot
    draining = DrainingInstances(of: slot)
  }

  private var supervisor: Supervisor { slot.supervisor }
  var isAttempting: Bool { attempt != nil }
  private var isBusy: Bool { attempt != nil || departure != nil }

  // MARK: What can be asked for

  func load(_ source: PersonaSlot.Source, force: Bool, done: @escaping (Receipt) -> Void) {
    if isBusy { return enqueue(done) { $0.load(source, force: force, done: done) } }
    if slot.stay == .gone { return refuse("\(slot.name) is in personas.toml no more", done) }
    slot.beginLoading()
    var isPrepared = false
    if case .library = source { isPrepared = true }
    let hasOld = slot.current != nil
    let (machine, actions) = ReloadMachine.begin(
      hasOld: hasOld, prepared: isPrepared, force: force, success: isPrepared ? .rolledBack : hasOld ? .reloaded : .loaded)
    let attempt = ReloadAttempt(machine, source, from: slot.current?.instance.number, done: done)
    self.attempt = attempt
    perform(actions, attempt)
  }

  func rollBack(reason: String?, done: @escaping (Receipt) -> Void) {
    // The attempt at hand decides what there is to go back from.
    if isBusy { return enqueue(done) { $0.rollBack(reason: reason, done: done) } }
    guard let previous = slot.lineage.previous, slot.current != nil else {
      return refuse("there is no earlier version of \(slot.name) to go back to", done)
    }
    // By force: what is to be left behind may be stuck.
    load(.library(previous, reason: reason), force: true, done: done)
  }

  func unload(done: @escaping (Receipt) -> Void) {
    if isBusy { return enqueue(done) { $0.unload(done: done) } }
    slot.beginUnloading()
    guard let old = slot.current else {
      return tell(Receipt(persona: slot.name, outcome: .unloaded, total_ms: 0), done)
    }
    let departure = Departure(old) { [unowned self] in departed($0, $1, done) }
    self.departure = departure
    departure.begin()
  }

  /// An instance may have nothing left to do.
  func settled(_ context: InstanceContext) {
    if let departure, departure.context === context { departure.settled() } else { draining.settled(context) }
  }

  // MARK: In turn

  private func enqueue(_ done: (Receipt) -> Void, _ body: @escaping (ReloadDriver) -> Void) {
    guard queue.count < Self.queueLimit else {
      return refuse("\(Self.queueLimit) changes of \(slot.name) wait already; ask again when they have been made", done)
    }
    queue.append { [unowned self] in body(self) }
  }

  private func next() { while !isBusy, let body = queue.popFirst() { body() } }

  private func refuse(_ reason: String, _ done: (Receipt) -> Void) {
    tell(Receipt(persona: slot.name, outcome: .refused, from: slot.current?.instance.number, total_ms: 0, reason: reason), done)
  }

  /// Its part of personas.toml was taken over, if that has not been told with a change of its code.
  func configured(_ trouble: String? = nil) {
    guard let changes = slot.takeChanges() else { return }
    let current = slot.current?.instance
    tell(
      Receipt(
        persona: slot.name, outcome: .configured, from: current?.number, to: current?.number, version: current?.image.about.version,
        total_ms: 0, warnings: trouble.map { [$0] }, changes: changes, talk: current?.image.about.talk)
    ) { _ in }
  }

  /// The running generation is not well, and goes on: told to everybody, since they may be waiting for it.
  func unwell(_ problem: String) {
    guard let current = slot.current?.instance else { return }
    tell(
      Receipt(
        persona: slot.name, outcome: .unwell, from: current.number, to: current.number, version: current.image.about.version, total_ms: 0,
        reason: problem, talk: current.image.about.talk)
    ) { _ in }
  }

  private func tell(_ receipt: Receipt, _ done: (Receipt) -> Void) {
    var receipt = receipt
    // One that tells of no new generation may pass by unread.
    if [.loaded, .reloaded, .rolledBack].contains(receipt.outcome) { receipt.changes = slot.takeChanges() }
    lastReceipt = receipt
    supervisor.announce(receipt)
    done(receipt)
  }

  // MARK: An attempt

  private func on(_ event: ReloadMachine.Event, _ attempt: ReloadAttempt) {
    guard self.attempt === attempt else { return }
    perform(attempt.machine.handle(event), attempt)
  }

  private func perform(_ actions: [ReloadMachine.Action], _ attempt: ReloadAttempt) {
    for action in actions {
      switch action {
      case .prepare: prepare(attempt)
      case .create: create(attempt)
      case .pauseAndSave: pauseAndSave(attempt)
      case .start: start(attempt)
      case .switchOver: switchOver(attempt)
      case .discard(let stuck): discard(attempt, stuck: stuck)
      case .resume: attempt.pauseEnds(held: slot.resumeMail())
      case .arm:
        disarm(attempt)
        attempt.timer = slot.loop.after(milliseconds: supervisor.settings.callMilliseconds) { [weak self] in self?.on(.timeout, attempt) }
      case .disarm: disarm(attempt)
      case .finish(let outcome, let failure): finish(attempt, outcome, failure)
      }
    }
  }

  private func disarm(_ attempt: ReloadAttempt) {
    if let timer = attempt.timer { slot.loop.cancel(timer: timer) }
    attempt.timer = nil
  }

  /// Brings the end of a step here, as an event.
  private func end<Value: Sendable>(
    of attempt: ReloadAttempt, as event: @escaping (Value) -> ReloadMachine.Event
  ) -> StepEnd<Value> {
    supervisor.inbox.onLoop { [slot] result in
      switch result {
      case .success(let value): slot.reload.on(event(value), attempt)
      case .failure(let failure): slot.reload.on(.failed(failure), attempt)
      }
    }
  }

  private func prepare(_ attempt: ReloadAttempt) {
    let running = slot.current?.instance
    let request = LibraryPreparer.Request(
      library: attempt.path ?? slot.configuration.library, configuration: slot.configuration, running: running,
      keptState: slot.saved.last, image: attempt.image, limitMilliseconds: supervisor.settings.callMilliseconds,
      unlessHash: attempt.machine.force ? nil : running?.image.hash)
    supervisor.preparer.prepare(
      request,
      then: end(of: attempt) { outcome in
        switch outcome {
        case .unchanged: return .unchanged
        case .ready(let library, let milliseconds):
          (attempt.library, attempt.rehearsalMilliseconds) = (library, milliseconds)
          return .prepared
        }
      })
  }

  private func create(_ attempt: ReloadAttempt) {
    guard let library = attempt.library else { preconditionFailure("a library is open before its instance is made") }
    let instance: any Instance
    do throws(Failure) { instance = try supervisor.instance(of: library, for: slot) } catch {
      // Not within the machine's step.
      slot.loop.after(milliseconds: 0) { [weak self] in self?.on(.failed(error), attempt) }
      return
    }
    let candidate = InstanceContext(instance, slot: slot, configuration: slot.configuration.json)
    supervisor.add(candidate)
    attempt.candidate = candidate
    candidate.instance.create(then: end(of: attempt) { _ in .created })
  }

  private func pauseAndSave(_ attempt: ReloadAttempt) {
    guard let current = slot.current else { preconditionFailure("a running instance is paused") }
    attempt.pauseBegins()
    slot.pauseMail()
    current.instance.save(
      then: end(of: attempt) { [slot] state in
        if attempt.machine.stage == .saving { slot.saved.keep(state, of: current.instance.image.about) }
        return .saved
      })
  }

  private func start(_ attempt: ReloadAttempt) {
    guard let instance = attempt.candidate?.instance else { preconditionFailure("a candidate is started") }
    let state = slot.saved.readable(by: instance.image.about)
    attempt.begins(with: state, last: slot.saved.last)
    let end: StepEnd<Void> = self.end(of: attempt) { _ in .started }
    guard let state else { return instance.start(then: end) }
    // One after the other where it runs: no way by the event loop in between, while mail is held.
    instance.load(state) { result in
      switch result {
      case .success: instance.start(then: end)
      case .failure: end(result)
      }
    }
  }

  private func switchOver(_ attempt: ReloadAttempt) {
    guard let candidate = attempt.candidate, let library = attempt.library else {
      preconditionFailure("a started candidate takes over")
    }
    let old = slot.takeOver(by: candidate)
    attempt.pauseEnds(held: slot.resumeMail())
    let isRollback = attempt.machine.success == .rolledBack
    if let copy = slot.lineage.tookOver(candidate.instance.number, library, isRollback: isRollback) {
      supervisor.preparer.store.discard(copy)
    }
    // What it sends itself comes behind what has waited for it.
    candidate.carryOut()
    supervisor.router.setTopics(of: slot, candidate.topics)
    if let old {
      if attempt.machine.oldIsStuck {
        let number = old.instance.number
        attempt.warn("generation \(number) does not come back from a call: what it had begun has ended, and its thread is left behind")
        draining.giveUp(old, "\(slot.name) did not come back from a call and was replaced without it; ask again")
      } else {
        draining.add(old, "\(slot.name) was replaced, and its old code did not finish this in time")
      }
    }
    slot.health.begin()
  }

  private func discard(_ attempt: ReloadAttempt, stuck: Bool) {
    guard let candidate = attempt.candidate else { return }
    attempt.candidate = nil
    candidate.instance.enter(.retired)
    candidate.abandon(Failure(.retired, "the new generation was refused"))
    supervisor.remove(candidate)
    // That comes when it comes back, if ever: its thread is given up, and nobody waits for it.
    if stuck {
      supervisor.log.warning(
        "a new generation does not come back from a call", ["persona": slot.name, "generation": candidate.instance.number])
      supervisor.leftBehind.add(candidate.instance, of: slot.name)
    }
    let (box, inbox) = (LoopOnly(candidate.instance), supervisor.inbox)
    candidate.instance.end { inbox.post { $0.supervisor.leftBehind.remove(box.value) } }
  }

  private func finish(_ attempt: ReloadAttempt, _ outcome: Receipt.Outcome, _ failure: Failure?) {
    self.attempt = nil
    var failure = failure
    if outcome == .refused, attempt.machine.oldIsStuck {
      failure?.message += "; `parlor reload \(slot.name) --force` replaces it without its state (reload with force)"
    }
    // What was tried before is needed again, or kept by whoever has made it.
    if outcome == .refused, attempt.isFresh, let library = attempt.library { supervisor.preparer.store.discard(library.image.path) }
    if slot.current == nil { slot.fail(failure?.message ?? "no generation of it could be loaded") }
    slot.tellConfiguration()
    tell(attempt.receipt(of: slot.name, outcome, failure, current: slot.current?.instance), attempt.done)
    next()
  }

  // MARK: A departure

  private func departed(_ state: Result<[UInt8]?, Failure>, _ began: UInt64, _ done: (Receipt) -> Void) {
    guard let departure else { return }
    self.departure = nil
    let old = departure.context
    let about = old.instance.image.about
    let saved = (try? state.get()) ?? nil
    slot.saved.keep(saved, of: about)
    slot.leaveCurrent()
    draining.add(old, "\(slot.name) was unloaded before it had finished this")
    var reason: String?
    if case .failure(let failure) = state { reason = "its state could not be saved: \(failure.message)" }
    tell(
      Receipt(
        persona: slot.name, outcome: .unloaded, from: old.instance.number, version: about.version, state_bytes: saved?.count,
        total_ms: Int((MachineClock.now() - began) / 1_000_000), reason: reason),
      done)
    next()
  }
}
