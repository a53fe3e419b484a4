import Client
import Glibc
import Synchronization
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

  /// One that ends what is under way has come, and nobody has taken it.
  private static let pendingInterrupt = Atomic<Bool>(false)

  /// Readable when a signal has come.
  static var descriptor: Int32 { ends.read }

  /// For connections that are waited on: any signal ends the wait that is not about the terminal alone.
  static let interrupt = Interrupt(descriptor: descriptor) { takeInterrupt() }

  /// From now on these come through `take`; SIGPIPE is ignored, so that a write reports it.
  ///
  /// A call that waits, such as to open a pipe that nobody writes to, ends with EINTR when one comes.
  static func catching(_ numbers: [Int32]) {
    _ = ends
    pendingInterrupt.store(false, ordering: .relaxed)
    _ = signal(SIGPIPE, SIG_IGN)
    for number in numbers {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        let kept = errno
        var byte = UInt8(truncatingIfNeeded: number)
        if Signals.isEnd(number) { Signals.pendingInterrupt.store(true, ordering: .relaxed) }
        _ = write(Signals.ends.write, &byte, 1)
        errno = kept
      }
      sigaction(number, &action, nil)
    }
  }

  /// Whether it ends what is under way. A change of the window's size does not, and neither does being stopped and going on.
  private static func isEnd(_ number: Int32) -> Bool { number != SIGWINCH && number != SIGTSTP && number != SIGCONT }

  /// The oldest signal that nobody has taken.
  static func take() -> Int32? {
    var byte: UInt8 = 0
    guard read(ends.read, &byte, 1) == 1 else { return nil }
    let number = Int32(byte)
    if isEnd(number) { pendingInterrupt.store(false, ordering: .relaxed) }
    return number
  }

  /// Whether somebody wants us to stop, without taking it.
  static var isInterrupted: Bool { pendingInterrupt.load(ordering: .relaxed) }

  /// Whether somebody wants us to stop.
  static func takeInterrupt() -> Bool {
    while let number = take() { if isEnd(number) { return true } }
    return false
  }

  /// Stops this process, and whoever started it for the terminal, as Ctrl-Z does. Returns when the shell goes on with it.
  static func stop() {
    var (byDefault, before) = (sigaction(), sigaction())
    sigaction(SIGTSTP, &byDefault, &before)
    kill(0, SIGTSTP)
    sigaction(SIGTSTP, &before, nil)
  }
}
