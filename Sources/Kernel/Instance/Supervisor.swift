import Protocol
import System

/// All personas of the kernel: who is to be here, whose file has changed, who is leaving. Event loop only.
final class Supervisor {
  /// What it works with.
  struct Surroundings {
    let router: Router
    let inbox: LoopInbox
    let logger: Logger
    let store: LibraryStore
    /// Nil: libraries are not rehearsed.
    var rehearsal: Rehearsal?
    /// Nil: new versions answer no copies of old messages.
    var stage: ReplayHost?
    var language: (any LanguageService)?
    var memory: (any MemoryService)?
  }

  let router: Router
  let inbox: LoopInbox
  let log: Log
  let preparer: LibraryPreparer
  let language: (any LanguageService)?
  let memory: (any MemoryService)?
  let stage: ReplayHost?
  private(set) var settings: ReloadConfiguration
  /// Makes the text of recordings, one at a time.
  let captures = SerialThread<@Sendable () -> Void>(name: "capture", limit: 64) { SerialWorker { for job in $0 { job() } } }
  private let logger: Logger
  private let folders: LibraryFolders

  /// In the order of personas.toml, then of loading.
  private(set) var slots: [PersonaSlot] = []
  /// All instances that have not ended, by the identity that other threads know them by.
  private var contexts: [ObjectIdentifier: InstanceContext] = [:]
  /// Instances that do not come back from a call.
  var leftBehind = LeftBehind()
  private var lastSender: UInt64 = 1 << 48
  /// Answers what personas want of others, in the place of the bus and the services: in a replay.
  var stub: (any StubResponder)?
  /// Takes personas.toml over again; nil: there is none.
  var reloader: ConfigurationReloader? {
    didSet {
      reloader?.announce = { [unowned self] in announce($0) }
      // A file that is just being written anew is empty for a moment.
      reloader?.mayFollow = { [unowned self] new in !new.personas.isEmpty || slots.isEmpty }
    }
  }
  /// Called when the last instance has ended, while the kernel shuts down.
  var onDrained: (() -> Void)?

  init(_ surroundings: Surroundings, _ configuration: Configuration) {
    router = surroundings.router
    inbox = surroundings.inbox
    logger = surroundings.logger
    language = surroundings.language
    memory = surroundings.memory
    stage = surroundings.stage
    let (log, loop, inbox) = (surroundings.logger.part("reload"), surroundings.router.loop, surroundings.inbox)
    self.log = log
    preparer = LibraryPreparer(
      store: surroundings.store, folders: configuration.pluginFolders, rehearsal: surroundings.rehearsal)
    settings = configuration.reload
    let quiet = configuration.reload.settleMilliseconds
    folders = LibraryFolders(configuration.pluginFolders) {
      LibraryMonitor(loop: loop, inbox: inbox, log: log, quietMilliseconds: quiet, settled: $0)
    }
  }

  func slot(_ name: String) -> PersonaSlot? { slots.first { $0.name == name } }

  // MARK: Instances

  /// The longest payload that still makes a frame, in bytes.
  var payloadLimit: Int { max(0, router.limits.frameBytes - 4096) }

  /// A new instance for a persona, not created yet. Where it runs is decided here.
  func instance(of library: LoadedLibrary, for slot: PersonaSlot) throws(Failure) -> any Instance {
    try ThreadInstance(
      persona: slot.name, number: slot.lineage.nextNumber(), library: library,
      configuration: library.image.about.completed(slot.configuration.json),
      state: slot.store, inbox: inbox, payloadLimit: payloadLimit, log: logger.part(slot.name))
  }

  func add(_ context: InstanceContext) { contexts[ObjectIdentifier(context.instance)] = context }
  func isKnown(_ context: InstanceContext) -> Bool { contexts[ObjectIdentifier(context.instance)] === context }
  func remove(_ context: InstanceContext) {
    contexts[ObjectIdentifier(context.instance)] = nil
    if isEmpty { onDrained?() }
  }

  /// Of an instance that has not ended.
  func context(_ id: ObjectIdentifier) -> InstanceContext? { contexts[id] }
  func perform(_ id: ObjectIdentifier, _ body: @escaping (InstanceContext) -> Void) { contexts[id]?.perform(body) }

  /// What does not come back from a call, and what that costs: replaced instances, and running ones that are over their time.
  var stuck: [Stats.Stuck] {
    let limit = UInt64(clamping: settings.callMilliseconds) * 1_000_000
    let running = slots.compactMap { slot -> Stats.Stuck? in
      guard let instance = slot.current?.instance, instance.load(now: MachineClock.now()).busy > limit else { return nil }
      return LeftBehind.report(instance, of: slot.name, isReplaced: false)
    }
    return running + leftBehind.report
  }

  // MARK: Coming and going

  /// Makes the personas of the configuration be here.
  func start(_ personas: [PersonaConfiguration]) {
    for persona in personas { add(persona) }
    if settings.watch { watch() }
  }

