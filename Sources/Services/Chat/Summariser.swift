import Kernel
import Protocol

/// Has the model put turns that do not fit its window any more into a few words, one summary of a conversation at a time. For
/// the chat thread.
final class Summariser {
  /// After what a summary is made: the question that was answered last, and who answered it.
  struct Occasion: Sendable {
    var thread: Int64
    var asked: LanguageQuestion
    var provider: String
    var model: String?
    /// Of the model, in tokens.
    var window: Int
    var estimate: TokenEstimate
  }

  /// Of so many conversations it is known that the last summary failed.
  private static let failedLimit = 1000

  private let history: HistoryThread
  private let inbox: ChatInbox
  private let log: @Sendable (LogConfiguration.Level, String) -> Void
  private let ask: (Summarising, LanguageQuestion) -> Void
  private var underWay: Set<Int64> = []
  /// Where a failure has been told.
  private var failed: Set<Int64> = []

  init(
    history: HistoryThread, inbox: ChatInbox, log: @escaping @Sendable (LogConfiguration.Level, String) -> Void,
    ask: @escaping (Summarising, LanguageQuestion) -> Void
  ) {
    self.history = history
    self.inbox = inbox
    self.log = log
    self.ask = ask
  }

  /// Begins one, if none is under way and enough has been left out.
  func consider(_ occasion: Occasion) {
    guard underWay.insert(occasion.thread).inserted else { return }
    let thread = occasion.thread
    history.run { histories -> (Conversation.Summary?, [Turn]) in
      histories.unsummarised(thread)
    } done: { [inbox] summary, turns in
      inbox.post { $0.summariser.begin(occasion, summary, turns) }
    }
  }

  func begin(_ occasion: Occasion, _ summary: Conversation.Summary?, _ turns: [Turn]) {
    let overrides = occasion.asked.overrides
    guard
      let summarising = Summarising(
        of: occasion, summary, turns, window: min(occasion.window, overrides.tokensPerQuestion ?? .max))
    else {
      underWay.remove(occasion.thread)
      return
    }
    // Nobody else answers in its place, and its tokens are the persona's.
    var own = LanguageOverrides(fallbacks: [])
    (own.tokensPerDay, own.tokensPerQuestion) = (overrides.tokensPerDay, overrides.tokensPerQuestion)
    var question = LanguageQuestion(persona: occasion.asked.persona, prompt: "", overrides: own, request: summarising.request)
    question.generation = occasion.asked.generation
    question.isInteractive = false
    ask(summarising, question)
  }

  /// One has ended; `text` is the summary. What is left out beyond it may be worth another.
  func ended(_ summarising: Summarising, _ text: Result<String, Failure>, estimate: TokenEstimate) {
    var occasion = summarising.occasion
    underWay.remove(occasion.thread)
    switch text {
    case .failure(let failure):
      if failure.code == .retired { return }
      if failed.count >= Self.failedLimit { failed = [] }
      guard failed.insert(occasion.thread).inserted else { return }
      let line = "no summary of what \(occasion.asked.persona) has no room for any more; the next turn tries again: \(failure.message)"
      log(.warning, line)
    case .success(let text):
      failed.remove(occasion.thread)
      occasion.estimate = estimate
      let (next, whole) = (occasion, Conversation.Summary(text: text, turns: summarising.turns))
      let summary = whole.cut(to: summarising.longest(estimate))
      if summary != whole {
        let sizes = "\(whole.text.utf8.count) bytes long; the first \(summary.text.utf8.count) are kept"
        log(.warning, "the summary of a conversation of \(occasion.asked.persona) is \(sizes): the model does not keep to max_tokens")
      }
      history.run {
        $0.keep(summary, of: next.thread)
      } done: { [inbox] isKept in
        // Without a disk the same turns would be summarised for ever.
        if isKept { inbox.post { $0.summarised(next) } }
      }
    }
  }
}
