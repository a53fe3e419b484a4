import Kernel
import Protocol
import System
import Wire

/// One question to the model from its arrival to its end: events in, actions out. A value; the clock is given to it.
///
///     waiting ─▶ opening ─▶ queued ─▶ sending ─▶ streaming ─▶ keeping ─▶ done
///                             ▲        │  ▲ ▲        │
///                             │        ▼  │ └────────┤ the answer is to be mended
///                             │    backingOff        ▼
///                             ├─ the next provider   callingTools
///                             └──────────────────────┘
///
/// `ChatEngine` does what it says, and tells it what came of it.
struct QuestionMachine: Sendable {
  enum State: Sendable {
    /// For the questions of its conversation that came before.
    case waiting
    /// Its conversation is being read.
    case opening
    /// It has a place in line at the provider of its leg.
    case queued
    /// It is with the server, which has said nothing yet in this round.
    case sending
    case streaming
    /// It has failed and is sent again then. It keeps its slot: others would meet the same server.
    case backingOff(until: Milliseconds)
    /// It has left its slot to others meanwhile: those who are called may need it.
    case callingTools(ToolRound)
    /// The answer is whole, and its turn is on the way to the disk.
    case keeping(ChatResult)
    case done
  }

  enum Event: Sendable {
    /// It is the first of its conversation, or of none.
    case turnCame
    /// What `open` asked for. Nil: the question has no conversation.
    case opened(Conversation?)
    /// Its conversation has been forgotten.
    case forgotten
    case slotGiven
    /// It could not be sent.
    case unsent(Failure, mayFallBack: Bool)
    /// Its provider is not there any more, or cannot be brought up.
    case providerGone(Failure)
    case piece(String)
    /// A piece of what the model thinks: shown, and no part of the answer.
    case thought(String)
    /// The server has said its last word.
    case answered(Answer)
    /// The response ended without one. `isResting`: the server is left in peace from now on; `chance`: from 0 to 1.
    case setback(Setback, Answer, isResting: Bool, chance: Double)
    /// The time of `backingOff` is over.
    case timerDue
    case toolEnded(round: Int, index: Int, Result<[UInt8], Failure>)
    /// Whether the turn is on the disk.
    case kept(Bool)
    /// Nobody wants the answer any more.
    case cancelled
    /// Everything ends.
    case stopped
  }

  enum Action: Equatable, Sendable {
    /// Read the conversation, and say `opened`.
    case open
    /// Take a place in line at that provider; `first`: before what its persona has waiting.
    case enqueue(Route.Leg, first: Bool)
    /// Give the place or the slot back.
    case leave
    /// Make the prompt with `draft`, and send it.
    case send
    /// The kernel's own model does not take connections: see to it.
    case reviveLocal
    case call(tool: String, arguments: [UInt8], round: Int, index: Int)
    /// Show it.
    case emit(String)
    /// Show it as what the model is about.
    case showThought(String)
    /// So requests are put to this server and model from now on.
    case remember(RequestForm)
    /// A round has ended, well or not, and has cost so many tokens.
    case settle(Int)
    /// So the model's tokens are estimated from now on.
    case learn(model: String, TokenEstimate)
    /// Bring the turn to the disk, and say `kept`.
    case keep(AnsweredTurn)
    case count(Tally)
    case log(LogConfiguration.Level, String)
    /// Nothing comes after it.
    case finish(Result<[UInt8], Failure>)
  }

  /// What a provider's counters tell of a question.
  enum Tally: Equatable, Sendable { case retry, fallback }

  /// Its model is that of the leg on which it is.
  private(set) var question: ChatQuestion
  private(set) var state = State.waiting
  private(set) var progress = AnswerProgress()
  private(set) var prompts = PromptBuilder()
  /// As it was when the question was sent; a change of configuration meets later questions.
  private(set) var server: ModelServer?
  private(set) var recovery = Recovery()
  private var route: RouteProgress
  /// When nobody wants the answer any more.
  private let deadline: Milliseconds?
  private var repairs = 0
  /// The conversation was forgotten while it was read.
  private var mustReopen = false
  /// What the last response said, as far as it is known; nil: it has been settled.
  private var unsettled: Answer?

