import Glibc
import Synchronization

/// The kernel's log: hands out parts and knows their levels. Any thread.
///
/// Lines of several threads stay whole. Where other processes write to the same pipe, lines of up to 4,096 bytes do.
public final class Logger: Sendable {
  private let parts = Mutex<(configuration: LogConfiguration, parts: [String: LogPart])>((LogConfiguration(), [:]))
  private let output: LogOutput

  /// - Parameters:
  ///   - descriptor: borrowed; it must stay open.
  ///   - backlogBytes: so much waits for a log that is not read; lines beyond it are lost, and their number is told.
  ///   - now: the time of day, replaced in tests.
  public init(
    _ configuration: LogConfiguration, descriptor: Int32 = STDERR_FILENO, backlogBytes: Int = 1 << 20,
    now: @escaping @Sendable () -> timespec = Logger.timeOfDay
  ) {
    output = LogOutput(LogWriter(LogDescriptor(descriptor), limit: backlogBytes), now: now)
    configure(configuration)
  }

  /// The log of one part: "bus", "io", "reload", "llm", "config", or a persona's name.
  public func part(_ name: String) -> Log {
    let part = parts.withLock { state in
      if let known = state.parts[name] { return known }
      let new = LogPart(name: name, level: state.configuration.levels[name] ?? state.configuration.level)
      state.parts[name] = new
      return new
    }
    return Log(part: part, output: output)
  }

  /// Takes new levels and a new format over, also for the parts that are handed out.
  public func configure(_ configuration: LogConfiguration) {
    output.json.store(configuration.format == .json, ordering: .relaxed)
    parts.withLock { state in
      state.configuration = configuration
      for (name, part) in state.parts {
        part.level.store((configuration.levels[name] ?? configuration.level).rawValue, ordering: .relaxed)
      }
    }
  }

  /// Writes what waits for the log's reader, for at most so long. For the end of the process.
  public func finish(milliseconds: Int = 500) { output.finish(milliseconds: milliseconds) }

  @Sendable public static func timeOfDay() -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now
  }
}

/// A part of the kernel and the level from which on its lines are written. Any thread.
final class LogPart: Sendable {
  let name: String
  let level: Atomic<Int>

  init(name: String, level: LogConfiguration.Level) {
    self.name = name
    self.level = Atomic(level.rawValue)
  }
}
