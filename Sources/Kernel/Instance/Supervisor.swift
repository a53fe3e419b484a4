import Glibc
import Protocol
import System

/// All personas of the house: who is to be here, whose file has changed, who is leaving. Event loop only.
final class Supervisor {
  let router: Router
  let inbox: LoopInbox
  let logger: Logger
  let log: Log
  let preparer: LibraryPreparer
  let language: (any LanguageService)?
  let stage: ReplayHost?
  let memory: (any MemoryService)?
  private(set) var settings: ReloadConfiguration
  private let folders: [String]

  /// In the order of personas.toml, then of loading.
  private(set) var slots: [PersonaSlot] = []
  private var contexts: [ObjectIdentifier: InstanceContext] = [:]
  private var watcher: LibraryMonitor?
  private var lastSender: UInt64 = 1 << 48
  /// Answers what personas want of others, in the place of the bus and the services: on the stage of a replay.
  var stub: (any StubResponder)?
  /// Called when the last generation has ended, while the house shuts down.
  var onDrained: (() -> Void)?

  init(
    router: Router, inbox: LoopInbox, logger: Logger, store: LibraryStore, rehearsal: Rehearsal?, stage: ReplayHost?,
    language: (any LanguageService)?,
    memory: (any MemoryService)?, configuration: Configuration
  ) {
    self.router = router
    self.inbox = inbox
    self.logger = logger
    self.language = language
    self.stage = stage
    self.memory = memory
    log = logger.part("reload")
    preparer = LibraryPreparer(store: store, folders: configuration.pluginFolders, rehearsal: rehearsal, inbox: inbox)
    settings = configuration.reload
    folders = configuration.pluginFolders
  }

  func slot(_ name: String) -> PersonaSlot? { slots.first { $0.name == name } }

  // MARK: Generations

  func add(_ context: InstanceContext) { contexts[ObjectIdentifier(context.generation)] = context }
  func isKnown(_ context: InstanceContext) -> Bool { contexts[ObjectIdentifier(context.generation)] === context }
  func remove(_ context: InstanceContext) {
    contexts[ObjectIdentifier(context.generation)] = nil
    if isEmpty { onDrained?() }
  }

  func perform(_ id: ObjectIdentifier, _ body: @escaping (InstanceContext) -> Void) { contexts[id]?.perform(body) }
  func context(_ id: ObjectIdentifier) -> InstanceContext? { contexts[id] }
  func callEnded(_ id: ObjectIdentifier, _ request: UInt64, _ result: Result<[UInt8], Failure>) { contexts[id]?.callEnded(request, result) }

  func remembered(_ id: ObjectIdentifier, _ request: UInt64, _ result: Result<MemoryResult, Failure>) {
    contexts[id]?.remembered(request, result)
  }

  // MARK: Coming and going

  /// Makes the personas of the configuration be here; `done` gets each one's receipt.
  func start(_ personas: [PersonaConfiguration]) {
    for persona in personas { add(persona) }
    if settings.watch { watch() }
  }

  /// False: it cannot be here, and the log says why.
  ///
  /// - Parameters:
  ///   - source: what is loaded this once instead of its own library.
  ///   - prepare: what the slot is to have before the load.
  @discardableResult func add(
    _ persona: PersonaConfiguration, _ source: PersonaSlot.Source = .file(), prepare: (PersonaSlot) -> Void = { _ in },
    done: @escaping (Receipt) -> Void = { _ in }
  ) -> Bool {
    lastSender += 1
    do throws(Failure) {
      let slot = try PersonaSlot(persona, supervisor: self, senderID: lastSender)
      slots.append(slot)
      prepare(slot)
      slot.load(source, force: false, done: done)
      return true
    } catch {
      log.error("cannot have this persona", ["persona": persona.name, "error": error.message])
      return false
    }
  }

  /// personas.toml was read again: who is new comes, who is gone goes, who is changed is told.
  func apply(_ personas: [PersonaConfiguration], _ settings: ReloadConfiguration, libraries: [String: String] = [:]) -> Config.Reload.Reply
  {
    self.settings = settings
    for slot in slots { slot.recorder.limit = settings.recordedGrams }
    var changes = Config.Reload.Reply()
    for slot in slots where !slot.isLeaving && !personas.contains(where: { $0.name == slot.name }) {
      changes.removed.append(slot.name)
      slot.isLeaving = true
      slot.unload { [weak self] _ in
        // It may be wanted again before it has finished.
        guard let self, slot.isLeaving else { return }
        slot.hasLeft = true
        slots.removeAll { $0 === slot }
        router.release(slot.participant)
      }
    }
    for persona in personas {
      guard let slot = slot(persona.name) else {
        if add(persona, .file(path: libraries[persona.name])) { changes.added.append(persona.name) }
        continue
      }
      if slot.isLeaving {
        changes.added.append(persona.name)
        slot.comeBack(persona)
      } else if slot.configuration != persona {
        changes.changed.append(persona.name)
        slot.configure(persona)
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
    if watcher == nil {
      watcher = LibraryMonitor(loop: router.loop, inbox: inbox, log: log, quietMilliseconds: settings.settleMilliseconds) { [weak self] in
        self?.changed($0)
      }
    }
    for folder in folders { watcher?.watch(folder: folder) }
    for slot in slots where slot.configuration.library.contains("/") {
      let path = slot.configuration.library
      watcher?.watch(folder: String(path[..<path.lastIndex(of: "/")!]))
    }
  }

  /// A file is new or has been written, and has come to rest; nil: look at all of them.
  private func changed(_ path: String?) {
    for slot in slots {
      if let path {
        guard let library = try? LibraryFile.resolve(slot.configuration.library, in: folders),
          Self.canonical(library) == Self.canonical(path)
        else {
          continue
        }
      }
      if slot.shadowed != nil {
        log.info("a changed library waits: a shadow of it is to be promoted or dropped first", ["persona": slot.name])
        continue
      }
      switch slot.state {
      case .running, .loading, .failed: slot.load(.file(), force: false) { _ in }
      case .unloaded: break
      }
    }
  }

  /// Without links, doubled slashes and dots; as it is if it does not exist.
  private static func canonical(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  // MARK: The end

  /// No new mail; each finishes what it has begun, saves, and ends.
  func shutDown() {
    watcher?.close()
    for slot in slots {
      slot.shadowPlay?.fall()
      slot.unload { _ in }
    }
  }

  /// No generation runs, drains, begins or ends.
  var isEmpty: Bool { contexts.isEmpty }
}