  init(_ question: ChatQuestion, _ route: Route, deadline: Milliseconds?) {
    self.question = question
    self.route = RouteProgress(route)
    self.deadline = deadline
    self.question.model = self.route.leg.model
  }

  /// Its leg's provider.
  var provider: String { route.leg.provider }
  var mayCallTools: Bool { progress.roundCount < question.toolRounds }
  /// When `timerDue` is wanted.
  ///
  /// Not inlined: Swift 6.3.1's optimiser ends with "Found ownership error" when it is, in a release build.
  @inline(never) var timer: Milliseconds? { if case .backingOff(let until) = state { until } else { nil } }

  /// An event that means nothing any more (a tool of a question that has ended) does nothing.
  mutating func handle(_ event: Event, at now: Milliseconds) -> [Action] {
    switch (event, state) {
    case (_, .done): return []
    case (.turnCame, .waiting): return open()
    case (.opened(let conversation), .opening): return opened(conversation)
    case (.forgotten, _): return forgotten()
    case (.slotGiven, .queued): return send(at: now)
    case (.timerDue, .backingOff(let until)) where until <= now: return send(at: now)
    case (.unsent(let failure, let mayFallBack), .sending): return mayFallBack ? fallBack(failure) : end(failure)
    case (.providerGone(let failure), .queued): return fallBack(failure)
    case (.piece(let text), .sending), (.piece(let text), .streaming): return piece(text)
    case (.thought(let text), .sending), (.thought(let text), .streaming): return progress.think(text).map { .showThought($0) }
    case (.answered(let answer), .sending), (.answered(let answer), .streaming): return answered(answer, at: now)
    case (.setback(let setback, let answer, let isResting, let chance), .sending),
      (.setback(let setback, let answer, let isResting, let chance), .streaming):
      unsettled = answer
      return failed(setback, isResting: isResting, chance: chance, at: now)
    case (.toolEnded(let number, let index, let result), .callingTools(var round)) where number == progress.roundCount:
      round.end(index, result, at: now)
      return goOn(round)
    case (.kept(let isKept), .keeping(var result)):
      if !isKept { result.history_failed = true }
      state = .done
      return [.finish(.success(PayloadCoding.bytes(of: result)))]
    // An answer that is whole is delivered.
    case (.cancelled, .keeping), (.stopped, .keeping): return []
    case (.cancelled, _):
      return stop(overdue(at: now) ?? Failure(.cancelled, "the question to the model was cancelled"))
    case (.stopped, _): return stop(Failure(.retired, "the kernel is stopping; the question to the model was given up"))
    default: return []
    }
  }

  /// What to send now, to the server as it is configured now. `form`: what is known of how it takes requests.
  mutating func draft(
    for server: ModelServer, learnt: TokenEstimate, form: RequestForm = RequestForm()
  ) throws(Failure) -> PromptBuilder.Draft {
    self.server = server
    recovery.know(form)
    return try prompts.draft(question, progress.rounds + progress.repair, for: server, learnt: learnt)
  }

  // MARK: Before it is sent

  private mutating func open() -> [Action] {
    state = .opening
    return [.open]
  }

  private mutating func opened(_ conversation: Conversation?) -> [Action] {
    if mustReopen {
      mustReopen = false
      return [.open]
    }
    prompts.open(conversation)
    state = .queued
    return [.enqueue(route.leg, first: false)]
  }

  /// What is forgotten goes to no model any more, unless it has gone already.
  private mutating func forgotten() -> [Action] {
    switch state {
    case .opening:
      mustReopen = true
      return []
    case .queued where progress.isUntouched: return [.leave] + open()
    default: return []
    }
  }

  /// Why it need not be sent any more.
  private func overdue(at now: Milliseconds) -> Failure? {
    guard let deadline, deadline <= now else { return nil }
    return Failure(.deadline, "the time of the question that this was asked for is over: \(question.persona)'s was not answered")
  }

