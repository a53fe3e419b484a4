import CPlatform
import Glibc

/// One child process: started here and nowhere else, so that what a child inherits is decided in one place.
///
/// It gets standard input, output and error as its plan says and no other descriptor, no blocked signal, and every signal's default
/// action. Not for several threads at a time.
public final class Subprocess {
  public enum Input: Sendable {
    /// /dev/null.
    case nothing
    /// Bytes of any length, which it can read at once.
    case bytes([UInt8])
    /// A descriptor, which stays the caller's.
    case descriptor(Int32)
    /// A pipe that we never write to: its end tells the child that we have gone, however we went.
    case lifeline
  }
  public enum Output: Sendable {
    /// As ours.
    case inherited
    /// /dev/null.
    case nothing
    /// A pipe, whose other end is `output`.
    case pipe
    /// A descriptor, which stays the caller's.
    case descriptor(Int32)
  }
  public enum Group: Sendable {
    /// Ours: a terminal's Ctrl-C reaches it.
    case ours
    /// One of its own: `signal` reaches all of it.
    case own
    /// A session of its own, for a program that puts its own children into groups.
    case session
  }

  /// What is started, and with what.
  public struct Plan: Sendable {
    /// The program, looked for in PATH if there is no slash in it, and its arguments.
    public var words: [String]
    /// Where it begins; nil: where we are.
    public var folder: String?
    /// "NAME=VALUE"; nil: ours.
    public var environment: [String]?
    public var input = Input.nothing
    public var output = Output.pipe
    /// Nil: the same as the output.
    public var errors: Output? = .inherited
    public var group = Group.ours

    public init(_ words: [String]) { self.words = words }
  }

  /// It could not be started.
  public struct Failed: Error, Sendable, Equatable, CustomStringConvertible {
    public let errno: Errno
    public let program: String
    public var description: String { "\(program) cannot be started: \(errno)" }
  }

  /// How a child has ended.
  public enum Exit: Sendable, Equatable, CustomStringConvertible {
    case status(Int32)
    case signal(Int32)

    public var description: String {
      switch self {
      case .status(let status): "exit \(status)"
      case .signal(let signal): "signal \(signal)"
      }
    }
  }

  public let pid: pid_t
  /// Where its output can be read, if that is a pipe. Owned by this.
  public let output: Int32?
  private var lifeline: Int32?
  private let group: Group
  private var exit: Exit?

  public init(_ plan: Plan) throws(Failed) {
    func failed(_ errno: Errno) -> Failed { Failed(errno: errno, program: plan.words.first ?? "nothing") }
    guard let program = plan.words.first else { throw failed(Errno(number: EINVAL)) }
    var actions = SpawnActions()
    var hasStarted = false
    defer { actions.end(hasStarted: hasStarted) }
    var child: pid_t = 0
    do throws(Errno) {
      lifeline = try actions.add(plan.input)
      output = try actions.add(plan.output, as: 1)
      if let errors = plan.errors { _ = try actions.add(errors, as: 2) } else { actions.duplicate(1, as: 2) }
      try actions.spawn(&child, program, plan)
    } catch { throw failed(error) }
    hasStarted = true
    pid = child
    group = plan.group
  }

  /// What is left of it is killed and waited for, which is short then.
  deinit {
    if exit == nil {
      signal(SIGKILL)
      _ = wait()
    }
    hangUp()
    if let output { close(output) }
  }

  /// Sends it, or its whole group if it has one of its own, a signal. None after `wait`.
  public func signal(_ number: Int32) {
    guard exit == nil else { return }
    if case .ours = group { kill(pid, number) } else { kill(-pid, number) }
  }

  /// Ends its lifeline, as our own end would.
  public func hangUp() {
    if let lifeline { close(lifeline) }
    lifeline = nil
  }

  /// Waits until it has ended, and says how. Again is no error.
  @discardableResult
  public func wait() -> Exit {
    if let exit { return exit }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let ended: Exit = status & 0x7f == 0 ? .status(status >> 8 & 0xff) : .signal(status & 0x7f)
    exit = ended
    return ended
  }

  /// All of its output to the end; the last of it is lost when the time is over or it says more than `limit` bytes: then it is killed.
  ///
  /// - Parameter milliseconds: nil: as long as it takes.
  public func readAll(milliseconds: Int? = nil, limit: Int = .max) -> (bytes: [UInt8], isWhole: Bool) {
    guard let output else { return ([], true) }
    var bytes: [UInt8] = []
    let began = MachineClock.now()
    while true {
      var pause: Int32 = -1
      if let milliseconds {
        let left = milliseconds - Int((MachineClock.now() - began) / 1_000_000)
        if left <= 0 { break }
        pause = Int32(clamping: left)
      }
      var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, pause) <= 0 { continue }
      let count = readMore(from: output, into: &bytes)
      if count == 0 || count < 0 && errno != EINTR && errno != EAGAIN { return (bytes, true) }
      if bytes.count > limit { break }
    }
    signal(SIGKILL)
    return (bytes, false)
  }
}

