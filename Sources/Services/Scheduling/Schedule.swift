import System

/// Which question goes to a provider next: at most `slots` at a time, those for which a person waits before the rest, and
/// in each of the two lanes the personas fairly. A value; the clock is given to it.
///
/// The rest does not starve: when it waits, every fifth question is one of it. And it takes all slots but one, if there
/// are several: what a person asks finds the last one free, or taken by another person.
///
/// A question to which the model has said nothing for `patience` hangs, and holds no person up: those who wait get a slot
/// beside it, up to `growth` in all.
struct Schedule {
  typealias ID = UInt64

  /// So many questions of people may pass before the rest that waits has one.
  static let share = 4

  var slots: Int
  var patience: Milliseconds = 5000
  /// So many slots there may be for people beyond the usual ones; 0 where the server has no more than those.
  var growth = 0
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
  func hasNext(at now: Milliseconds) -> Bool { lane(at: now) != nil }

  /// When `next` may return a question though none has ended: one that runs hangs from then on. Nil: never.
  func nextTimer(at now: Milliseconds) -> Milliseconds? {
    guard interactive.waitingCount > 0, growth > 0 else { return nil }
    return (interactive.lastHeard + background.lastHeard).map { $0 + patience }.filter { $0 > now }.min()
  }

  /// The model has said something to a question that runs.
  mutating func heard(_ id: ID, at now: Milliseconds) {
    interactive.heard(id, at: now)
    background.heard(id, at: now)
  }

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
    switch lane(at: now) {
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
  private func lane(at now: Milliseconds) -> Lane? {
    let isFree = runningCount < slots
    let mayTakeBackground = isFree && background.waitingCount > 0 && (slots == 1 || background.runningCount < slots - 1)
    if mayTakeBackground, interactive.waitingCount == 0 || passed >= Self.share { return .background }
    guard interactive.waitingCount > 0 else { return nil }
    return isFree || runningCount - min(growth, hangingCount(at: now)) < slots ? .interactive : nil
  }

  private func hangingCount(at now: Milliseconds) -> Int {
    (interactive.lastHeard + background.lastHeard).count { now - $0 >= patience }
  }
}
