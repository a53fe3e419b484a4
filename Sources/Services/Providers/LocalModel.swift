import Glibc
import Kernel
import Protocol
import System

/// The model server that is the kernel's own child, on a Unix socket. For the chat thread.
///
/// `Supervision` decides, this carries out: starts the process, asks /health, keeps the log.
final class LocalModel {
  let socketPath: String
  private let provider: ProviderConfiguration
  private let configuration: LocalModelConfiguration
  private let http: HTTPClient
  private let note: (LogConfiguration.Level, String) -> Void
  private var supervision: Supervision
  private var child: Subprocess?
  private var check: HTTPClient.ID?
  private var log: ChildLog
  private var startedAt: Milliseconds = 0
  private(set) var starts = 0

  /// Something that `parlor stats` shows is not what it was.
  var onChange: () -> Void = {}
  /// It could not be brought up; what waits should end with this.
  var onGiveUp: (Failure) -> Void = { _ in }

  init(
    _ provider: ProviderConfiguration, _ configuration: LocalModelConfiguration, runtimeFolder: String, http: HTTPClient,
    note: @escaping (LogConfiguration.Level, String) -> Void
  ) {
    self.provider = provider
    self.configuration = configuration
    self.http = http
    self.note = note
    socketPath = Self.socketPath(in: runtimeFolder)
    log = ChildLog(path: configuration.logPath ?? "\(runtimeFolder)/model.log")
    supervision = Supervision(startLimit: Milliseconds(provider.silenceMilliseconds))
  }

  /// False: it would have to be started anew.
  func isMade(for provider: ProviderConfiguration, _ configuration: LocalModelConfiguration) -> Bool {
    provider.contextTokens == self.provider.contextTokens && configuration == self.configuration
  }

  static func socketPath(in runtimeFolder: String) -> String { "\(runtimeFolder)/model.sock" }

  /// Where `./bat up` puts the Python environment; nil if neither XDG_DATA_HOME nor HOME is set.
  static func installedEnvironment(environment: (String) -> String?) -> String? {
    let data = environment("XDG_DATA_HOME").flatMap { $0.isEmpty ? nil : $0 } ?? environment("HOME").map { "\($0)/.local/share" }
    return data.map { "\($0)/bat/model/venv" }
  }

  static func installedPython(environment: (String) -> String?) -> String? {
    installedEnvironment(environment: environment).map { "\($0)/bin/python" }
  }

  var logPath: String { log.path }
  var pid: pid_t? { child?.pid }
  /// "stopped", "starting", "ready" …
  var state: String {
    switch supervision.phase {
    case .stopped: "stopped"
    case .starting: "starting"
    case .checking, .ready: "ready"
    case .pausing: "restarting"
    case .killed: "restarting"
    }
  }

  /// Readable when `readOutput` should be called.
  var descriptor: Int32? { child?.output ?? nil }
  var nextTimer: Milliseconds? { supervision.nextTimer }
  var isReady: Bool { supervision.isReady(at: MachineClock.nowMilliseconds()) }

  func handle(_ event: Supervision.Event) {
    onChange()
    if event == .needed, supervision.phase == .stopped, let obstacle = obstacle() { return onGiveUp(obstacle) }
    for action in supervision.handle(event, at: MachineClock.nowMilliseconds()) {
      switch action {
      case .start: start()
      case .check: askHealth()
      case .kill: child?.signal(SIGKILL)
      case .ready:
        if starts > 0, startedAt > 0 {
          note(.info, "the local model is ready after \(MachineClock.nowMilliseconds() - startedAt) ms, pid \(pid ?? 0)")
          startedAt = 0
        }
      case .giveUp:
        onGiveUp(
          Failure(
            .llmUnreachable,
            "the local model server did not come up in \(Supervision.limit) attempts (\(log.lastLines)): see \(log.path), "
              + "run `./bat up` again, or set [llm] provider to \"ollama\" or \"openai\" in personas.toml"))
      }
    }
  }

  /// Why it cannot be started at all, before anything is tried.
  private func obstacle() -> Failure? {
    // sun_path takes 107 bytes, and servers write names of their own beside it.
    guard socketPath.utf8.count < 100 else {
      return Failure(
        .llmUnreachable,
        "the local model's socket path is longer than 99 bytes: \(socketPath); put the kernel's socket into a folder with a shorter path")
    }
    guard configuration.command.isEmpty else { return nil }
    let python = Self.installedPython(environment: environmentVariable)
    guard let python, access(python, X_OK) == 0 else {
      return Failure(
        .llmUnreachable,
        "the local model is not installed (\(python ?? "HOME is not set")): run `./bat up`, or set [llm] provider to \"ollama\" or \"openai\" in personas.toml"
      )
    }
    return nil
  }

