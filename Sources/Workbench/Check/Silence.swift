/// Measures how long a persona has been silent.
///
/// Time in which this process itself was not scheduled hardly counts; time in which the persona's lane has work counts as `busy`.
struct Silence {
  private let limit: Duration
  private var silent = Duration.zero
  /// How long the lane has been busy without a call to the host.
  private(set) var busy = Duration.zero
  private var last = ContinuousClock.now
  private var heard: ContinuousClock.Instant?

  init(limit: Duration) { self.limit = limit }

  /// Takes the next observation, and returns whether the silence exceeds the limit. Call it about every millisecond.
  mutating func goesOn(heard: ContinuousClock.Instant, isBusy: Bool, now: ContinuousClock.Instant = .now) -> Bool {
    let passed = min(now - last, .milliseconds(5))
    last = now
    if heard != self.heard {
      self.heard = heard
      (silent, busy) = (.zero, .zero)
    }
    if isBusy { busy += passed } else { silent += passed }
    return silent > limit
  }
}
