import Kernel
import Protocol

/// How many tokens were spent today, and may be. A value: the day is given to it.
///
/// What a question will cost at most is reserved before it is sent, so that those that run together do not spend the same
/// rest; what it has cost is settled afterwards.
struct Budget {
  /// What one question needs.
  struct Need: Equatable {
    var persona: String
    /// The prompt, as estimated.
    var reading: Int
    /// The answer, at most.
    var answering: Int
    var tokens: Int { Budget.sum(reading, answering) }
  }

  private(set) var day: CalendarDay
  /// By persona.
  private(set) var spent: [String: Int]
  private var reserved: [UInt64: Need] = [:]

  init(_ day: CalendarDay, spent: [String: Int]) {
    self.day = day
    self.spent = spent
  }

  /// A new day: nothing is spent, or what is known to be. What runs stays reserved, and is settled on the day on which it ends.
  mutating func begin(_ day: CalendarDay, spent: [String: Int]) {
    self.day = day
    self.spent = spent
  }

  /// What was spent of this day before, where that becomes known later.
  mutating func add(_ earlier: [String: Int]) { spent.merge(earlier, uniquingKeysWith: Self.sum) }

  /// More than anybody can spend on a day. No sum of tokens is above it, whatever a server or a file says.
  static let most = 1 << 40

  static func sum(_ a: Int, _ b: Int) -> Int { min(max(0, min(a, most)) + max(0, min(b, most)), most) }

  var total: Int { spent.values.reduce(0, Self.sum) }
  func isReserved(_ id: UInt64) -> Bool { reserved[id] != nil }

  /// Sets the tokens aside, in the place of what was set aside for the same question before.
  ///
  /// - Parameters:
  ///   - limit: the persona's, for a day; nil: none.
  ///   - totalLimit: for all personas together.
  /// - Throws: `.llmBudget`, with what is left and when there is more.
  mutating func reserve(_ id: UInt64, _ need: Need, limit: Int?, totalLimit: Int?) throws(Failure) {
    reserved[id] = nil
    if let limit {
      let others = reserved.values.filter { $0.persona == need.persona }.reduce(0) { Self.sum($0, $1.tokens) }
      let left = limit - (spent[need.persona] ?? 0) - others
      if need.tokens > left { throw short(need, left, of: limit, "for \(need.persona)", key: "[persona.\(need.persona)] tokens_per_day") }
    }
    if let totalLimit {
      let left = totalLimit - total - reserved.values.reduce(0) { Self.sum($0, $1.tokens) }
      if need.tokens > left { throw short(need, left, of: totalLimit, "for all personas together", key: "[llm] tokens_per_day") }
    }
    reserved[id] = need
  }

  /// The question, or a round of it, has ended and has cost so much; 0: nothing.
  mutating func settle(_ id: UInt64, tokens: Int) {
    guard let need = reserved.removeValue(forKey: id), tokens > 0 else { return }
    spent[need.persona] = Self.sum(spent[need.persona] ?? 0, tokens)
  }

  private func short(_ need: Need, _ left: Int, of limit: Int, _ whose: String, key: String) -> Failure {
    Failure(
      .llmBudget,
      "the question of \(need.persona) needs about \(need.tokens) tokens (\(need.reading) to read, up to \(need.answering) to answer), and of "
        + "today's \(limit) \(whose) \(max(0, left)) are left: ask with a smaller max_tokens, wait until \(day.endText), when there are new ones, "
        + "or raise \(key) in personas.toml")
  }

  /// One question alone may not cost so much.
  static func tooDear(_ need: Need, limit: Int, spent: Int) -> Failure {
    let before = spent > 0 ? " and \(spent) were spent on it already" : ""
    return Failure(
      .llmBudget,
      "the question of \(need.persona) and its system prompt alone have about \(need.reading) tokens\(before), and one question may cost \(limit): "
        + "shorten them, or raise [persona.\(need.persona)] tokens_per_question in personas.toml; waiting does not help")
  }
}
