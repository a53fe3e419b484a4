import CPlatform
import Glibc
import Protocol
import System

/// The kernel: one event loop with the router on it, and the personas on their lanes.
///
/// Make it and run it on one thread. From other threads it is reached through `inbox` alone.
public final class BatKernel {
  public static let version = "0.1.0"

  let loop: EventLoop
  let router: Router
  let supervisor: Supervisor
  let control: Control
  /// The way in from other threads.
  public let inbox: LoopInbox
  private let log: Log
  private let logger: Logger
  private var configuration: Configuration
  private var listener: Listener?
  private var doors: [Door] = []
  private let language: (any LanguageService)?
  private let memory: (any MemoryService)?
  private let store: LibraryStore
  private var isStopping = false
  private var reloader: ConfigurationReloader?

  /// Nothing is opened yet but the event loop.
  /// - Parameters:
  ///   - rehearsal: how libraries are rehearsed; nil: they are not.
  ///   - stage: how new versions answer copies of old messages; nil: they do not.
  ///   - copies: the folder in which copies of libraries are kept; nil, or if it cannot be used: one beside the socket.
  ///   - configurationPath: where personas.toml is; nil: it is not watched.
  ///   - readConfiguration: reads personas.toml again, on any thread: for SIGHUP, `config.reload`, and when it is saved.
  public init(
    _ configuration: Configuration, logger: Logger, language: (any LanguageService)? = nil, memory: (any MemoryService)? = nil,
    rehearsal: Rehearsal? = nil, stage: ReplayHost? = nil, copies: String? = nil,
    configurationPath: String? = nil,
    readConfiguration: (@Sendable () throws(Failure) -> Configuration)? = nil
  ) throws(Failure) {
    self.configuration = configuration
    self.logger = logger
    self.language = language
    self.memory = memory
    log = logger.part("kernel")
    loop = EventLoop()
    inbox = LoopInbox()
    router = Router(loop: loop, limits: configuration.limits, log: logger.part("bus"))
    let runtimeFolder = configuration.runtimeFolder
    Listener.makeFolder(runtimeFolder)
    store = try Self.store(in: copies, else: runtimeFolder + "/libraries", log)
    supervisor = Supervisor(
      .init(
        router: router, inbox: inbox, logger: logger, store: store, rehearsal: rehearsal, stage: stage, language: language,
        memory: memory),
      configuration)
    control = Control(router: router, supervisor: supervisor, version: Self.version)
    router.control = control
    if let readConfiguration {
      let reloader = ConfigurationReloader(path: configurationPath, inbox: inbox, log: log, read: readConfiguration) { [unowned self] in
        takeOver($0, $1)
      }
      self.reloader = reloader
      supervisor.reloader = reloader
    }
    try open(inbox.descriptor) { [unowned self] in inbox.acknowledge() }
    inbox.onBroken.withLock { $0 = { [log, logger] in Self.broken($0, log, logger) } }
    loop.betweenEvents = { [unowned self] in
      router.settle()
      if inbox.hasJobs {
        for job in inbox.take() { job(self) }
        router.settle()
      }
    }
  }

  private static func store(in folder: String?, else other: String, _ log: Log) throws(Failure) -> LibraryStore {
    if let folder {
      if let parent = folder.lastIndex(of: "/") { Listener.makeFolder(String(folder[..<parent])) }
      do throws(LibraryError) { return try LibraryStore(in: folder) } catch {
        log.warning("copies of libraries are kept beside the socket", ["instead of": folder, "error": error.message])
      }
    }
    do throws(LibraryError) { return try LibraryStore(in: other) } catch { throw Failure(error) }
  }

  /// Listens on the configuration's socket. If it cannot, the kernel is of no use any more, and leaves no file behind.
  public func listen() throws(Failure) {
    do throws(Failure) {
      listener = try Listener(path: configuration.socketPath, loop: loop, log: logger.part("io")) {
        [unowned self] descriptor, pid, isSpare in
        router.connections.accept(descriptor, pid: pid, isSpare: isSpare)
      }
    } catch {
      store.remove()
      throw error
    }
    log.info("listening", ["socket": configuration.socketPath, "pid": getpid(), "version": Self.version])
  }