  private mutating func send(at now: Milliseconds) -> [Action] {
    if let overdue = overdue(at: now) { return end(overdue) }
    state = .sending
    progress.beginRound()
    unsettled = Answer()
    return [.send]
  }

  // MARK: The answer

  private mutating func piece(_ text: String) -> [Action] {
    state = .streaming
    return emit(progress.add(text, mayCall: !question.tools.isEmpty))
  }

  /// Of a form nothing is shown before it is known to be right.
  private func emit(_ text: String) -> [Action] { question.form == nil && !text.isEmpty ? [.emit(text)] : [] }

  private mutating func answered(_ said: Answer, at now: Milliseconds) -> [Action] {
    unsettled = said
    var answer = said
    let written = progress.takeCalls(question.tools)
    if answer.toolCalls.isEmpty { answer.toolCalls = written }
    let wantsTools = !answer.toolCalls.isEmpty && !question.tools.isEmpty && mayCallTools
    if progress.text.isEmpty, !wantsTools { return failed(.empty(answer), isResting: false, chance: 0, at: now) }
    progress.count(answer)
    let settled = emit(progress.release()) + settle() + (recovery.takeLearnt().map { [.remember($0)] } ?? [])
    if wantsTools { return settled + callTools(answer.toolCalls, at: now) }
    guard let form = question.form else { return settled + conclude(answer, json: nil) }
    do throws(AnswerForm.Violations) {
      let json = try form.read(progress.text, finish: answer.finish)
      return settled + [.emit(progress.text)] + conclude(answer, json: json)
    } catch { return settled + mend(answer, error, at: now) }
  }

  /// Has the model answer again, once.
  private mutating func mend(_ answer: Answer, _ violations: AnswerForm.Violations, at now: Milliseconds) -> [Action] {
    let model = answer.model ?? server?.model(for: question) ?? "the model"
    guard repairs < AnswerForm.repairs else {
      return end(AnswerForm.failure(violations, progress.text, model: model, server: server?.name ?? provider))
    }
    repairs += 1
    progress.mend(violations)
    let line = "\(model) is asked again for \(question.persona), whose answer did not have its form: \(violations.text.prefix(300))"
    return [.log(.info, line)] + send(at: now)
  }

  private mutating func conclude(_ answer: Answer, json: JSON?) -> [Action] {
    var actions: [Action] = []
    let model = server?.model(for: question) ?? ""
    var result = ChatResult(
      text: progress.wholeText(hasForm: question.format != nil), provider: server?.name ?? provider, model: answer.model ?? model,
      finish: answer.finish ?? "stop", prompt_tokens: progress.promptTokens, completion_tokens: progress.completionTokens,
      forgotten_turns: prompts.forgotten, json: json.map(EncodableJSON.init))
    if route.leg.provider != route.first.provider { result.fallback_from = route.first.provider }
    if let prompt = prompts.prompt, prompt.summarised > 0 { result.summarised_turns = prompt.summarised }
    if !progress.reports.isEmpty { result.tool_calls = progress.reports.map(EncodableJSON.init) }
    if let tokens = answer.promptTokens, let server {
      if !prompts.learn(tokens, from: server) {
        result.cut_by_server = true
        let line = "\(server.address) read \(tokens) tokens of a prompt of about \(prompts.prompt?.estimated ?? 0) for \(question.persona)"
        actions.append(.log(.warning, line + ": it dropped the front"))
      }
      actions.append(.learn(model: model, prompts.estimate))
    }
    actions.append(.leave)
    guard let key = question.thread, let conversation = prompts.conversation else {
      state = .done
      return actions + [.finish(.success(PayloadCoding.bytes(of: result)))]
    }
    // The conversation could not be read.
    if conversation.thread == nil { result.history_failed = true }
    state = .keeping(result)
    let turn = AnsweredTurn(
      key: key, thread: conversation.thread,
      messages: question.messages + progress.rounds + [ChatMessage(role: .assistant, content: progress.text)],
      facts: TurnFacts(
        provider: result.provider, model: result.model, finish: result.finish, promptTokens: result.prompt_tokens,
        completionTokens: result.completion_tokens),
      leftOut: prompts.forgotten, window: prompts.window, estimate: prompts.estimate)
    return actions + [.keep(turn)]
  }

