import System

/// Which question goes to a provider next: at most `slots` at a time, those for which a person waits before the rest, and
/// in each of the two lanes the personas fairly. A value; the clock is given to it.
///
/// The rest does not starve: when it waits, every fifth question is one of it. And it takes all slots but one, if there
/// are several: what a person asks finds the last one free, or taken by another person.
struct Schedule {
  typealias ID = UInt64

  /// So many questions of people may pass before the rest that waits has one.
  static let share = 4

  var slots: Int
  private var interactive = FairQueue()
  private var background = FairQueue()
  /// How many of the first lane have passed since something waits in the second.
  private var passed = 0

  init(slots: Int) { self.slots = slots }

  var runningCount: Int { interactive.runningCount + background.runningCount }
  var waitingCount: Int { interactive.waitingCount + background.waitingCount }
  /// Everything that waits, for ending it.
  var waitingIDs: [ID] { interactive.waitingIDs + background.waitingIDs }
  /// True if `next` would return a question.
  var hasNext: Bool { lane != nil }

  /// `first`: it goes before what its persona has waiting in its lane.
  mutating func add(_ id: ID, persona: String, isInteractive: Bool, first: Bool = false) {
    if isInteractive {
      interactive.add(id, persona: persona, first: first)
    } else {
      background.add(id, persona: persona, first: first)
    }
  }

  /// Takes the next question and counts it as running, until it is removed.
  mutating func next(at now: Milliseconds) -> ID? {
    switch lane {
    case .interactive?:
      passed = background.waitingCount > 0 ? passed + 1 : 0
      return interactive.take(at: now)
    case .background?:
      passed = 0
      return background.take(at: now)
    case nil: return nil
    }
  }

  /// The question has ended, or nobody wants it any more. An unknown one is no error.
  mutating func remove(_ id: ID, at now: Milliseconds) { if !interactive.remove(id, at: now) { background.remove(id, at: now) } }

  private enum Lane { case interactive, background }

  /// From which lane the next one comes.
  private var lane: Lane? {
    guard runningCount < slots else { return nil }
    let mayTakeBackground = background.waitingCount > 0 && (slots == 1 || background.runningCount < slots - 1)
    if mayTakeBackground, interactive.waitingCount == 0 || passed >= Self.share { return .background }
    return interactive.waitingCount > 0 ? .interactive : nil
  }
}
