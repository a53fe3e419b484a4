import Kernel
import Protocol

/// The budget of today, as the chat thread keeps it; the history thread keeps it on the disk. For the chat thread.
final class Spending {
  private let clock: @Sendable () -> Int64
  /// Asks what was spent on a day; the answer comes to `add`.
  private let load: (_ day: String) -> Void
  /// Brings to the disk that so many tokens were spent.
  private let keep: (_ tokens: Int, _ persona: String, _ day: String) -> Void
  private var budget: Budget?
  /// False: what was spent of this day before is not known yet.
  private(set) var isKnown = false
  /// As they were when it was last asked for by each.
  private var limits: [String: Int] = [:]

  init(
    clock: @escaping @Sendable () -> Int64, load: @escaping (_ day: String) -> Void,
    keep: @escaping (_ tokens: Int, _ persona: String, _ day: String) -> Void
  ) {
    self.clock = clock
    self.load = load
    self.keep = keep
  }

  /// Begins the day, if it is a new one.
  func refresh() { _ = current() }

  /// What was spent on a day before this kernel asked for it.
  func add(_ spent: [String: Int], of day: String) {
    guard budget?.day.name == day, !isKnown else { return }
    budget?.add(spent)
    isKnown = true
  }

  /// Of `Budget`.
  func reserve(_ id: UInt64, _ need: Budget.Need, limit: Int?, totalLimit: Int?) throws(Failure) {
    limits[need.persona] = limit
    var budget = current()
    defer { self.budget = budget }
    try budget.reserve(id, need, limit: limit, totalLimit: totalLimit)
  }

  /// What it has cost, if something is reserved for it; 0: nothing.
  func settle(_ id: UInt64, persona: String, tokens: Int) {
    guard budget?.isReserved(id) == true else { return }
    var budget = current()
    budget.settle(id, tokens: tokens)
    self.budget = budget
    if tokens > 0 { keep(tokens, persona, budget.day.name) }
  }

  /// For the counters; nil: nobody has asked anything yet.
  func report(totalLimit: Int?) -> LanguageStatistics.Budget? {
    guard budget != nil else { return nil }
    let budget = current()
    let names = Set(budget.spent.keys).union(limits.keys)
    return LanguageStatistics.Budget(
      day: budget.day.name, new_ms: budget.day.end, spent: budget.total, limit: totalLimit,
      personas: Dictionary(uniqueKeysWithValues: names.map { ($0, .init(spent: budget.spent[$0] ?? 0, limit: limits[$0])) }))
  }

  private func current() -> Budget {
    let now = clock()
    if let budget, budget.day.contains(now) { return budget }
    let day = CalendarDay(at: now)
    var budget = self.budget ?? Budget(day, spent: [:])
    budget.begin(day, spent: [:])
    self.budget = budget
    isKnown = false
    load(day.name)
    return budget
  }
}
