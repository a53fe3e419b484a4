import Glibc
import System

/// A terminal that hands over each key as it is pressed; given back as it was, also when parlor crashes meanwhile.
struct RawMode: ~Copyable {
  private let descriptor: Int32
  private let before: termios

  /// - Parameter keepsSignals: Ctrl-C and Ctrl-Z go on to be signals.
  /// - Throws: `.failed` when the descriptor is no terminal, or has gone.
  init(_ descriptor: Int32, keepsSignals: Bool = false) throws(CLIError) {
    var before = termios()
    var done = tcgetattr(descriptor, &before) == 0
    if done {
      var mode = before
      cfmakeraw(&mode)
      // Output stays as it was: "\n" begins a new line.
      mode.c_oflag = before.c_oflag
      if keepsSignals { mode.c_lflag |= tcflag_t(ISIG) }
      done = tcsetattr(descriptor, TCSADRAIN, &mode) == 0
    }
    guard done else { throw CLIError(.failed, "the terminal cannot be set up: \(Errno(number: errno))") }
    self.descriptor = descriptor
    self.before = before
    CrashGuard.protect(descriptor, before)
  }

  deinit {
    CrashGuard.release()
    var mode = before
    tcsetattr(descriptor, TCSADRAIN, &mode)
  }
}

/// Gives the terminal back before a crash ends the process: a shell in raw mode is of no use.
private enum CrashGuard {
  private static let signals = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGQUIT]
  // Read by the handler, on whichever thread has crashed; written with the handlers off, or before they are on.
  private nonisolated(unsafe) static var descriptor: Int32 = -1
  private nonisolated(unsafe) static var mode = termios()
  /// What was done before, by the number of the signal. Never freed: a handler may read it at any time.
  private nonisolated(unsafe) static let former = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
  private nonisolated(unsafe) static var isInstalled = false
  private static let farewell: StaticString = "\u{1B}[?2004l\r\n"

  static func protect(_ descriptor: Int32, _ mode: termios) {
    self.mode = mode
    self.descriptor = descriptor
    if isInstalled { return }
    isInstalled = true
    _ = farewell
    // A stack that has overflowed has no room for the handler.
    var stack = stack_t(ss_sp: .allocate(byteCount: 1 << 16, alignment: 16), ss_flags: 0, ss_size: 1 << 16)
    sigaltstack(&stack, nil)
    for number in signals {
      var action = sigaction()
      action.sa_flags = SA_ONSTACK | SA_NODEFER
      action.__sigaction_handler.sa_handler = { number in CrashGuard.giveBack(number) }
      sigaction(number, &action, CrashGuard.former + Int(number))
    }
  }

  static func release() { descriptor = -1 }

  /// Only what a signal handler may do.
  private static func giveBack(_ number: Int32) {
    if descriptor >= 0 {
      tcsetattr(descriptor, TCSANOW, &mode)
      // No marks around pasted text any more, and below whatever is drawn.
      _ = write(1, farewell.utf8Start, farewell.utf8CodeUnitCount)
    }
    sigaction(number, former + Int(number), nil)
    raise(number)
  }
}
