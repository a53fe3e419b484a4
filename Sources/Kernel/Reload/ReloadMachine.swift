import Protocol

/// The order of one attempt to put a new generation in place: events in, actions out; no clock, no thread.
///
///     preparing ─▶ creating ─▶ saving ─▶ starting ─▶ done
///
/// Until `switchOver` the old generation has lost nothing: any failure before it discards the candidate
/// and lets the old lane go on. Events that come late (a create that returns after its time is over)
/// find the machine done, and are ignored.
struct ReloadMachine: Equatable {
  enum Stage: Equatable { case preparing, creating, saving, starting, done }

  enum Event: Equatable {
    /// Copied, checked, rehearsed and opened.
    case prepared
    /// It is the very file that is running.
    case unchanged
    case created
    case saved
    /// The state is read and start has returned.
    case started
    case failed(Failure)
    /// The step took longer than it may.
    case timeout
  }

  enum Action: Equatable {
    case prepare
    case create
    /// Hold new mail, take back what the old generation has not begun, and ask it for its state.
    case pauseAndSave
    /// Give the candidate the state and call start.
    case start
    case switchOver
    /// The candidate goes; `stuck`: it does not come back from its call, so its thread is given up.
    case discard(stuck: Bool)
    /// The old generation gets its mail back.
    case resume
    case finish(Receipt.Outcome, Failure?)
    /// A limit for the step that begins now.
    case arm
    case disarm
  }

  private(set) var stage = Stage.preparing
  /// The running generation has not come back from a call in time.
  private(set) var oldIsStuck = false
  /// There is a generation to take over from.
  let hasOld: Bool
  /// Go on without the state of a generation that does not come back from a call.
  let force: Bool
  /// What success is called.
  let success: Receipt.Outcome

  /// `prepared`: the library is open already (a rollback).
  static func begin(hasOld: Bool, prepared: Bool, force: Bool, success: Receipt.Outcome) -> (ReloadMachine, [Action]) {
    var machine = ReloadMachine(hasOld: hasOld, force: force, success: success)
    let actions = prepared ? machine.handle(.prepared) : [.prepare]
    return (machine, actions)
  }

  private init(hasOld: Bool, force: Bool, success: Receipt.Outcome) {
    self.hasOld = hasOld
    self.force = force
    self.success = success
  }

  mutating func handle(_ event: Event) -> [Action] {
    switch (stage, event) {
    case (.preparing, .prepared):
      stage = .creating
      return [.arm, .create]
    case (.preparing, .unchanged):
      stage = .done
      return [.finish(.unchanged, nil)]
    case (.preparing, .failed(let failure)):
      stage = .done
      return [.finish(.refused, failure)]

    case (.creating, .created):
      stage = hasOld ? .saving : .starting
      return hasOld ? [.arm, .pauseAndSave] : [.arm, .start]
    case (.saving, .saved):
      stage = .starting
      return [.arm, .start]
    case (.saving, .timeout) where force:
      stage = .starting
      oldIsStuck = true
      return [.arm, .start]
    case (.starting, .started):
      stage = .done
      return [.disarm, .switchOver, .finish(success, nil)]

    case (.creating, .failed(let failure)): return refuse(failure, stuck: false)
    case (.creating, .timeout): return refuse(Failure(.deadline, "create did not return in time"), stuck: true)
    case (.saving, .failed(let failure)): return refuse(failure, stuck: false)
    case (.saving, .timeout):
      oldIsStuck = true
      return refuse(
        Failure(.deadline, "the running generation does not come back from a call, so its state cannot be saved"), stuck: false)
    case (.starting, .failed(let failure)): return refuse(failure, stuck: false)
    case (.starting, .timeout): return refuse(Failure(.deadline, "load and start did not return in time"), stuck: true)
    default: return []
    }
  }

  private mutating func refuse(_ failure: Failure, stuck: Bool) -> [Action] {
    let paused = hasOld && stage != .creating
    stage = .done
    return [.disarm, .discard(stuck: stuck)] + (paused ? [.resume] : []) + [.finish(.refused, failure)]
  }
}
