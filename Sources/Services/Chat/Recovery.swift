import Kernel
import Protocol
import System

/// What is still tried when a question has failed before its first word: whether its server is asked again, when, and how. A value.
struct Recovery: Sendable {
  enum Step: Equatable {
    /// Again, when the kernel's own model is there again.
    case revive
    /// Again, with less of the history.
    case refit(ServerError)
    /// Again at once, without that part of the request.
    case reform(RequestParameter)
    /// Again, after so long.
    case wait(Milliseconds)
    /// Not again.
    case giveUp
  }

  /// What was sent, and how things stand.
  struct Attempt {
    var server: ModelServer
    var question: ChatQuestion
    var prompt: Prompt
    var mayCallTools: Bool
    /// Something has been said in this round.
    var hasText: Bool
    var deadline: Milliseconds?
    /// The server is left in peace from now on.
    var isResting: Bool
    /// From 0 to 1.
    var chance: Double
    var now: Milliseconds
  }

  /// Nil: it has not been sent on this leg yet, or has called tools since.
  private var backoff: Backoff?
  private var hasReconnected = false
  /// How the request is put to this server.
  private(set) var form = RequestForm()
  /// What of it the server has taught us with this question, to be remembered if that helps.
  private var learnt = RequestForm()

  /// The question goes on at the same server.
  mutating func beginRound() {
    backoff = nil
    hasReconnected = false
  }

  /// The question goes to another server.
  mutating func beginLeg() { self = Recovery() }

  /// So requests are put to this server and model, as far as that is known.
  mutating func know(_ form: RequestForm) { self.form.add(form) }

  /// What has helped; nil: nothing was needed. It is told once.
  mutating func takeLearnt() -> RequestForm? {
    defer { learnt = RequestForm() }
    return learnt.isUsual ? nil : learnt
  }

  mutating func next(_ setback: Setback, _ attempt: Attempt) -> Step {
    if attempt.server.kind == .local, setback.isLostConnection, !hasReconnected {
      hasReconnected = true
      return .revive
    }
    if !attempt.hasText, let refusal = setback.refusal, let parameter = refused(refusal, attempt) {
      let isSchema = if case .schema? = attempt.question.format { true } else { false }
      form.leaveOut(parameter, isSchema: isSchema)
      if !RequestParameter.isOfValue(refusal) { learnt.leaveOut(parameter, isSchema: isSchema) }
      return .reform(parameter)
    }
    if let error = setback.serverError, error.saysTooLong, attempt.prompt.kept > 0 { return .refit(error) }
    if !attempt.isResting, let pause = pause(setback, attempt) { return .wait(pause) }
    return .giveUp
  }

  private func refused(_ error: ServerError, _ attempt: Attempt) -> RequestParameter? {
    let sent = attempt.server.parameters(of: attempt.question, attempt.prompt, mayCallTools: attempt.mayCallTools, form)
    return RequestParameter.refused(by: error, among: sent)
  }

  /// How long to wait before it is sent again; nil: that would not help, or there is no time.
  private mutating func pause(_ setback: Setback, _ attempt: Attempt) -> Milliseconds? {
    guard setback.isWorthAnotherTry, !attempt.hasText else { return nil }
    // A model that was only loaded is there now.
    let least = if case .empty = setback { 1 } else { 0 }
    var next = backoff ?? Backoff(limit: max(least, attempt.server.retries))
    defer { backoff = next }
    guard let pause = next.next(retryAfter: setback.retryAfter, chance: attempt.chance),
      attempt.deadline.map({ attempt.now + pause < $0 }) ?? true
    else { return nil }
    return pause
  }
}
