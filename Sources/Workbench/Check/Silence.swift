/// How long a persona has been silent, as a patient listener counts it.
///
/// Time that we ourselves were not run, on a machine with too much to do, counts as little; time in which its lane has
/// work counts as `busy` instead.
struct Silence {
  private let limit: Duration
  private var silent = Duration.zero
  /// How long the lane has had work without a word of it.
  private(set) var busy = Duration.zero
  private var last = ContinuousClock.now
  private var heard: ContinuousClock.Instant?

  init(limit: Duration) { self.limit = limit }

  /// True when it has lasted beyond the limit. To be asked every millisecond or so.
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