  /// Takes over a connected socket as a client, for tests and embedding. Before `run`, or by `inbox`.
  public func adopt(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    router.connections.accept(descriptor, pid: getpid())
  }

  /// SIGTERM and SIGINT stop it, SIGHUP reads personas.toml again. Blocks them for this thread and those that it starts.
  public func handleSignals() throws(Failure) {
    let signals: [Int32] = [SIGTERM, SIGINT, SIGHUP]
    let descriptor = bat_signalfd(signals, Int32(signals.count))
    try open(descriptor) { [unowned self] in
      while true {
        switch bat_next_signal(descriptor) {
        case SIGHUP:
          reloader?.reload { [log] in
            switch $0 {
            case .success(let changes): log.info("personas.toml read again", ConfigurationReloader.fields(changes))
            case .failure(let failure):
              log.error("personas.toml is not taken over, everything stays as it was", ["error": failure.message])
            }
          }
        case SIGTERM, SIGINT: stop()
        default: return
        }
      }
    }
  }

  /// Serves on this thread until `stop`; loads the configuration's personas first.
  public func run() {
    signal(SIGPIPE, SIG_IGN)
    bat_raise_descriptor_limit()
    supervisor.start(configuration.personas)
    do throws(Errno) { try loop.run() } catch { Self.broken(error, log, logger) }
    inbox.close()
    store.remove()
    log.info("stopped")
    logger.finish()
  }

  /// The kernel cannot go on, and says so: half of a house that looks alive is worse than none.
  private static func broken(_ error: Errno, _ log: Log, _ logger: Logger) -> Never {
    log.error(
      "the kernel ends: a descriptor of its own was closed by code in this process, most likely a library's; see which was loaded or called last",
      ["error": "\(error)"])
    logger.finish()
    bat_leave(EX_SOFTWARE)
  }

  /// Drains: no new clients, each persona finishes what it has begun (at most 10 s), then `run` returns. Event loop only.
  public func stop() {
    if isStopping { return loop.stop() }
    isStopping = true
    log.info("stopping")
    listener?.close()
    supervisor.onDrained = { [unowned self] in finishIfDrained() }
    supervisor.shutDown()
    let limit = min(10_000, supervisor.settings.drainMilliseconds + supervisor.settings.callMilliseconds)
    loop.after(milliseconds: limit) { [unowned self] in
      log.warning("some personas did not finish in time")
      end()
    }
    finishIfDrained()
  }

  private var isEnding = false

  private func finishIfDrained() { if supervisor.isEmpty { end() } }

  private func end() {
    if isEnding { return }
    isEnding = true
    // The model's own child takes a moment to go; clients still hear the last words meanwhile.
    let language = language
    let memory = memory
    let inbox = inbox
    let stop: @Sendable () -> Void = {
      language?.stop()
      memory?.stop()
      inbox.post { kernel in
        kernel.router.flush()
        kernel.router.connections.closeAll()
        kernel.loop.stop()
      }
    }
    // Without a thread the last words have to wait.
    do throws(Errno) { try startThread(name: "stop", stop) } catch { stop() }
  }

  private func takeOver(_ new: Configuration, _ libraries: [String: String]) -> Config.Reload.Reply {
    let changes = ConfigurationChanges(from: configuration, to: new)
    logger.configure(new.log)
    router.limits = new.limits
    if !changes.restart.isEmpty {
      log.warning(
        "changed keys of personas.toml take effect when the kernel is started again", ["keys": changes.restart.joined(separator: " ")])
    }
    language?.configure(new.language)
    memory?.configure(new.memory)
    configuration.takeOver(new)
    var reply = supervisor.apply(new.personas, new.reload, libraries: libraries)
    reply.applied = changes.applied
    reply.restart = changes.restart
    return reply
  }

  private func open(_ descriptor: Int32, _ ready: @escaping () -> Void) throws(Failure) {
    let door = Door(ready)
    do throws(Errno) { _ = try loop.add(descriptor, EPOLLIN.rawValue, door) } catch {
      throw Failure(.failed, "the kernel cannot watch a descriptor of its own: \(error)")
    }
    doors.append(door)
  }
}

/// A descriptor whose events are one closure's matter.
private final class Door: EventSource {
  private let action: () -> Void
  init(_ action: @escaping () -> Void) { self.action = action }
  func ready(_ events: UInt32) { action() }
}
