/// What `parlor dev` does for one persona: events in, actions out. Times are seconds of any one clock.
///
///     resting ─ saved ─▶ settling ─ time ─▶ building ─ built ─▶ loading ─ receipt ─▶ asking ─ answer ─▶ resting
///
/// A save at any time begins it anew; what was built for an older save is not loaded.
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
    /// A source was written, at this time.
    case saved(at: Double)
    case time
    case built(library: String, seconds: Double)
    case failed
    /// `live`: the new generation is in its place.
    case receipt(live: Bool)
    /// The request for a reload failed, or the kernel does not know the persona.
    case refused
    case answered
    case connected
    case disconnected
  }
  enum Action: Equatable {
    case build, cancelBuild
    case load(library: String)
    case ask
    /// The new answer has come: so long after the save, of which the compiler took so much.
    case tell(total: Double, compiler: Double)
  }

  /// Editors write a file in several steps.
  static let quiet = 0.02

  private(set) var phase = Phase.resting
  private(set) var isConnected: Bool
  /// When what is being built was saved.
  private(set) var savedAt = 0.0
  private var compiler = 0.0
  /// A save that came while the kernel was switching.
  private var again: Double?

  init(isConnected: Bool) { self.isConnected = isConnected }

  /// When `.time` is due; nil: never.
  var due: Double? { if case .settling(let until) = phase { until } else { nil } }

  mutating func handle(_ event: Event, now: Double) -> [Action] {
    switch (event, phase) {
    case (.saved(let at), .loading):
      // What is on its way into the kernel cannot be called back; what was saved now comes after it.
      again = at
      return []
    case (.saved(let at), _):
      let wasBuilding = phase == .building
      savedAt = at
      phase = .settling(until: now + Self.quiet)
      return wasBuilding ? [.cancelBuild] : []
    case (.time, .settling(let until)) where now >= until:
      phase = .building
      return [.build]
    case (.built(let library, let seconds), .building):
      compiler = seconds
      return load(library)
    case (.failed, .building):
      phase = .resting
      return []
    case (.receipt(let live), .loading):
      if let again { return restart(again, now) }
      phase = live ? .asking : .resting
      return live ? [.ask] : []
    case (.refused, .loading), (.refused, .asking):
      if let again { return restart(again, now) }
      phase = .resting
      return []
    case (.answered, .asking):
      phase = .resting
      return [.tell(total: now - savedAt, compiler: compiler)]
    case (.disconnected, _):
      isConnected = false
      if case .loading(let library) = phase { phase = .waiting(library: library) }
      if phase == .asking { phase = .resting }
      return []
    case (.connected, _):
      isConnected = true
      if case .waiting(let library) = phase { return load(library) }
      return []
    default: return []
    }
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
