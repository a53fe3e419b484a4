/// What `parlor dev` does for one persona: events in, actions out. Times are seconds of any one clock.
///
///     resting ─ saved ─▶ settling ─ time ─▶ building ─ built ─▶ loading ─ receipt ─▶ asking ─ answer ─▶ resting
///
/// A save at any time begins it anew; what was built for an older save is not loaded. A kernel that comes back gets the
/// last library that was live once more, for it has begun with the persona's own.
struct DevMachine: Equatable {
  enum Phase: Equatable {
    case resting
    /// A save has come; others of the same save may follow until then.
    case settling(until: Double)
    case building
    /// The kernel is away; the library waits.
    case waiting(library: String)
    case loading(library: String)
    /// The new generation is asked for its first answer.
    case asking
  }
  enum Event: Equatable {
    /// A source was saved at this time; `written` is the time that its file bears, 0 if it is gone.
    case saved(at: Double, written: Double)
    case time
    case built(library: String, seconds: Double)
    case failed
    case receipt(Switch)
    /// The request for a reload failed, or the kernel does not know the persona.
    case refused
    case answered
    case connected
    case disconnected
  }
  enum Switch: Equatable {
    /// What was built is what runs now.
    case done
    /// It was what runs already.
    case unchanged
    case refused
  }
  enum Action: Equatable {
    /// `anew`: the files' times do not tell what has changed.
    case build(anew: Bool)
    case cancelBuild
    case load(library: String)
    case ask
    /// The new answer has come: so long after the save, of which the compiler took so much.
    case tell(total: Double, compiler: Double)
    /// The answer has come from what was live before the kernel went.
    case tellReturn
  }

  /// Editors write a file in several steps.
  static let quiet = 0.02

  private(set) var phase = Phase.resting
  private(set) var isConnected: Bool
  /// When what is being built was saved; nil: it is loaded because the kernel is back.
  private(set) var savedAt: Double?
  private var compiler = 0.0
  /// A save that came while the kernel was switching.
  private var again: Double?
  /// The oldest time that a file bears of those that were saved since the last build that went to its end.
  private var oldest = Double.infinity
  /// When the last build ended, or was ended. What was written before may be in it or not.
  private var buildEnded = -Double.infinity
  /// The last library that was live.
  private var live: String?

  init(isConnected: Bool) { self.isConnected = isConnected }

  /// When `.time` is due; nil: never.
  var due: Double? { if case .settling(let until) = phase { until } else { nil } }

  mutating func handle(_ event: Event, now: Double) -> [Action] {
    switch (event, phase) {
    case (.saved(let at, let written), .loading):
      // What is on its way into the kernel cannot be called back; what was saved now comes after it.
      again = at
      oldest = min(oldest, written)
      return []
    case (.saved(let at, let written), _):
      let wasBuilding = phase == .building
      if wasBuilding { buildEnded = now }
      savedAt = at
      oldest = min(oldest, written)
      phase = .settling(until: now + Self.quiet)
      return wasBuilding ? [.cancelBuild] : []
    case (.time, .settling(let until)) where now >= until:
      phase = .building
      return [.build(anew: oldest <= buildEnded)]
    case (.built(let library, let seconds), .building):
      endBuild(now)
      compiler = seconds
      return load(library)
    case (.failed, .building):
      endBuild(now)
      phase = .resting
      return []
    case (.receipt(let outcome), .loading(let library)):
      if outcome != .refused { live = library }
      if let again { return restart(again, now) }
      phase = outcome == .done ? .asking : .resting
      return outcome == .done ? [.ask] : []
    case (.refused, .loading):
      if let again { return restart(again, now) }
      phase = .resting
      return []
    case (.answered, .asking):
      phase = .resting
      return [savedAt.map { .tell(total: now - $0, compiler: compiler) } ?? .tellReturn]
    case (.disconnected, _):
      isConnected = false
      if case .loading(let library) = phase { phase = .waiting(library: library) }
      if phase == .asking { phase = .resting }
      // The switch that it waited for does not come any more.
      return again.map { restart($0, now) } ?? []
    case (.connected, _):
      isConnected = true
      if case .waiting(let library) = phase { return load(library) }
      guard phase == .resting, let live else { return [] }
      savedAt = nil
      return load(live)
    default: return []
    }
  }

  private mutating func endBuild(_ now: Double) {
    oldest = .infinity
    buildEnded = now
  }

  private mutating func load(_ library: String) -> [Action] {
    phase = isConnected ? .loading(library: library) : .waiting(library: library)
    return isConnected ? [.load(library: library)] : []
  }

  private mutating func restart(_ saved: Double, _ now: Double) -> [Action] {
    again = nil
    savedAt = saved
    phase = .settling(until: now)
    return []
  }
}
