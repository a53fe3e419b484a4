import Glibc
import System

/// A terminal that hands over each key as it is pressed; given back as it was.
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
  }

  deinit {
    var mode = before
    tcsetattr(descriptor, TCSADRAIN, &mode)
  }
}
