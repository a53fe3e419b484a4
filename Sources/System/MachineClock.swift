import Glibc

/// Of the monotonic clock.
public typealias Milliseconds = Int64

/// Where code gets the time from: the machine's clocks, or a test's.
///
/// What decides by time takes the time as a parameter; what must look for itself takes a clock. Any thread.
public struct MachineClock: Sendable {
  /// Nanoseconds of a clock that nobody sets and that never goes back. Only differences mean anything.
  public var nanoseconds: @Sendable () -> UInt64
  /// Milliseconds since 1970, UTC, as the machine believes: for people and files, never for waiting.
  public var wallMilliseconds: @Sendable () -> Int64

  public init(nanoseconds: @escaping @Sendable () -> UInt64, wallMilliseconds: @escaping @Sendable () -> Int64) {
    self.nanoseconds = nanoseconds
    self.wallMilliseconds = wallMilliseconds
  }

  /// CLOCK_MONOTONIC and CLOCK_REALTIME.
  public static let system = MachineClock(
    nanoseconds: { MachineClock.now() },
    wallMilliseconds: {
      let time = read(CLOCK_REALTIME)
      return Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000
    })

  /// Nanoseconds of CLOCK_MONOTONIC, for the hot paths that need no other clock.
  public static func now() -> UInt64 {
    let time = read(CLOCK_MONOTONIC)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// The same in milliseconds.
  public static func nowMilliseconds() -> Milliseconds { Milliseconds(now() / 1_000_000) }

  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    clock_gettime(clock, &time)
    return time
  }
}
