import Client
import Glibc
import System

/// Signals as bytes in a pipe, so that one `poll` waits for them and for everything else.
enum Signals {
  /// Made once, before the first handler is installed; lives as long as the process.
  private static let ends: (read: Int32, write: Int32) = {
    var pair: [Int32] = [0, 0]
    precondition(pipe(&pair) == 0, "no pipe could be made: \(Errno(number: errno))")
    for end in pair {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    return (pair[0], pair[1])
  }()

  /// Readable when a signal has come.
  static var descriptor: Int32 { ends.read }

  /// For connections that are waited on: any signal ends the wait, but a change of the window's size.
  static let interrupt = Interrupt(descriptor: descriptor) { takeInterrupt() }

  /// From now on these come through `take`; SIGPIPE is ignored, so that a write reports it.
  static func catching(_ numbers: [Int32]) {
    _ = ends
    _ = signal(SIGPIPE, SIG_IGN)
    for number in numbers {
      _ = signal(number) { number in
        let kept = errno
        var byte = UInt8(number)
        _ = write(Signals.ends.write, &byte, 1)
        errno = kept
      }
    }
  }

  /// The oldest signal that nobody has taken.
  static func take() -> Int32? {
    var byte: UInt8 = 0
    return read(ends.read, &byte, 1) == 1 ? Int32(byte) : nil
  }

  /// Whether somebody wants us to stop. A change of the window's size is no reason.
  static func takeInterrupt() -> Bool {
    while let number = take() { if number != SIGWINCH { return true } }
    return false
  }
}
