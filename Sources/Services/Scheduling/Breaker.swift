import System

/// Keeps questions away from a server that fails: so they go to another one at once, and it is left in peace. A value;
/// the clock is given to it.
///
/// After `limit` failures in a row it opens, for a time that doubles with each further failure; then one question is let
/// through to try. Its end closes the circuit, or opens it again.
struct Breaker: Equatable, Sendable {
  enum State: Equatable, Sendable {
    case closed(failures: Int)
    /// Nobody is let through before that time.
    case open(until: Milliseconds, pause: Milliseconds)
    /// One question tries; the rest wait for its end.
    case halfOpen(pause: Milliseconds)
  }

  static let limit = 5
  static let firstPause: Milliseconds = 5000
  static let longestPause: Milliseconds = 120_000

  private(set) var state = State.closed(failures: 0)

  /// For `parlor stats`.
  var word: String {
    switch state {
    case .closed: "closed"
    case .open: "open"
    case .halfOpen: "half-open"
    }
  }

  /// Nil: the question may be sent, and its end must be told. Else how long it would have to wait; 0: another one tries.
  mutating func obstacle(at now: Milliseconds) -> Milliseconds? {
    switch state {
    case .closed: return nil
    case .open(let until, let pause):
      if now < until { return until - now }
      state = .halfOpen(pause: pause)
      return nil
    case .halfOpen: return 0
    }
  }

  mutating func succeeded() { state = .closed(failures: 0) }

  mutating func failed(at now: Milliseconds) {
    switch state {
    case .closed(let failures):
      state = failures + 1 < Self.limit ? .closed(failures: failures + 1) : .open(until: now + Self.firstPause, pause: Self.firstPause)
    case .halfOpen(let pause):
      let longer = min(pause * 2, Self.longestPause)
      state = .open(until: now + longer, pause: longer)
    case .open: break  // it was sent before
    }
  }

  /// What was sent has ended without saying anything about the server. One that tried leaves the try to the next.
  mutating func ended(at now: Milliseconds) { if case .halfOpen(let pause) = state { state = .open(until: now, pause: pause) } }
}
