import Kernel
import System

/// The thread on which conversations and spending are read and written: a disk or a lock that is slow holds up nobody who
/// does not need it. It begins with the first job. Any thread.
final class HistoryThread: Sendable {
  private typealias Job = @Sendable (Histories) -> Void

  /// So many jobs may wait before what nobody has been promised yet is refused.
  private static let limit = 4096

  private let thread: SerialThread<Job>
  private let statistics: StatisticsBoard

  init(
    folder: String?, clock: @escaping @Sendable () -> Int64, statistics: StatisticsBoard,
    note: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.statistics = statistics
    thread = SerialThread(name: "history") {
      let histories = Histories(folder: folder, clock: clock, note: note)
      return SerialWorker { jobs in for job in jobs { job(histories) } }
    }
  }

  /// Also where the thread cannot be begun.
  var isFull: Bool { thread.waiting >= Self.limit || !thread.begin() }

  /// Does it after all that was posted before; `done` is called on the thread. Nothing happens after `stop`.
  func run<Value: Sendable>(_ work: @escaping @Sendable (Histories) -> Value, done: @escaping @Sendable (Value) -> Void = { _ in }) {
    _ = thread.post { [statistics] histories in
      let value = work(histories)
      statistics.change {
        $0.conversations = histories.count
        $0.history_failures = histories.failures
      }
      done(value)
    }
  }

  /// Returns when everything that was posted is done.
  func stop() { thread.stop() }
}