  /// Nil: it comes. Else why it cannot be here.
  ///
  /// - Parameters:
  ///   - source: what is loaded this once instead of its own library.
  ///   - prepare: what the slot is to have before the load.
  @discardableResult func add(
    _ persona: PersonaConfiguration, _ source: PersonaSlot.Source = .file(), prepare: (PersonaSlot) -> Void = { _ in },
    done: @escaping (Receipt) -> Void = { _ in }
  ) -> Failure? {
    lastSender += 1
    do throws(Failure) {
      let slot = try PersonaSlot(persona, supervisor: self, senderID: lastSender)
      slots.append(slot)
      prepare(slot)
      slot.load(source, force: false, done: done)
      return nil
    } catch {
      log.error("cannot have this persona", ["persona": persona.name, "error": error.message])
      return error
    }
  }

  /// personas.toml was read again: who is new comes, who is gone goes, who is changed is told.
  func apply(_ personas: [PersonaConfiguration], _ settings: ReloadConfiguration, libraries: [String: String] = [:]) -> Config.Reload.Reply
  {
    self.settings = settings
    for slot in slots { slot.recorder.limit = settings.recordedGrams }
    var changes = Config.Reload.Reply()
    for slot in slots where slot.stay == .here && !personas.contains(where: { $0.name == slot.name }) {
      changes.removed.append(slot.name)
      slot.leave { [weak self, unowned slot] in
        self?.slots.removeAll { $0 === slot }
        self?.router.release(slot.participant)
      }
    }
    for persona in personas {
      guard let slot = slot(persona.name) else {
        if let failure = add(persona, .file(path: libraries[persona.name])) {
          changes.refused = (changes.refused ?? [:]).merging([persona.name: failure.message]) { $1 }
        } else {
          changes.added.append(persona.name)
        }
        continue
      }
      if slot.stay == .leaving {
        changes.added.append(persona.name)
        slot.comeBack(persona)
      } else if slot.configuration != persona {
        changes.changed.append(persona.name)
        changes.keys = (changes.keys ?? [:]).merging([persona.name: persona.keys(changedFrom: slot.configuration)]) { $1 }
        slot.configure(persona)
      }
      // It may have come by a save of the file, before it was said from where.
      if let path = libraries[persona.name], slot.current == nil {
        changes.added.append(persona.name)
        slot.load(.file(path: path), force: false) { _ in }
      }
    }
    if settings.watch { watch() }
    return changes
  }

  func announce(_ receipt: Receipt) {
    switch receipt.outcome {
    case .refused:
      log.error("refused", ["persona": receipt.persona, "running": receipt.from ?? 0, "reason": receipt.reason ?? ""])
    case .unchanged: log.debug("unchanged", ["persona": receipt.persona])
    case .unwell: log.warning("not well", ["persona": receipt.persona, "generation": receipt.to ?? 0, "problem": receipt.reason ?? ""])
    case .configured:
      log.info("configured", ["persona": receipt.persona, "keys": (receipt.changes ?? []).joined(separator: " ")])
    default:
      log.info(
        receipt.outcome.rawValue,
        [
          "persona": receipt.persona, "from": receipt.from ?? 0, "to": receipt.to ?? 0, "version": receipt.version ?? "",
          "pause_us": receipt.pause_us ?? 0,
          "held": receipt.held ?? 0, "total_ms": receipt.total_ms,
        ])
    }
    for warning in receipt.warnings ?? [] { log.warning(warning, ["persona": receipt.persona]) }
    if let kept = receipt.to, kept % 500 == 0 {
      log.warning(
        "many generations are kept in memory; restart the kernel when it suits you", ["persona": receipt.persona, "generations": kept])
    }
    router.announce("receipt", PayloadCoding.bytes(of: receipt))
  }

  // MARK: Files

  private func watch() {
    let files = [reloader?.path].compactMap(\.self)
    folders.watch(slots.map(\.configuration.library), files: files) { [weak self] in self?.changed($0) }
  }

  /// A file is new or has been written, and has come to rest; nil: look at all of them.
  private func changed(_ path: String?) {
    // Links may lead elsewhere now.
    watch()
    if let reloader, let file = reloader.path, reloader.hasFailed || path.map({ LibraryFolders.isSame($0, file) }) ?? true {
      reloader.saved()
    }
    for slot in slots {
      if let path, !folders.isFile(of: slot.configuration.library, at: path) { continue }
      if slot.shadows.isWaiting {
        log.info("a changed library waits: a shadow of it is to be promoted or dropped first", ["persona": slot.name])
        continue
      }
      switch slot.state {
      case .running, .loading, .failed: slot.load(.file(), force: false) { _ in }
      case .unloaded: break
      }
    }
  }

  // MARK: The end

  /// No new mail; each finishes what it has begun, saves, and ends.
  func shutDown() {
    folders.close()
    for slot in slots {
      slot.shadows.cancel()
      slot.unload { _ in }
    }
  }

  /// No instance runs, drains, begins or ends.
  var isEmpty: Bool { contexts.isEmpty }
}
