import System

/// When the model's child process is started, checked, killed and given up: events in, actions out.
///
/// It is started when a question needs it. A crash, a failed health check or a start that takes too long leads to the next
/// start, after a pause that doubles; after `limit` of them without an answer in between it is given up, until the next question.
struct Supervision {
  enum Phase: Equatable {
    case stopped
    case starting(since: Milliseconds, nextCheck: Milliseconds?)
    /// It is asked for its health; it was well before.
    case checking
    /// Well, as seen at that time.
    case ready(seen: Milliseconds)
    case pausing(until: Milliseconds)
    /// It was killed and has not gone yet.
    case killed
  }
  enum Event: Equatable {
    /// A question waits.
    case needed
    /// The child has gone, or could not be started.
    case exited
    case health(Bool)
    /// It has answered a question.
    case answered
    /// It does not take connections.
    case refused
    /// `nextTimer` has passed.
    case timer
  }
  enum Action: Equatable { case start, check, kill, ready, giveUp }

  static let limit = 3
  static let checkEvery: Milliseconds = 50
  /// A sign of life is good for so long.
  static let trust: Milliseconds = 5000
  /// How long a start may take, the loading of the model included.
  let startLimit: Milliseconds

  private(set) var phase = Phase.stopped
  /// Crashes and the like since the last answer.
  private(set) var failures = 0

  init(startLimit: Milliseconds) { self.startLimit = startLimit }

  var nextTimer: Milliseconds? {
    switch phase {
    case .starting(_, let nextCheck): nextCheck
    case .pausing(let until): until
    default: nil
    }
  }

  func isReady(at time: Milliseconds) -> Bool {
    if case .ready(let seen) = phase { time - seen <= Self.trust } else { false }
  }

  mutating func handle(_ event: Event, at time: Milliseconds) -> [Action] {
    switch (event, phase) {
    case (.needed, .stopped):
      failures = 0
      return start(time)
    case (.needed, .ready) where !isReady(at: time):
      phase = .checking
      return [.check]
    case (.exited, .stopped): return []
    case (.exited, _):
      failures += 1
      if failures >= Self.limit {
        phase = .stopped
        return [.giveUp]
      }
      phase = .pausing(until: time + 250 << (failures - 1))
      return []
    case (.health(true), .starting), (.health(true), .checking):
      phase = .ready(seen: time)
      return [.ready]
    case (.health(false), .starting(let since, _)):
      if time - since >= startLimit { return kill() }
      phase = .starting(since: since, nextCheck: time + Self.checkEvery)
      return []
    case (.health(false), .checking), (.refused, .ready), (.refused, .checking): return kill()
    case (.answered, .ready), (.answered, .checking):
      failures = 0
      phase = .ready(seen: time)
      return []
    case (.timer, .starting(let since, let nextCheck?)) where nextCheck <= time:
      phase = .starting(since: since, nextCheck: nil)
      return [.check]
    case (.timer, .pausing(let until)) where until <= time: return start(time)
    default: return []
    }
  }

  private mutating func start(_ time: Milliseconds) -> [Action] {
    phase = .starting(since: time, nextCheck: time + Self.checkEvery)
    return [.start]
  }

  private mutating func kill() -> [Action] {
    phase = .killed
    return [.kill]
  }
}
