import System

/// Who of those that wait is next: start-time fair queueing among the personas by the time that they have had. A value; the
/// clock is given to it.
///
/// Each persona has an account of the milliseconds for which its questions were with the model. The next question is the
/// first one of the persona with the least. So somebody with a hundred long questions holds up nobody with a short one for
/// longer than the question that runs. Who comes after a pause begins where the others are: idleness saves nothing up.
struct FairQueue {
  typealias ID = UInt64

  private struct Waiting {
    var id: ID
    var persona: String
  }
  private struct Running {
    var persona: String
    var since: Milliseconds
    /// When the model has last said something.
    var heard: Milliseconds
  }

  /// What a question is charged for until it has taken longer: so those that begin together do not all belong to one.
  static let advance: Milliseconds = 1000

  /// In the order in which they came.
  private var waiting: [Waiting] = []
  private var running: [ID: Running] = [:]
  private var accounts: [String: Milliseconds] = [:]
  /// The account of the last one that was taken, as it was then: where newcomers begin.
  private var level: Milliseconds = 0

  var waitingIDs: [ID] { waiting.map(\.id) }
  var waitingCount: Int { waiting.count }
  var runningCount: Int { running.count }

  /// `first`: before what its persona has waiting.
  mutating func add(_ id: ID, persona: String, first: Bool = false) {
    let isIdle = !waiting.contains { $0.persona == persona } && !running.values.contains { $0.persona == persona }
    if isIdle { accounts[persona] = max(accounts[persona] ?? 0, level) }
    let place = first ? waiting.firstIndex { $0.persona == persona } : nil
    waiting.insert(Waiting(id: id, persona: persona), at: place ?? waiting.count)
  }

  /// Takes the next one; it runs until it is removed.
  mutating func take(at now: Milliseconds) -> ID? {
    var charged = accounts
    for run in running.values { charged[run.persona, default: 0] += max(now - run.since, Self.advance) }
    var best: (place: Int, account: Milliseconds)?
    for (place, waiter) in waiting.enumerated() {
      let account = charged[waiter.persona] ?? 0
      if account < best?.account ?? .max { best = (place, account) }
    }
    guard let best else { return nil }
    let taken = waiting.remove(at: best.place)
    level = max(level, best.account)
    running[taken.id] = Running(persona: taken.persona, since: now, heard: now)
    return taken.id
  }

  /// The model has said something to it.
  mutating func heard(_ id: ID, at now: Milliseconds) { running[id]?.heard = now }

  /// When the model last said something to each that runs.
  var lastHeard: [Milliseconds] { running.values.map(\.heard) }

  /// It has ended, or nobody wants it any more. False: there is none.
  @discardableResult
  mutating func remove(_ id: ID, at now: Milliseconds) -> Bool {
    if let run = running.removeValue(forKey: id) {
      accounts[run.persona, default: 0] += now - run.since
      return true
    }
    guard let place = waiting.firstIndex(where: { $0.id == id }) else { return false }
    waiting.remove(at: place)
    return true
  }
}
