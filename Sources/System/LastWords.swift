import CPlatform
import Dispatch
import Glibc

/// What a process says when it ends without wanting to, and how it ends when it does.
public enum LastWords {
  /// From now on a crash, and an exit() that is not ours, is told in one line on standard error: signal, thread, author, library.
  ///
  /// Once, before other threads start.
  public static func report(as program: StaticString) {
    program.withUTF8Buffer { bat_report_crashes(UnsafeRawPointer($0.baseAddress!).assumingMemoryBound(to: CChar.self), STDERR_FILENO) }
  }

  /// Ends the process at once. No handler of exit() is run: one of a library's might wait for ever.
  public static func leave(_ status: Int32) -> Never { bat_leave(status) }

  /// Has the runtime make now what it makes at the first task and the first timer, because it ends the process where it cannot, as when
  /// no descriptor is left.
  public static func warmUp() {
    Task.detached { try? await Task.sleep(nanoseconds: 1) }
    DispatchQueue.global().asyncAfter(deadline: .now()) {}
  }
}