  private var command: [String] {
    if !configuration.command.isEmpty {
      // The kernel's death must be the child's; a foreign program does not watch its input for that.
      let guardian = access("/usr/bin/setpriv", X_OK) == 0 ? ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"] : []
      return guardian + configuration.command + [socketPath]
    }
    let python = Self.installedPython(environment: environmentVariable) ?? "python3"
    return [python, "-I", "-c", localModelProgram, socketPath, "\(provider.contextTokens)"]
  }

  private func start() {
    unlink(socketPath)
    log.begin()
    starts += 1
    startedAt = MachineClock.nowMilliseconds()
    do {
      let threads = ["OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=0", "OMP_NUM_THREADS=1"]
      var plan = Subprocess.Plan(command)
      plan.environment = environmentLines().filter { !$0.hasPrefix("OMP_") && !$0.hasPrefix("GOMP_") } + threads
      plan.input = .lifeline
      plan.errors = nil
      // Its own group keeps the terminal's Ctrl-C from it.
      plan.group = .own
      let child = try Subprocess(plan)
      if let output = child.output { _ = fcntl(output, F_SETFL, O_NONBLOCK) }
      self.child = child
      note(.info, "the local model starts, pid \(child.pid); its log is \(log.path)")
    } catch {
      keep(Array("batmodel: \(error)\n".utf8))
      handle(.exited)
    }
  }

  private func askHealth() {
    let request = HTTPRequest(url: "http://localhost/health", socketPath: socketPath, connectMilliseconds: 2000, silenceMilliseconds: 2000)
    check = http.start(request) { _, _ in
      true
    } end: { [self] end in
      check = nil
      // 503: it is loading. A server that knows no /health and answers at all is well.
      if case .complete(let status, _) = end { handle(.health(status != 503)) } else { handle(.health(false)) }
    }
  }

  /// Keeps what the child has said; at the end of its output it has gone.
  func readOutput() {
    guard let child else { return }
    guard let bytes = Self.read(child) else {
      // What is left of its group goes with it.
      child.signal(SIGKILL)
      let how = child.wait()
      self.child = nil
      if let check { http.cancel(check) }
      check = nil
      keep(Array("batmodel: ended, \(how)\n".utf8))
      note(.warning, "the local model has ended (\(how)): \(log.lastLines)")
      return handle(.exited)
    }
    keep(bytes)
  }

  private func keep(_ bytes: [UInt8]) {
    if let problem = log.append(bytes) { note(.warning, "the local model's log cannot be written: \(problem)") }
  }

  /// What it has said, at most 64 KiB at a time. Empty: nothing now. Nil: it has closed its output.
  private static func read(_ child: Subprocess) -> [UInt8]? {
    guard let output = child.output else { return nil }
    var bytes: [UInt8] = []
    let count = readMore(from: output, into: &bytes)
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) ? nil : bytes
  }

  /// A child on its way to the thread that ends it; nobody else has it any more.
  private struct Leaving: @unchecked Sendable { let child: Subprocess }

  /// Asks it to end, and after the patience kills it. Returns when it is gone.
  private static func end(_ child: Subprocess, patience: Milliseconds) {
    child.hangUp()
    child.signal(SIGTERM)
    let deadline = MachineClock.nowMilliseconds() + patience
    var poll = pollfd(fd: child.output ?? -1, events: Int16(POLLIN), revents: 0)
    // The output ends when it has gone.
    while MachineClock.nowMilliseconds() < deadline {
      let ready = Glibc.poll(&poll, 1, Int32(max(0, deadline - MachineClock.nowMilliseconds())))
      if ready > 0, read(child) == nil { break }
    }
    child.signal(SIGKILL)
    child.wait()
  }

  /// Ends the child, on a thread of its own: it may take its time. `done` is called when it is gone, on any thread, and at
  /// once where there is none.
  func stop(done: @escaping @Sendable () -> Void) {
    if let check { http.cancel(check) }
    check = nil
    log.close()
    guard let child else {
      unlink(socketPath)
      return done()
    }
    self.child = nil
    let (leaving, path) = (Leaving(child: child), socketPath)
    let end: @Sendable () -> Void = {
      Self.end(leaving.child, patience: 2000)
      unlink(path)
      done()
    }
    do throws(Errno) { try startThread(name: "llm-child-end", end) } catch { end() }
  }
}

/// The variable of the kernel's environment.
func environmentVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
