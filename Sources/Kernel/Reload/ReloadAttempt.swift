import Protocol
import System

/// One attempt to put a new instance in place, from the wish to the receipt. Event loop only.
final class ReloadAttempt {
  var machine: ReloadMachine
  let done: (Receipt) -> Void
  private let began = MachineClock.now()
  /// The generation that ran when it began.
  private let from: Int?

  // What is to be put in place: found at `path` instead of the persona's own library, made ready as `image`, or open already.
  private(set) var path: String?
  private(set) var image: LibraryImage?
  var library: LoadedLibrary?
  /// Its copy was made for this attempt.
  private(set) var isFresh = false
  /// Why, for people; of a rollback.
  private var reason: String?

  // What has come of it so far.
  var rehearsalMilliseconds: Int?
  var candidate: InstanceContext?
  /// The limit of the step under way.
  var timer: UInt64?
  private var pausedAt: UInt64?
  private var pauseMicroseconds: Int?
  private var heldCount: Int?
  private var stateBytes: Int?
  private var warnings: [String] = []
  /// That it began with less than what was last saved.
  private var stateWarning: String?

  init(_ machine: ReloadMachine, _ source: PersonaSlot.Source, from: Int?, done: @escaping (Receipt) -> Void) {
    self.machine = machine
    self.from = from
    self.done = done
    switch source {
    case .file(let path): (self.path, isFresh) = (path, true)
    case .image(let image): self.image = image
    case .library(let library, let reason): (self.library, self.reason) = (library, reason)
    }
  }

  func warn(_ warning: String) { warnings.append(warning) }

  func pauseBegins() { pausedAt = MachineClock.now() }

  /// `held`: how much mail has waited.
  func pauseEnds(held: Int) {
    if let pausedAt { pauseMicroseconds = Int((MachineClock.now() - pausedAt) / 1000) }
    pausedAt = nil
    heldCount = held
  }

  /// It begins with this state; `last` is the newest that there is.
  func begins(with state: SavedState?, last: SavedState?) {
    stateBytes = state?.bytes.count
    guard let last, state?.schema != last.schema else { return }
    let instead = state.map { "an older one of schema \($0.schema)" } ?? "none"
    stateWarning = "it began with \(instead): it cannot read the last state, of schema \(last.schema), which is kept for a version that can"
  }

  /// `current`: what runs now that it has ended.
  func receipt(of persona: String, _ outcome: Receipt.Outcome, _ failure: Failure?, current: (any Instance)?) -> Receipt {
    var warnings = (library?.image.warnings ?? []) + warnings
    if outcome != .refused, let stateWarning { warnings.append(stateWarning) }
    let image = library?.image ?? current?.image
    return Receipt(
      persona: persona, outcome: outcome, from: from, to: outcome == .refused ? nil : current?.number, version: image?.about.version,
      hash: image?.hash, state_bytes: outcome == .unchanged ? nil : stateBytes, pause_us: pauseMicroseconds, held: heldCount,
      rehearsal_ms: rehearsalMilliseconds, total_ms: Int((MachineClock.now() - began) / 1_000_000), reason: failure?.message ?? reason,
      warnings: warnings.isEmpty ? nil : warnings, talk: current?.image.about.talk)
  }
}
