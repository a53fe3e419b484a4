import System

/// How long to wait before a question is sent again that failed before its first word. A value; chance is given to it.
struct Backoff: Equatable, Sendable {
  /// After the first failure, in milliseconds; each further wait may be twice as long, up to `longest`.
  static let first: Milliseconds = 400
  static let longest: Milliseconds = 20_000

  /// How often it may be sent again.
  let limit: Int
  private(set) var count = 0

  init(limit: Int) { self.limit = limit }

  /// The next wait; nil: it has been sent often enough, or the server wants more patience than anybody has.
  ///
  /// Between half and the whole of the time, so that those who failed together do not come back together. What the
  /// server asks for is kept.
  /// - Parameters:
  ///   - retryAfter: what the server asks for, in seconds.
  ///   - chance: from 0 to 1.
  mutating func next(retryAfter: Int?, chance: Double) -> Milliseconds? {
    guard count < limit else { return nil }
    let span = min(Self.longest, Self.first << min(count, 16))
    let jittered = span / 2 + Milliseconds(Double(span / 2) * chance)
    if let retryAfter, retryAfter > Int(Self.longest / 1000) { return nil }
    count += 1
    return max(jittered, Milliseconds(retryAfter ?? 0) * 1000 + Milliseconds(Double(Self.first / 2) * chance))
  }
}
