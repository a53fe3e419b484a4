import CPlatform
import Glibc
import Synchronization

/// What all code in this process shares, and a persona's has no business to change: the working folder, the mask of new files, the locale, the
/// ways of signals, the standard descriptors, the limit of open files, and alarms.
///
/// A value of it is how it was; `putBack` finds what is other now and makes it as it was.
struct ProcessState: Sendable {
  private static let signals: [(number: Int32, name: String)] = [
    (SIGCHLD, "SIGCHLD"), (SIGPIPE, "SIGPIPE"), (SIGTERM, "SIGTERM"), (SIGINT, "SIGINT"), (SIGHUP, "SIGHUP"), (SIGSEGV, "SIGSEGV"),
    (SIGBUS, "SIGBUS"), (SIGILL, "SIGILL"), (SIGFPE, "SIGFPE"), (SIGABRT, "SIGABRT"), (SIGTRAP, "SIGTRAP"), (SIGALRM, "SIGALRM"),
  ]

  private let folder: String
  private let mask: mode_t
  private let locale: String
  private let actions: [SignalAction]
  /// Copies of 0, 1 and 2, beyond the reach of `close(1)`; -1 where there was none.
  private let standard: [Int32]
  private let openFiles: rlimit

  /// `@unchecked Sendable`: a handler is the address of a function.
  private struct SignalAction: @unchecked Sendable {
    var action: sigaction
    init(of signal: Int32) {
      action = sigaction()
      sigaction(signal, nil, &action)
    }
    var handler: UInt { unsafeBitCast(action.__sigaction_handler, to: UInt.self) }
    /// The flag of the way back from a handler is the C library's own.
    private var flags: Int32 { action.sa_flags & ~0x0400_0000 }
    func isSame(as other: SignalAction) -> Bool { handler == other.handler && flags == other.flags }
  }

  /// As it is now.
  init() {
    folder = Self.currentFolder() ?? "/"
    mask = Self.currentMask()
    locale = setlocale(LC_ALL, nil).map { String(cString: $0) } ?? "C"
    actions = Self.signals.map { SignalAction(of: $0.number) }
    standard = (0...2).map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
    openFiles = Self.currentLimit()
  }

  /// Makes everything as it was. Returns what was other, in words; empty: nothing. Any thread, one call at a time.
  func putBack() -> [String] {
    var changes: [String] = []
    if let now = Self.currentFolder(), now != folder {
      chdir(folder)
      changes.append("the working folder (to \(now))")
    } else if Self.currentFolder() == nil {
      // It was removed: a folder that is there is better for everybody's relative paths.
      chdir(folder)
    }
    let mask = Self.currentMask()
    if mask != self.mask {
      umask(self.mask)
      changes.append("the umask (to 0\(String(mask, radix: 8)))")
    }
    if let now = setlocale(LC_ALL, nil).map({ String(cString: $0) }), now != locale {
      setlocale(LC_ALL, locale)
      changes.append("the locale (to \(now.prefix(64)))")
    }
    for (signal, was) in zip(Self.signals, actions) {
      let now = SignalAction(of: signal.number)
      if now.isSame(as: was) { continue }
      var action = was.action
      sigaction(signal.number, &action, nil)
      let what = now.handler == 1 ? "it was ignored" : now.handler == 0 ? "its default" : "a handler of its own"
      changes.append("what \(signal.name) does (\(what))")
    }
    for (number, copy) in zip(Int32(0)..., standard) where copy >= 0 && !Self.isSameFile(number, copy) {
      dup2(copy, number)
      changes.append(["standard input", "standard output", "standard error"][Int(number)] + " (closed, or led elsewhere)")
    }
    if Self.currentLimit().rlim_cur < openFiles.rlim_cur {
      var limit = openFiles
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { changes.append("the limit of open files") }
    }
    var alarm = itimerval()
    if getitimer(__itimer_which_t(ITIMER_REAL.rawValue), &alarm) == 0, alarm.it_value.tv_sec != 0 || alarm.it_value.tv_usec != 0 {
      var none = itimerval()
      setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &none, nil)
      changes.append("the alarm clock (set; SIGALRM would end the kernel)")
    }
    return changes
  }

  // MARK: As it is now

  private static func currentFolder() -> String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }

  /// There is no way to read it but to set it; for that moment new files are for the user alone.
  private static func currentMask() -> mode_t {
    let mask = umask(0o077)
    umask(mask)
    return mask
  }

  private static func currentLimit() -> rlimit {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return limit
  }

  /// True too where the copy itself is gone, and nothing can be put back.
  private static func isSameFile(_ number: Int32, _ copy: Int32) -> Bool {
    var (now, was) = (stat(), stat())
    if fstat(copy, &was) != 0 { return true }
    return fstat(number, &now) == 0 && now.st_ino == was.st_ino && now.st_dev == was.st_dev
  }
}

/// Looks after the code of personas has run, and puts back what it has changed of the process. Any thread.
public enum ProcessGuard {
  private static let state = Mutex<ProcessState?>(nil)

  /// From now on the process is to stay as it is.
  public static func begin() {
    let now = ProcessState()
    state.withLock { if $0 == nil { $0 = now } }
  }

  /// Descriptors of the kernel's that are closed although it has not closed them; each is told once.
  private static func lost() -> String? {
    guard state.withLock({ $0 != nil }) else { return nil }
    var found = [Int32](repeating: 0, count: 16)
    let count = Int(bat_lost(&found, Int32(found.count)))
    return count == 0 ? nil : found[..<count].map(String.init).joined(separator: ", ")
  }

  /// What was changed since the last look and has been put back, in one sentence that begins with its subject; nil: nothing.
  static func putBack(after call: String, of persona: String) -> String? {
    let changes = state.withLock { $0?.putBack() ?? [] }
    if let lost = lost() {
      return "\(persona) has closed in \(call) descriptors that are the kernel's (\(lost)); they cannot be put back: restart the kernel"
    }
    if changes.isEmpty { return nil }
    let list = changes.joined(separator: ", ")
    return "\(persona) has changed in \(call) what belongs to the whole process: \(list); it was put back. A persona must leave that alone"
  }
}
