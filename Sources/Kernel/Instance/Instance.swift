import Protocol

/// How far an instance has come in its life. It goes forward only.
enum InstancePhase: Int, Sendable {
  /// What it wants of others is held back until the switch.
  case candidate
  case live
  /// It gets no new mail, and finishes what it has.
  case draining
  /// Its calls are refused.
  case retired
}

/// What a step of an instance ends with. Called once, on any thread, never inside the call that began the step; it must not block.
typealias StepEnd<Value> = @Sendable (Result<Value, Failure>) -> Void

/// One instance of one version of a persona's library, wherever its code runs.
///
/// A step returns at once and ends by its `then`. Steps are carried out in the order in which they are begun. A step whose code does
/// not come back never ends, and neither does one that is begun after `end`: whoever begins a step has a time limit of their own.
/// Any thread, where nothing else is said.
protocol Instance: AnyObject, Sendable {
  /// The number of its generation.
  var number: Int { get }
  var image: LibraryImage { get }
  var phase: InstancePhase { get }

  // MARK: Steps

  func create(then: @escaping StepEnd<Void>)
  /// After create and before start.
  func load(_ state: SavedState, then: @escaping StepEnd<Void>)
  func start(then: @escaping StepEnd<Void>)
  /// The state, or nil if this persona keeps none. Between two grams.
  func save(then: @escaping StepEnd<[UInt8]?>)
  func health(then: @escaping StepEnd<Void>)
  /// Its part of personas.toml has changed.
  func configure(_ json: [UInt8], then: @escaping StepEnd<Void>)
  /// Stops it, ends its open requests with PERSONA_E_RETIRED and destroys it. Nothing can be begun afterwards.
  func end(then: @escaping @Sendable () -> Void)
  /// Ends when all that was begun before has been done; it runs no code of the persona.
  func barrier(then: @escaping @Sendable () -> Void)

  /// Event loop only. From `live` on, what it has put into its state as a candidate is true.
  func enter(_ phase: InstancePhase)

  // MARK: Mail. A gram's token is open from `open` until somebody closes it.

  func open(token: UInt64)
  /// True for the one who closes it.
  func close(token: UInt64) -> Bool
  func isOpen(token: UInt64) -> Bool
  /// Closes it because nobody waits for the gram any more, and tells the persona if it works on it.
  func withdraw(token: UInt64)
  /// False, and nothing is kept, if the sender's share of the mailbox is full.
  func offer(_ mail: Mail, quota: Int) -> Bool
  /// Takes out what a sender that has gone left behind, but for its oldest grams.
  func dropMail(of sender: UInt64) -> [Mail]
  /// From now on no mail is begun; returns what has not been, in order. A new instance is paused.
  func pause() -> [Mail]
  /// Goes on, with this mail first, which came before anything that is offered later.
  func resume(with first: [Mail])
  /// How much mail waits, and for how many nanoseconds the call that runs now has been running.
  func load(now: UInt64) -> (waiting: Int, busy: UInt64)
  /// The time on a processor that its code has had, in nanoseconds.
  var cpuTime: UInt64 { get }

  // MARK: What comes back of its requests

  /// Ends a request, if nothing has ended it before.
  func complete(_ request: UInt64, _ result: Result<[UInt8], Failure>)
  /// A piece of a request's growing result.
  func part(_ request: UInt64, _ text: [UInt8])
}

extension LoopInbox {
  /// The end of a step, brought to the event loop.
  func onLoop<Value: Sendable>(_ body: @escaping (Result<Value, Failure>) -> Void) -> StepEnd<Value> {
    let box = LoopOnly(body)
    return { result in self.post { _ in box.value(result) } }
  }
}
