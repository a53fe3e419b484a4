import Protocol
import System

/// One persona's place in the kernel: its name, the mail that waits for it, its configuration, and the instance that runs.
/// Event loop only.
///
/// How instances come and go is the reload driver's matter; whether one is well, the health monitor's; what is tried and recorded,
/// the shadow's and the capture's.
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
  /// Whether it is in personas.toml.
  enum Stay {
    case here
    /// No more: it goes when it has finished.
    case leaving
    /// It has gone, and nothing can be loaded here.
    case gone
  }

  unowned let supervisor: Supervisor
  let name: String
  let participant: Participant
  /// For shares of mailboxes: personas are senders like connections.
  let senderID: UInt64
  let store = StateStore()
  let recorder: Recorder
  private(set) var configuration: PersonaConfiguration
  private(set) var state = State.unloaded
  private(set) var stay = Stay.here
  private(set) var current: InstanceContext?
  var saved = SavedStates()
  var lineage = Lineage()
  /// Written by the bus.
  var topics: Set<[UInt8]> = []
  private(set) var received: UInt64 = 0
  private(set) var failed: UInt64 = 0

  private(set) lazy var reload = ReloadDriver(of: self)
  private(set) lazy var health = HealthMonitor(of: self)
  private(set) lazy var shadows = Shadow(of: self)
  private(set) lazy var messages = MessageCapture(of: self)

  /// Mail that waits because a switch is under way, or because nothing runs yet.
  private var held = Mailbox()
  private var isPaused = false
  /// The instance that is being told its configuration.
  private weak var told: InstanceContext?
  /// Keys of its part of personas.toml that are new, and that no receipt has told yet.
  private var untold: [String] = []

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
    if let current, !isPaused { taken = current.take(mail, quota: quota) } else { taken = held.offer(mail, quota: quota) }
    if taken {
      received &+= 1
      return nil
    }
    return Failure(
      .queueFull,
      "\(name) is not keeping up: your share of its mailbox (\(quota) bytes for all) is full, and this gram was left out; send it again later"
    )
  }

  /// Takes out what a sender that has gone left behind and nobody has begun, but for its oldest grams.
  func dropMail(of sender: UInt64) -> [Mail] {
    let dropped = current?.instance.dropMail(of: sender) ?? []
    current?.giveBack(dropped)
    return dropped + held.dropMail(of: sender)
  }

  /// From now on mail waits here; so does what the running instance has not begun.
  func pauseMail() {
    guard let current else { return }
    isPaused = true
    let back = current.instance.pause()
    current.giveBack(back)
    for item in back { held.append(item) }
  }

  /// The running instance gets what has waited. Returns how much that was.
  func resumeMail() -> Int {
    isPaused = false
    guard let current else { return 0 }
    let waiting = held.takeAll().filter(current.begin)
    current.instance.resume(with: waiting)
    return waiting.count
  }

  /// The switch: this instance answers from now on. Returns the one that did before.
  func takeOver(by candidate: InstanceContext) -> InstanceContext? {
    let old = current
    current = candidate
    state = .running
    candidate.instance.enter(.live)
    return old
  }

  /// Nothing answers any more.
  func leaveCurrent() {
    current = nil
    supervisor.router.setTopics(of: self, [])
  }

  func countFailure() { failed &+= 1 }

  // MARK: Coming and going

  func load(_ source: Source, force: Bool, done: @escaping (Receipt) -> Void) { reload.load(source, force: force, done: done) }

  /// Brings the library before the current one back, as a new generation.
  func rollBack(reason: String?, done: @escaping (Receipt) -> Void) { reload.rollBack(reason: reason, done: done) }

  /// Saves, finishes what it has been given, and ends. The name stays, with what it has kept.
  func unload(done: @escaping (Receipt) -> Void) { reload.unload(done: done) }

  /// An attempt begins: where nothing runs, mail waits for it.
  func beginLoading() { if current == nil { state = .loading } }

  func beginUnloading() { state = .unloaded }

  /// An attempt has ended, and nothing runs: what has waited for it is told why.
  func fail(_ reason: String) {
    state = .failed(reason)
    supervisor.router.bounce(held.takeAll(), Failure(.unknownTarget, "\(name) is not running: \(reason)"))
  }

  /// An instance may have nothing left to do.
  func settled(_ context: InstanceContext) { reload.settled(context) }

  /// It is in personas.toml no more: it finishes. `gone` is called unless it has come back by then.
  func leave(gone: @escaping () -> Void) {
    stay = .leaving
    unload { [weak self] _ in
      guard let self, stay == .leaving else { return }
      stay = .gone
      gone()
    }
  }

  /// It is in personas.toml again.
  func comeBack(_ new: PersonaConfiguration) {
    stay = .here
    configuration = new
    load(.file(), force: false) { _ in }
  }

  // MARK: Configuration

  /// Its part of personas.toml has changed. A changed library is loaded, and so is one that has failed; else the persona is told.
  func configure(_ new: PersonaConfiguration) {
    let old = configuration
    configuration = new
    untold += new.keys(changedFrom: old).filter { !untold.contains($0) }
    var hasFailed = false
    if case .failed = state { hasFailed = true }
    if hasFailed || old.library != new.library {
      load(.file(), force: false) { _ in }
    } else {
      tellConfiguration()
      if told == nil { reload.configured() }
    }
  }

  /// What the next receipt has to tell of personas.toml; nil: nothing.
  func takeChanges() -> [String]? {
    defer { untold = [] }
    return untold.isEmpty ? nil : untold
  }

  /// Tells the running instance its configuration, if it was made with another one. One call at a time: what changes meanwhile is
  /// told after it.
  func tellConfiguration() {
    guard let context = current, context.configuration != configuration.json, told !== context else { return }
    told = context
    context.configuration = configuration.json
    context.instance.configure(
      context.instance.image.about.completed(configuration.json),
      then: supervisor.inbox.onLoop { [self] result in
        var trouble: String?
        if case .failure(let failure) = result {
          supervisor.log.error("did not take its new configuration", ["persona": name, "error": failure.message])
          trouble = "its code did not take its new configuration: \(failure.message)"
        }
        if told === context { told = nil }
        reload.configured(trouble)
        tellConfiguration()
      })
  }

  // MARK: What is known of it

  var status: Personas.Status { PersonaReport(of: self).status }
  /// What `personas.show` answers.
  var details: Personas.Details { PersonaReport(of: self).details }
  /// How much mail waits here.
  var waiting: Int { held.count }

  func list(last: Int) -> [UInt8] { messages.list(last: last) }

  func capture(_ choice: Recorder.Choice, _ answer: @escaping (Result<[UInt8], Failure>) -> Void) throws(Failure) {
    try messages.capture(choice, answer)
  }

  func shadow(
    last: Int, path: String?, done: @escaping (Result<[UInt8], Failure>) -> Void
  ) throws(Failure) -> CancellationHandle {
    try shadows.play(last: last, path: path, messages: messages, done: done)
  }

  func promote(done: @escaping (Result<Receipt, Failure>) -> Void) { shadows.promote(done: done) }
  func dropShadow() throws(Failure) { try shadows.drop() }
}