/// Reads at most 64 KiB to the end of `bytes`; what read(2) returns.
@discardableResult
public func readMore(from descriptor: Int32, into bytes: inout [UInt8]) -> Int {
  let size = 65536
  var count = 0
  let piece = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
    count = read(descriptor, buffer.baseAddress, size)
    filled = max(0, count)
  }
  bytes += piece
  return count
}

/// Writes everything, or says false and leaves errno as it was set.
public func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  bytes.withUnsafeBytes { raw in
    var at = 0
    while at < raw.count {
      let count = write(descriptor, raw.baseAddress! + at, raw.count - at)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return false }
      at += count
    }
    return true
  }
}

/// posix_spawn(3) and what it is told.
private struct SpawnActions {
  private var files = posix_spawn_file_actions_t()
  /// What was opened for the child, and is closed here in any case.
  private var theirs: [Int32] = []
  /// What stays open if the child starts.
  private var ours: [Int32] = []

  init() { posix_spawn_file_actions_init(&files) }

  mutating func end(hasStarted: Bool) {
    for descriptor in theirs + (hasStarted ? [] : ours) { close(descriptor) }
    posix_spawn_file_actions_destroy(&files)
  }

  mutating func duplicate(_ descriptor: Int32, as number: Int32) { posix_spawn_file_actions_adddup2(&files, descriptor, number) }

  private mutating func openNothing(_ flags: Int32, as number: Int32) {
    posix_spawn_file_actions_addopen(&files, number, "/dev/null", flags, 0)
  }

  private static func pipe() throws(Errno) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard bat_pipe(&ends) == 0 else { throw .last }
    return (ends[0], ends[1])
  }

  /// Our end of a lifeline, if it is one.
  mutating func add(_ input: Subprocess.Input) throws(Errno) -> Int32? {
    switch input {
    case .nothing: openNothing(O_RDONLY, as: 0)
    case .descriptor(let descriptor): duplicate(descriptor, as: 0)
    case .lifeline:
      let ends = try Self.pipe()
      theirs.append(ends.read)
      ours.append(ends.write)
      duplicate(ends.read, as: 0)
      return ends.write
    case .bytes(let bytes):
      let file = bat_memfd("bat-input")
      guard file >= 0 else { throw .last }
      theirs.append(file)
      guard writeAll(bytes, to: file), lseek(file, 0, SEEK_SET) == 0 else { throw .last }
      duplicate(file, as: 0)
    }
    return nil
  }

  /// Our end of a pipe, if it is one.
  mutating func add(_ output: Subprocess.Output, as number: Int32) throws(Errno) -> Int32? {
    switch output {
    case .inherited: break
    case .nothing: openNothing(O_WRONLY, as: number)
    case .descriptor(let descriptor): duplicate(descriptor, as: number)
    case .pipe:
      let ends = try Self.pipe()
      ours.append(ends.read)
      theirs.append(ends.write)
      duplicate(ends.write, as: number)
      return ends.read
    }
    return nil
  }

  mutating func spawn(_ child: inout pid_t, _ program: String, _ plan: Subprocess.Plan) throws(Errno) {
    if let folder = plan.folder { bat_spawn_chdir(&files, folder) }
    bat_spawn_close_from(&files, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    switch plan.group {
    case .ours: break
    case .own:
      posix_spawnattr_setpgroup(&attributes, 0)
      flags |= POSIX_SPAWN_SETPGROUP
    case .session: flags |= bat_spawn_setsid()
    }
    posix_spawnattr_setflags(&attributes, Int16(flags))
    let words = plan.words.map { strdup($0) }
    let variables = plan.environment?.map { strdup($0) }
    defer { for text in words + (variables ?? []) { free(text) } }
    var arguments: [UnsafeMutablePointer<CChar>?] = words + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = (variables ?? []) + [nil]
    let code = environment.withUnsafeMutableBufferPointer { own in
      posix_spawnp(&child, program, &files, &attributes, &arguments, variables == nil ? bat_environment() : own.baseAddress)
    }
    if code != 0 { throw Errno(number: code) }
  }
}

/// "NAME=VALUE" for each variable of our own environment.
public func environmentLines() -> [String] {
  var lines: [String] = []
  var next = bat_environment()
  while let line = next?.pointee {
    lines.append(String(cString: line))
    next = next?.advanced(by: 1)
  }
  return lines
}
