/// Which question goes to the model next: at most `slots` at a time, the personas in turn, each persona's
/// questions in their order, and never two of one conversation together.
struct Schedule {
  typealias ID = UInt64

  private struct Waiting {
    var id: ID
    var thread: ThreadKey?
  }

  /// How many questions may be with the model at a time.
  var slots: Int
  /// Who waits for what, first come first; a persona without a queue is not in `turns`.
  private var queues: [String: [Waiting]] = [:]
  /// The personas that have something waiting; the first one is next.
  private var turns: [String] = []
  private var running: [ID: ThreadKey?] = [:]
  private var busy: Set<ThreadKey> = []

  init(slots: Int) { self.slots = slots }

  var runningCount: Int { running.count }
  var waitingCount: Int { queues.values.reduce(0) { $0 + $1.count } }
  /// Everything that waits, for ending it.
  var waitingIDs: [ID] { turns.flatMap { queues[$0, default: []].map(\.id) } }
  /// True if `next` would return a question.
  var hasNext: Bool { nextPlace() != nil }

  /// `thread` nil: it belongs to no conversation. `first`: it goes before what its persona has waiting.
  mutating func add(_ id: ID, persona: String, thread: ThreadKey?, first: Bool = false) {
    if queues[persona] == nil { turns.append(persona) }
    let waiting = Waiting(id: id, thread: thread)
    if first { queues[persona, default: []].insert(waiting, at: 0) } else { queues[persona, default: []].append(waiting) }
  }

  /// Takes the next question and counts it as running.
  mutating func next() -> ID? {
    guard let (turn, place) = nextPlace() else { return nil }
    let persona = turns.remove(at: turn)
    let taken = queues[persona]!.remove(at: place)
    if queues[persona]!.isEmpty { queues[persona] = nil } else { turns.append(persona) }
    running[taken.id] = .some(taken.thread)
    if let thread = taken.thread { busy.insert(thread) }
    return taken.id
  }

  /// The question has ended, or nobody wants it any more. An unknown one is no error.
  mutating func remove(_ id: ID) {
    if let thread = running.removeValue(forKey: id) {
      if let thread { busy.remove(thread) }
      return
    }
    for (persona, queue) in queues where queue.contains(where: { $0.id == id }) {
      let rest = queue.filter { $0.id != id }
      queues[persona] = rest.isEmpty ? nil : rest
      if rest.isEmpty { turns.removeAll { $0 == persona } }
    }
  }

  private func nextPlace() -> (turn: Int, place: Int)? {
    guard running.count < slots else { return nil }
    for (turn, persona) in turns.enumerated() {
      let place = queues[persona]!.firstIndex { waiting in waiting.thread.map { !busy.contains($0) } ?? true }
      if let place { return (turn, place) }
    }
    return nil
  }
}

/// One conversation of one persona.
struct ThreadKey: Hashable, Sendable {
  var persona: String
  var thread: String
}
