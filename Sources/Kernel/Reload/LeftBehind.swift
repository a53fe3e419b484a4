import Protocol
import System

/// Instances whose code does not come back from a call. Their threads cannot be ended from outside: they go on, and may burn a core, until
/// the code returns or the kernel ends. Event loop only.
struct LeftBehind {
  private var instances: [ObjectIdentifier: (persona: String, instance: any Instance)] = [:]

  mutating func add(_ instance: any Instance, of persona: String) { instances[ObjectIdentifier(instance)] = (persona, instance) }
  /// It has come back after all.
  mutating func remove(_ instance: any Instance) { instances[ObjectIdentifier(instance)] = nil }

  /// For `stats`; in the order of names and generations.
  var report: [Stats.Stuck] {
    instances.values.map { Self.report($0.instance, of: $0.persona, isReplaced: true) }
      .sorted { ($0.persona, $0.generation) < ($1.persona, $1.generation) }
  }

  static func report(_ instance: any Instance, of persona: String, isReplaced: Bool) -> Stats.Stuck {
    Stats.Stuck(
      persona: persona, generation: instance.number, replaced: isReplaced,
      busy_ms: Int(clamping: instance.load(now: MachineClock.now()).busy / 1_000_000), cpu_ms: Int(clamping: instance.cpuTime / 1_000_000))
  }
}
