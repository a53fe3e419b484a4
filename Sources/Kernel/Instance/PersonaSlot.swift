import Glibc
import Protocol
import System

/// One persona's place in the house: its name, its mailbox, its state, and the generations that come and go. Event loop only.
///
/// It performs what `ReloadMachine` decides. One attempt runs at a time; what is asked for meanwhile
/// waits for its end.
final class PersonaSlot {
  enum State: Equatable {
    case loading, running, unloaded
    case failed(String)
  }
  /// What is to be put in place.
  enum Source {
    /// The file of its `library`, or this once the one at the path.
    case file(path: String? = nil)
    /// A copy that was made ready before.
    case image(LibraryImage)
    case library(LoadedLibrary, reason: String?)
  }

  unowned let supervisor: Supervisor
  let name: String
  let participant: Participant
  var configuration: PersonaConfiguration
  let store = StateStore()
  /// For shares of mailboxes: personas are senders like connections.
  let senderID: UInt64

  var state = State.unloaded
  var current: InstanceContext?
  var draining: [InstanceContext] = []
  var held = Mailbox()
  let recorder: Recorder
  /// A version that has been prepared, and waits to be promoted or dropped. While it does, a changed file is not taken up by itself.
  var shadowed: LibraryImage?
  /// The play of a shadow that is under way.
  var shadowPlay: CancellationHandle?
  var topics: Set<[UInt8]> = []
  /// Open libraries that have run here, oldest first; the last is the current one's. What a rollback goes back to.
  var lineage: [LoadedLibrary] = []
  var lastNumber = 0
  /// All that have lived here, oldest first: their code stays in memory.
  var generations: [(number: Int, library: LoadedLibrary)] = []
  var lastReceipt: Receipt?
  /// The last state of each schema, for rollbacks and later loads.
  var states: [UInt32: [UInt8]] = [:]
  var lastSchema: UInt32?
  var received: UInt64 = 0
  var failed: UInt64 = 0

  var attempt: Attempt?
  /// What waits for the end of the attempt or departure that is under way.
  var queue: [() -> Void] = []
  var trialEnd: UInt64 = 0
  var healthTimer: UInt64?
  var healthAsked: UInt64 = 0
  var sick = false
  var departure: Departure?
  /// It is in personas.toml no more, and goes when it has finished; then it has left, and nothing can be loaded here.
  var isLeaving = false
  var hasLeft = false

  final class Attempt {
    var machine: ReloadMachine
    let began = MachineClock.now()
    let done: (Receipt) -> Void
    var reason: String?
    var path: String?
    var image: LibraryImage?
    var library: LoadedLibrary?
    var rehearsal: Int?
    var candidate: InstanceContext?
    var timer: UInt64?
    var pausedAt: UInt64 = 0
    var pause: Int?
    var heldCount: Int?
    var stateBytes: Int?
    /// That it began with less than what was last saved.
    var stateWarning: String?
    var from: Int?
    init(_ machine: ReloadMachine, from: Int?, done: @escaping (Receipt) -> Void) {
      self.machine = machine
      self.from = from
      self.done = done
    }
  }

  var loop: EventLoop { supervisor.router.loop }

  init(_ configuration: PersonaConfiguration, supervisor: Supervisor, senderID: UInt64) throws(Failure) {
    self.configuration = configuration
    self.supervisor = supervisor
    self.senderID = senderID
    recorder = Recorder(limit: supervisor.settings.recordedGrams)
    name = configuration.name
    participant = try supervisor.router.claim(name: configuration.name)
    participant.add(self)
  }

  // MARK: Mail

  /// Nil: it will be handled, now or after what is going on. Else why not.
  func deliver(_ mail: Mail, quota: Int) -> Failure? {
    switch state {
    case .unloaded:
      return Failure(.unknownTarget, "\(name) is unloaded; `parlor load \(name)` brings it back")
    case .failed(let reason):
      return Failure(.unknownTarget, "\(name) is not running: \(reason)")
    case .loading, .running: break
    }
    let taken: Bool
    if let current, !isHolding { taken = current.take(mail, quota: quota) } else { taken = held.offer(mail, quota: quota) }
    if taken {
      received &+= 1
      return nil
    }
    return Failure(
      .queueFull,
      "\(name) is not keeping up: your share of its mailbox (\(quota) bytes for all) is full, and this gram was left out; send it again later"
    )
  }