  // MARK: Tools

  private mutating func callTools(_ calls: [ToolCall], at now: Milliseconds) -> [Action] {
    progress.beginCalls(calls)
    var actions = [Action.leave]
    var round = ToolRound(calls, question.tools, at: now)
    for (index, entry) in round.entries.enumerated() where entry.outcome == nil {
      switch question.tools.read(entry.call) {
      case .failure(let failure): round.end(index, .failure(failure), at: now)
      case .success(let (tool, arguments)):
        actions.append(.call(tool: tool, arguments: arguments, round: progress.roundCount, index: index))
      }
    }
    return actions + goOn(round)
  }

  /// Asks the model again when all that it called has ended.
  private mutating func goOn(_ round: ToolRound) -> [Action] {
    guard round.isOver else {
      state = .callingTools(round)
      return []
    }
    // A result has at most as many bytes as the window has tokens.
    progress.end(round, limit: server?.window ?? 0)
    recovery.beginRound()
    state = .queued
    return [.enqueue(route.leg, first: true)]
  }

  // MARK: When it fails

  private mutating func failed(_ setback: Setback, isResting: Bool, chance: Double, at now: Milliseconds) -> [Action] {
    guard let server, let prompt = prompts.prompt else { preconditionFailure("a response comes to what was sent") }
    let attempt = Recovery.Attempt(
      server: server, question: question, prompt: prompt, mayCallTools: mayCallTools, hasText: !progress.text.isEmpty, deadline: deadline,
      isResting: isResting, chance: chance, now: now)
    switch recovery.next(setback, attempt) {
    case .revive:
      state = .queued
      return [.leave, .enqueue(route.leg, first: true), .reviveLocal]
    case .refit(let error):
      prompts.refit(error)
      let line = "the history of \(question.persona) was too long for the model; it is asked again with less of it"
      return [.log(.info, line)] + send(at: now)
    case .reform(let parameter):
      let line = "\(server.address) does not take \(parameter.rawValue) as it was for \(question.persona); it is asked without that"
      return [.log(.info, line)] + send(at: now)
    case .wait(let pause):
      state = .backingOff(until: now + pause)
      let line = "\(server.address) failed before its first word for \(question.persona); it is asked again in \(pause) ms"
      return [.count(.retry), .log(.info, line)]
    case .giveUp:
      let failure = server.failure(setback, question: question, prompt: prompt)
      return setback.isOfServer || failure.code == .llmNoModel ? fallBack(failure) : end(failure)
    }
  }

  /// Goes on to the next provider of its route, if there is one and nothing has been said yet.
  private mutating func fallBack(_ failure: Failure) -> [Action] {
    guard let next = route.goOn(after: failure, mayLeave: progress.isUntouched) else { return end(failure) }
    question.model = next.model
    recovery.beginLeg()
    prompts.beginLeg()
    state = .queued
    let line = "\(failure.message); \(question.persona) is answered by \(next.provider) instead"
    return [.leave, .count(.fallback), .log(.warning, line), .enqueue(next, first: true)]
  }

  /// The end of a question that could not be answered, with what each provider said.
  private mutating func end(_ last: Failure) -> [Action] { stop(route.whole(last)) }

  private mutating func stop(_ failure: Failure) -> [Action] {
    state = .done
    return settle() + [.leave, .finish(.failure(failure))]
  }

  private mutating func settle() -> [Action] {
    guard let answer = unsettled else { return [] }
    unsettled = nil
    let cost = prompts.cost(of: answer, bytes: progress.received)
    prompts.spend(cost)
    return [.settle(cost)]
  }
}
