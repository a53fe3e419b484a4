import CPlatform
import Glibc
import Protocol
import System

extension Subprocess {
  /// Starts one of the kernel's own children, without Swift's backtracer: a crash is told by its signal, and a backtrace would only
  /// take its time.
  static func started(_ plan: Plan) throws(Failure) -> Subprocess {
    var plan = plan
    plan.environment = environmentLines().filter { !$0.hasPrefix("SWIFT_BACKTRACE=") } + ["SWIFT_BACKTRACE=enable=no"]
    do throws(Failed) { return try Subprocess(plan) } catch { throw Failure(.failed, error.description) }
  }
}

/// The child's side of a rehearsal or replay: a process in which a persona's code runs, and which ends with the kernel.
enum ChildProgram {
  /// Keeps a standard descriptor for our own words, where neither the persona nor a program that it starts can reach it. The
  /// persona finds nothing to read on standard input, and what it prints goes to standard error.
  ///
  /// - Returns: the descriptor to use from now on; nil: the system refused.
  static func keep(_ descriptor: Int32) -> Int32? {
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard own >= 0, nothing >= 0, dup2(nothing, 0) >= 0, dup2(2, 1) >= 0 else { return nil }
    close(nothing)
    bat_die_with_parent()
    return own
  }
}