  /// Mail waits here because a switch is under way, or because there is no generation yet.
  var isHolding: Bool { current == nil || attempt?.pausedAt ?? 0 > 0 }

  // MARK: Health

  func askHealth() {
    if let healthTimer { loop.cancel(timer: healthTimer) }
    guard let context = current else { return }
    // Often in its trial, and while an answer to a question of the trial is awaited.
    let isSoon = MachineClock.now() < trialEnd || healthAsked > 0 && !sick
    let interval = isSoon ? max(10, min(100, supervisor.settings.trialMilliseconds / 4)) : 10_000
    healthTimer = loop.after(milliseconds: interval) { [weak self, weak context] in
      guard let self, let context, current === context else { return }
      if attempt != nil { return askHealth() }
      let now = MachineClock.now()
      if healthAsked > 0 {
        // The last question is still out: the lane does not come back.
        if now - healthAsked > UInt64(supervisor.settings.callMilliseconds) * 1_000_000 {
          sickness(
            context, askedAt: healthAsked, "it has not come back from a call for \((now - healthAsked) / 1_000_000) ms")
        }
        return askHealth()
      }
      healthAsked = now
      let generation = context.generation
      let box = LoopOnly((self, context))
      generation.lane.lane.run {
        var problem: String?
        do throws(Failure) { try generation.health() } catch { problem = error.message }
        let found = problem
        generation.inbox.post { _ in
          let (slot, context) = box.value
          guard slot.current === context else { return }
          slot.healthAsked = 0
          if let found { slot.sickness(context, askedAt: now, found) } else { slot.sick = false }
        }
      }
      askHealth()
    }
  }

  /// What was asked in the trial counts for the trial, however long the answer took.
  func sickness(_ context: InstanceContext, askedAt: UInt64, _ problem: String) {
    if askedAt < trialEnd, lineage.count >= 2, attempt == nil {
      trialEnd = 0
      rollBack(reason: "generation \(context.generation.number) failed its trial: \(problem)") { _ in }
    } else if !sick {
      sick = true
      supervisor.log.warning("not well", ["persona": name, "generation": context.generation.number, "problem": problem])
    }
  }

  // MARK: Configuration and status

  /// Its part of personas.toml has changed. A changed library is loaded, and so is one that has failed; else the persona is told.
  func configure(_ new: PersonaConfiguration) {
    let old = configuration
    configuration = new
    var hasFailed = false
    if case .failed = state { hasFailed = true }
    if hasFailed || old.library != new.library {
      load(.file(), force: false) { _ in }
    } else {
      tellConfiguration()
    }
  }

  /// It was to leave, and is in personas.toml again.
  func comeBack(_ new: PersonaConfiguration) {
    isLeaving = false
    configuration = new
    load(.file(), force: false) { _ in }
  }

  /// Tells the running generation its configuration, if it was made with another one.
  func tellConfiguration() {
    guard let generation = current?.generation, generation.currentConfiguration != configuration.json else { return }
    let log = supervisor.log
    let json = configuration.json
    generation.lane.lane.run {
      do throws(Failure) { try generation.configChanged(json) } catch {
        log.error("did not take its new configuration", ["persona": generation.persona, "error": error.message])
      }
    }
  }

  func countFailure() { failed &+= 1 }

  var isQuiet: Bool { draining.isEmpty && (current?.isIdle ?? true) && attempt == nil && held.isEmpty }

  var status: Personas.Status {
    let load = current?.generation.lane.lane.load(now: MachineClock.now())
    var reason: String?
    let word: Personas.Status.State
    switch state {
    case .loading: word = .loading
    case .running: word = .running
    case .unloaded: word = .unloaded
    case .failed(let why):
      word = .failed
      reason = why
    }
    return Personas.Status(
      name: name, summary: configuration.summary ?? current?.generation.library.image.about.summary,
      version: current?.generation.library.image.about.version,
      library: configuration.library, generation: current?.generation.number, state: word, reason: reason,
      talk: current?.generation.library.image.about.talk, draining: draining.count,
      kept: generations.count, generations: generations.suffix(20).map(\.number), received: received, failed: failed,
      queued: held.count + (load?.waiting ?? 0), busy_ms: Int((load?.busy ?? 0) / 1_000_000))
  }
}
