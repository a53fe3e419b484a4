import Kernel
import Protocol

/// The conversations, and what was spent: opens the file with the first question, and lets no failure of the disk stop an
/// answer. For the history thread.
///
/// A turn that cannot be written waits in memory, goes along with the next question of its conversation all the same,
/// and is written when the disk takes it.
final class Histories {
  private static let pendingLimit = 1000

  private let folder: String?
  private let clock: @Sendable () -> Int64
  private let note: @Sendable (LogConfiguration.Level, String) -> Void
  private var store: HistoryStore?
  /// Turns that have been answered, and when, and are not in the file yet.
  private var pending: [(turn: AnsweredTurn, at: Int64)] = []
  /// Tokens that were spent and are not in the file yet, by day and persona.
  private var unsaved: [String: [String: Int]] = [:]
  /// How often the file could not be read or written.
  private(set) var failures = 0
  /// When single questions that have had their time were last removed.
  private var expired: Int64?
  /// How many conversations there are; kept up to date by what changes it.
  private(set) var count = 0

  /// `folder`: the data folder; nil: conversations are kept in memory only. `clock`: milliseconds since 1970.
  init(folder: String?, clock: @escaping @Sendable () -> Int64, note: @escaping @Sendable (LogConfiguration.Level, String) -> Void) {
    self.folder = folder
    self.clock = clock
    self.note = note
  }

  // MARK: Questions

  /// What goes along with a question. Where the file cannot be read, what is in memory.
  func open(_ key: ThreadKey, window: Int, estimate: TokenEstimate) -> Conversation {
    _ = flush()
    var conversation = Conversation(estimate: estimate)
    attempt("the history of \(key.persona) cannot be read; it is asked without it") { () throws(MemoryError) in
      conversation = try opened().open(key, window: window, estimate: estimate, now: clock())
    }
    conversation.turns += pending.filter { $0.turn.key == key }.map(\.turn.messages)
    return conversation
  }

  /// Keeps what was answered; when this returns true it is on the disk.
  func append(_ turn: AnsweredTurn) -> Bool {
    pending.append((turn, clock()))
    if pending.count > Self.pendingLimit { pending.removeFirst() }
    defer { expireAsks() }
    return flush()
  }

  /// Once a day, and with the first turn.
  private func expireAsks() {
    let (now, day) = (clock(), Int64(86_400_000))
    if let expired, now - expired < day { return }
    expired = now
    attempt("single questions of more than \(History.askDays) days cannot be removed; that is tried again tomorrow") {
      () throws(MemoryError) in
      let store = try opened()
      if try store.expireAsks(before: now - Int64(History.askDays) * day) > 0 { count = try store.count }
    }
  }

  private func flush() -> Bool {
    guard !pending.isEmpty else { return true }
    return attempt("an answer cannot be kept; it is delivered, and kept when that is possible") { () throws(MemoryError) in
      let store = try opened()
      while let (next, at) = pending.first {
        var thread = next.thread
        if thread == nil { thread = try store.open(next.key, window: 0, estimate: next.estimate, now: at).thread }
        try store.append(
          next.messages, next.facts, to: thread ?? 0, leftOut: next.leftOut, window: next.window, estimate: next.estimate, now: at)
        pending.removeFirst()
      }
      count = try store.count
    }
  }

  // MARK: Summaries

  /// What of a conversation is left out and in no summary yet.
  func unsummarised(_ thread: Int64) -> (summary: Conversation.Summary?, turns: [Turn]) {
    var found: (summary: Conversation.Summary?, turns: [Turn]) = (nil, [])
    attempt("older turns cannot be read for their summary") { () throws(MemoryError) in found = try opened().unsummarised(thread) }
    return found
  }

  func keep(_ summary: Conversation.Summary, of thread: Int64) -> Bool {
    attempt("a summary cannot be kept; the next turn makes it again") { () throws(MemoryError) in try opened().keep(summary, of: thread) }
  }

  // MARK: Budgets

  /// What each persona has spent on a day, as far as is known.
  func spent(on day: String) -> [String: Int] {
    var spent: [String: Int] = [:]
    attempt("what was spent on \(day) cannot be read; it counts from 0") { () throws(MemoryError) in spent = try opened().spent(on: day) }
    return spent.merging(unsaved[day] ?? [:], uniquingKeysWith: Budget.sum)
  }

  /// Adds to it. What cannot be written is written with the next.
  func spend(_ tokens: Int, persona: String, day: String) {
    unsaved[day, default: [:]][persona] = Budget.sum(unsaved[day]?[persona] ?? 0, tokens)
    attempt("what \(persona) has spent cannot be kept; that is tried again with the next question") { () throws(MemoryError) in
      let store = try opened()
      for (day, spent) in unsaved {
        for (persona, tokens) in spent {
          try store.spend(tokens, persona: persona, day: day)
          unsaved[day]?[persona] = nil
        }
        unsaved[day] = nil
      }
    }
  }

  // MARK: What people ask

  func perform(_ request: HistoryRequest) -> Result<[UInt8], Failure> {
    if case .forget(let persona, let thread) = request {
      pending.removeAll { $0.turn.key.persona == persona && (thread == nil || $0.turn.key.thread == thread) }
    } else {
      _ = flush()
    }
    do throws(MemoryError) {
      let answer = try HistoryAnswer.answer(request, opened())
      count = try opened().count
      return .success(answer.bytes)
    } catch {
      if error.kind != .notFound { failures += 1 }
      return .failure(Failure(error))
    }
  }

  // MARK: The file

  private func opened() throws(MemoryError) -> HistoryStore {
    if let store { return store }
    let store = try HistoryStore(folder: folder) { [note] in note(.warning, $0) }
    self.store = store
    count = try store.count
    return store
  }

  /// - Returns: whether it was done; if not, that is told and counted.
  @discardableResult
  private func attempt(_ what: String, _ body: () throws(MemoryError) -> Void) -> Bool {
    do throws(MemoryError) {
      try body()
      return true
    } catch {
      failures += 1
      note(.error, "\(what): \(error.message)")
      return false
    }
  }
}
