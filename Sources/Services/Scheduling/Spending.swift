import Kernel
import Protocol

/// The budget as the desk keeps it: of today, and on the disk. For the language thread.
final class Spending {
  private let histories: Histories
  private let clock: @Sendable () -> Int64
  private var budget: Budget?
  /// As they were when it was last asked for by each.
  private var limits: [String: Int] = [:]

  init(_ histories: Histories, clock: @escaping @Sendable () -> Int64) {
    self.histories = histories
    self.clock = clock
  }

  /// Of `Budget`. What was spent before the kernel was started counts.
  func reserve(_ id: UInt64, _ need: Budget.Need, limit: Int?, totalLimit: Int?) throws(Failure) {
    limits[need.persona] = limit
    var budget = current()
    defer { self.budget = budget }
    try budget.reserve(id, need, limit: limit, totalLimit: totalLimit)
  }

  /// What it has cost, if something is reserved for it; 0: nothing.
  func settle(_ id: UInt64, persona: String, tokens: Int) {
    var budget = current()
    guard budget.isReserved(id) else { return }
    budget.settle(id, tokens: tokens)
    self.budget = budget
    if tokens > 0 { histories.spend(tokens, persona: persona, day: budget.day.name) }
  }

  func isReserved(_ id: UInt64) -> Bool { budget?.isReserved(id) ?? false }

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
    let spent = histories.spent(on: day.name)
    var budget = self.budget ?? Budget(day, spent: spent)
    budget.begin(day, spent: spent)
    self.budget = budget
    return budget
  }
}
