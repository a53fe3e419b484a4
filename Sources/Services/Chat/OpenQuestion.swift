import Kernel
import System

/// A question that has not ended: its machine, and what performs it at the moment. For the chat thread.
final class OpenQuestion {
  let id: UInt64
  let asked: LanguageQuestion
  let onEvent: @Sendable (LanguageEvent) -> Void
  let askedAt: Milliseconds
  /// It is the kernel's own question, for this summary.
  let summarising: Summarising?
  var machine: QuestionMachine
  /// Where it waits or is asked; nil: nowhere yet.
  var provider: Provider?
  /// The response that is coming.
  var transfer: HTTPClient.ID?
  var reader = AnswerReader()
  /// A piece has come, in whatever round.
  var hasSpoken = false
  /// When the answer's last word came; nil: it has not.
  var completeAt: Milliseconds?
  /// When the first piece of this round came.
  var roundPieceAt: Milliseconds?

  init(
    id: UInt64, _ asked: LanguageQuestion, _ machine: QuestionMachine, summarising: Summarising?, at now: Milliseconds,
    onEvent: @escaping @Sendable (LanguageEvent) -> Void
  ) {
    self.id = id
    self.asked = asked
    self.machine = machine
    self.summarising = summarising
    self.onEvent = onEvent
    askedAt = now
  }
}
