import Kernel
import Protocol
import System

/// Sends questions to servers and reads what comes back: prompt, budget, circuit breaker, request, response. For the chat thread.
final class QuestionSender {
  /// Of so many models it is known how many bytes a token has.
  private static let estimateLimit = 256

  private let http: HTTPClient
  private let spending: Spending
  private let statistics: StatisticsBoard
  private let tell: (UInt64, QuestionMachine.Event) -> Void
  /// What was learnt of each model, as a start for new conversations.
  private var estimates: [String: TokenEstimate] = [:]

  /// `tell` takes what comes of a question that was sent.
  init(
    http: HTTPClient, spending: Spending, statistics: StatisticsBoard, tell: @escaping (UInt64, QuestionMachine.Event) -> Void
  ) {
    self.http = http
    self.spending = spending
    self.statistics = statistics
    self.tell = tell
  }

  func learn(_ model: String, _ estimate: TokenEstimate) {
    if estimates.count >= Self.estimateLimit, estimates[model] == nil { estimates = [:] }
    estimates[model] = estimate
  }

  func estimate(_ model: String?) -> TokenEstimate { estimates[model ?? ""] ?? TokenEstimate() }

  /// Sends it to the provider where it has its slot.
  ///
  /// - Returns: why it cannot be sent; nil: it is on its way.
  func send(_ question: OpenQuestion, totalLimit: Int?) -> QuestionMachine.Event? {
    guard let provider = question.provider else { preconditionFailure("what is sent has been in line") }
    let server = provider.server
    let request: HTTPRequest
    do throws(Failure) {
      let learnt = estimate(server.model(for: question.machine.question))
      let known = provider.forms.form(of: server.model(for: question.machine.question))
      let draft = try question.machine.draft(for: server, learnt: learnt, form: known)
      let form = question.machine.recovery.form
      request = try server.request(draft.question, draft.prompt, mayCallTools: question.machine.mayCallTools, form: form)
      try spending.reserve(question.id, draft.need, limit: question.asked.overrides.tokensPerDay, totalLimit: totalLimit)
    } catch { return .unsent(error, mayFallBack: error.code == .llmNoModel) }
    // Last: whom the breaker lets through to try must be sent.
    if let obstacle = provider.breaker.obstacle(at: MachineClock.nowMilliseconds()) {
      return .unsent(server.resting(obstacle), mayFallBack: true)
    }
    question.reader = AnswerReader()
    question.completeAt = nil
    question.roundPieceAt = nil
    provider.counters.sent += 1
    question.transfer = http.start(request) { [unowned self] in
      receive(question, status: $0, $1)
    } end: { [unowned self] in
      ended(question, $0, provider, server)
    }
    return nil
  }

  /// Closes the connection, if there is one.
  func cancel(_ question: OpenQuestion) {
    guard let transfer = question.transfer else { return }
    question.transfer = nil
    http.cancel(transfer)
    question.provider?.breaker.ended(at: MachineClock.nowMilliseconds())
  }

  /// - Returns: whether more is wanted.
  private func receive(_ question: OpenQuestion, status: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    let weight = question.reader.weight
    tell(question, question.reader.receive(status: status, bytes))
    let now = MachineClock.nowMilliseconds()
    let hasGrown = question.reader.weight > weight
    // Signs of life are no answer: whoever waits for its slot goes by what the model says.
    if hasGrown { question.provider?.schedule.heard(question.id, at: now) }
    guard let transfer = question.transfer, let server = question.machine.server else { return question.reader.wantsMore }
    guard let lingering = question.reader.lingering else {
      question.completeAt = nil
      http.setSilence(of: transfer, to: server.silenceMilliseconds)
      return question.reader.wantsMore
    }
    // After the last word the body's own end is only wanted to keep the connection: for a while, in silence or not.
    if hasGrown || question.completeAt == nil { question.completeAt = now }
    http.setSilence(of: transfer, to: min(lingering, server.silenceMilliseconds))
    return question.reader.wantsMore && now - (question.completeAt ?? now) < 2 * Milliseconds(lingering)
  }

  private func tell(_ question: OpenQuestion, _ pieces: [AnswerPiece]) {
    for piece in pieces {
      switch piece {
      case .thought(let text): tell(question.id, .thought(text))
      case .text(let text):
        count(question)
        tell(question.id, .piece(text))
      }
    }
  }

  /// Notes when the first piece of a round has come.
  private func count(_ question: OpenQuestion) {
    guard question.roundPieceAt == nil else { return }
    let now = MachineClock.nowMilliseconds()
    question.roundPieceAt = now
    guard !question.hasSpoken else { return }
    question.hasSpoken = true
    let latency = Int(now - question.askedAt)
    question.provider?.counters.first_piece_ms.add(latency)
    statistics.firstPiece(of: question.asked, after: latency)
  }

  private func ended(_ question: OpenQuestion, _ end: HTTPEnd, _ provider: Provider, _ server: ModelServer) {
    question.transfer = nil
    tell(question, question.reader.end(end))
    let now = MachineClock.nowMilliseconds()
    let answer = question.reader.answer
    guard let setback = question.reader.setback(end, silenceMilliseconds: server.silenceMilliseconds) else {
      provider.breaker.succeeded()
      provider.local?.handle(.answered)
      statistics.round(of: question.asked, answer, milliseconds: question.roundPieceAt.map { Int(now - $0) })
      return tell(question.id, .answered(answer))
    }
    if server.kind != .local {
      if setback.isOfServer { provider.breaker.failed(at: now) } else { provider.breaker.succeeded() }
    }
    var isResting = false
    if case .open = provider.breaker.state { isResting = true }
    tell(question.id, .setback(setback, answer, isResting: isResting, chance: Double.random(in: 0...1)))
  }
}
