import Kernel
import Protocol
import System

/// Where questions become answers: performs what each question's machine decides, with what the chat thread owns. For that
/// thread alone; jobs of others come through its inbox, and `round` follows each batch of them.
final class ChatEngine {
  typealias OnEvent = @Sendable (LanguageEvent) -> Void

  /// How many questions of one persona may be open at a time.
  static let questionLimit = 4096

  let pool: ProviderPool
  let summariser: Summariser
  private let http: HTTPClient
  private let sender: QuestionSender
  private let history: HistoryThread
  private let spending: Spending
  private let statistics: StatisticsBoard
  private let inbox: ChatInbox
  private let log: @Sendable (LogConfiguration.Level, String) -> Void
  private let events: EventQueue
  private var order = ConversationOrder()
  private var questions: [UInt64: OpenQuestion] = [:]
  private var openCounts: [String: Int] = [:]
  /// Who waits to hear which models there are: of one provider, or of all under "".
  private var surveys: [String: [@Sendable (Result<[UInt8], Failure>) -> Void]] = [:]
  /// When those that back off are sent again.
  private var timers: [UInt64: Milliseconds] = [:]
  private var lastSummary: UInt64 = 0
  private var isStopping = false

  /// What has happened to questions and is not handled yet, and whether the counters are to be published.
  final class EventQueue {
    var events = Deque<(UInt64, QuestionMachine.Event)>()
    var isStale = true
  }

  init(_ parts: Parts, http: HTTPClient) {
    let events = EventQueue()
    let (history, inbox) = (parts.makeHistory(), parts.inbox)
    let spending = Spending(
      clock: parts.clock,
      load: { day in
        history.run {
          $0.spent(on: day)
        } done: { spent in
          inbox.post { $0.spending.add(spent, of: day) }
        }
      },
      keep: { tokens, persona, day in history.run { $0.spend(tokens, persona: persona, day: day) } })
    (self.http, self.history, self.inbox, self.spending, self.events) = (http, history, inbox, spending, events)
    (log, statistics) = (parts.log, parts.statistics)
    pool = ProviderPool(parts.configuration, runtimeFolder: parts.runtimeFolder, http: http, log: parts.log)
    sender = QuestionSender(http: http, spending: spending, statistics: parts.statistics) { events.events.append(($0, $1)) }
    var ask: (Summarising, LanguageQuestion) -> Void = { _, _ in }
    summariser = Summariser(history: history, inbox: inbox, log: parts.log) { ask($0, $1) }
    ask = { [unowned self] in self.ask($1, summarising: $0) }
    pool.onLost = { ids, failure in for id in ids { events.events.append((id, .providerGone(failure))) } }
    pool.onChange = { events.isStale = true }
    pool.onChildEnd = { inbox.post { $0.pool.childEnded() } }
    configure(parts.configuration)
  }

  /// What a chat engine is made of.
  struct Parts: Sendable {
    var configuration: LanguageConfiguration
    /// A private folder for the local model's socket and log.
    var runtimeFolder: String
    /// Nil: conversations are kept in memory only.
    var dataFolder: String?
    /// Milliseconds since 1970.
    var clock: @Sendable () -> Int64
    var statistics: StatisticsBoard
    var inbox: ChatInbox
    var log: @Sendable (LogConfiguration.Level, String) -> Void

    fileprivate func makeHistory() -> HistoryThread {
      HistoryThread(folder: dataFolder, clock: clock, statistics: statistics, note: log)
    }
  }

  // MARK: What the outside asks for

  func ask(_ id: UInt64, _ asked: LanguageQuestion, onEvent: @escaping OnEvent) { ask(id, asked, summarising: nil, onEvent: onEvent) }

  /// A question of our own. The other half of the numbers is the kernel's.
  private func ask(_ asked: LanguageQuestion, summarising: Summarising) {
    lastSummary += 1
    ask(1 << 63 + lastSummary, asked, summarising: summarising) { _ in }
  }

  private func ask(_ id: UInt64, _ asked: LanguageQuestion, summarising: Summarising?, onEvent: @escaping OnEvent) {
    statistics.asked(asked)
    do throws(Failure) {
      if isStopping { throw Failure(.retired, "the kernel is stopping; the model is not asked any more") }
      let count = openCounts[asked.persona] ?? 0
      guard count < Self.questionLimit else {
        throw Failure(.queueFull, "\(asked.persona) has \(count) questions open; wait for answers before it asks more")
      }
      let question = try ChatQuestion(asked)
      let machine = QuestionMachine(question, try Route(question, asked.overrides, pool.configuration), deadline: asked.deadline)
      questions[id] = OpenQuestion(
        id: id, asked, machine, summarising: summarising, at: MachineClock.nowMilliseconds(), onEvent: onEvent)
      openCounts[asked.persona] = count + 1
      if question.thread.map({ order.enter(id, $0) }) ?? true { tell(id, .turnCame) }
    } catch {
      statistics.ended(asked, error)
      onEvent(.finished(.failure(error)))
      if let summarising { summariser.ended(summarising, .failure(error), estimate: summarising.occasion.estimate) }
    }
  }

  func cancel(_ id: UInt64) { tell(id, .cancelled) }

  /// Something has happened to a question; one that has ended is no error.
  func tell(_ id: UInt64, _ event: QuestionMachine.Event) { events.events.append((id, event)) }

  func history(_ request: HistoryRequest, onEnd: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    if history.isFull {
      return onEnd(.failure(Failure(.queueFull, "too much waits for the file of the conversations: try again later")))
    }
    history.run {
      $0.perform(request)
    } done: {
      onEnd($0)
    }
    guard case .forget(let persona, let thread) = request else { return }
    for question in questions.values where question.asked.persona == persona {
      if let key = question.machine.question.thread, thread == nil || key.thread == thread { tell(question.id, .forgotten) }
    }
  }

  /// Questions that are with a model that goes end there; histories stay.
  func configure(_ configuration: LanguageConfiguration) {
    events.isStale = true
    pool.configure(configuration)
    guard let standard = pool.standard else { return }
    statistics.change {
      $0.provider = standard.kind.rawValue
      $0.url = standard.address
      $0.model = standard.defaultModel
    }
  }

  /// What models there are, at one provider or at all of them.
  func models(of name: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    guard let servers = pool.servers(of: name) else {
      let (names, name) = (pool.configuration.providerNames, name ?? "")
      let near = Suggestion.nearest(to: name, among: names).map { "; did you mean \($0)?" } ?? ""
      return done(.failure(Failure(.invalid, "there is no provider \"\(name)\"; there are \(names.joined(separator: ", "))\(near)")))
    }
    // Whoever asks while the same is being asked gets the same answer.
    surveys[name ?? "", default: []].append(done)
    guard surveys[name ?? ""]?.count == 1 else { return }
    ModelSurvey(of: servers, isRunning: pool.local?.isReady == true, http: http) { [unowned self] list in
      for done in surveys.removeValue(forKey: name ?? "") ?? [] { done(.success(list)) }
    }.begin()
  }

  func summarised(_ occasion: Summariser.Occasion) {
    statistics.change { $0.summaries += 1 }
    if pool.configuration.summarises { summariser.consider(occasion) }
  }

  // MARK: The thread's round

  /// Does what the jobs want, and whatever else can be done without waiting.
  func round(_ jobs: [ChatJob]) {
    for job in jobs {
      job(self)
      drain()
    }
    http.perform()
    let now = MachineClock.nowMilliseconds()
    pool.runTimers(at: now)
    for (id, time) in timers where time <= now { tell(id, .timerDue) }
    drain()
    if events.isStale { publish() }
  }

  /// Waits until there is something to do.
  func sleep() {
    let now = MachineClock.nowMilliseconds()
    let timer = [http.nextTimer, pool.nextTimer(at: now), timers.values.min()].compactMap { $0 }.min()
    let pause = timer.map { max(0, min($0 - now, 60_000)) } ?? 60_000
    if http.wait(milliseconds: Int32(pause), descriptor: pool.local?.descriptor) { pool.local?.readOutput() }
  }

  /// Ends everything with `.retired`, but for answers that are on their way to the disk; returns when the child is gone.
  func stop() {
    isStopping = true
    for id in questions.keys.sorted() { tell(id, .stopped) }
    drain()
    pool.stop()
    history.stop()
    for job in inbox.takeLate() {
      job(self)
      drain()
    }
    pool.waitForChildren()
    http.cancelAll()
    for done in surveys.values.joined() { done(.failure(Failure(.retired, "the kernel is stopping; the models are not listed any more"))) }
    surveys = [:]
    publish()
  }

  /// Handles what has happened, and sends what may be sent.
  private func drain() {
    while true {
      if let (id, event) = events.events.popFirst() {
        handle(id, event)
      } else if let id = pool.next(at: MachineClock.nowMilliseconds()) {
        handle(id, .slotGiven)
      } else if events.events.isEmpty {
        return
      }
    }
  }

  private func publish() {
    events.isStale = false
    statistics.change { [pool, order, spending] in
      $0.budget = spending.report(totalLimit: pool.configuration.tokensPerDay)
      $0.providers = pool.statistics
      $0.waiting = order.waitingCount + pool.waitingCount
      $0.running = pool.runningCount
      $0.local = pool.local.map { .init(state: $0.state, pid: $0.pid, restarts: max(0, $0.starts - 1), log: $0.logPath) }
    }
  }

  // MARK: What a machine decides

  private func handle(_ id: UInt64, _ event: QuestionMachine.Event) {
    guard let question = questions[id] else { return }
    let now = MachineClock.nowMilliseconds()
    let actions = question.machine.handle(event, at: now)
    for action in actions { perform(action, for: question, at: now) }
    // Pieces change nothing that is counted or timed here.
    switch event {
    case .piece, .thought: return
    default: break
    }
    events.isStale = true
    if questions[id] != nil { timers[id] = question.machine.timer }
  }

  private func perform(_ action: QuestionMachine.Action, for question: OpenQuestion, at now: Milliseconds) {
    let id = question.id
    switch action {
    case .open: open(question)
    case .enqueue(let leg, let first):
      guard let provider = pool.provider(leg.provider) else { return tell(id, .providerGone(pool.gone(leg.provider))) }
      question.provider = provider
      provider.schedule.add(id, persona: question.asked.persona, isInteractive: question.asked.isInteractive, first: first)
    case .leave: question.provider?.schedule.remove(id, at: now)
    case .send: if let event = sender.send(question, totalLimit: pool.configuration.tokensPerDay) { tell(id, event) }
    case .reviveLocal: question.provider?.local?.handle(.refused)
    case .call(let tool, let arguments, let round, let index):
      guard let onToolCall = question.asked.onToolCall else { preconditionFailure("who offers tools calls them") }
      onToolCall(tool, arguments) { [inbox] result in
        inbox.post { $0.tell(id, .toolEnded(round: round, index: index, result)) }
      }
    case .emit(let text): question.onEvent(.piece(text))
    case .showThought(let line): question.onEvent(.thought(line))
    case .remember(let form): remember(form, question)
    case .settle(let tokens): spending.settle(id, persona: question.asked.persona, tokens: tokens)
    case .learn(let model, let estimate): sender.learn(model, estimate)
    case .keep(let turn):
      history.run {
        $0.append(turn)
      } done: { [inbox] isKept in
        inbox.post { $0.tell(id, .kept(isKept)) }
      }
    case .count(.retry): question.provider?.counters.retries += 1
    case .count(.fallback): question.provider?.counters.fallbacks += 1
    case .log(let level, let line): log(level, line)
    case .finish(let result): finish(question, result, at: now)
    }
  }

  /// The server has answered what was put in this way.
  private func remember(_ form: RequestForm, _ question: OpenQuestion) {
    guard let provider = question.provider else { return }
    let model = provider.server.model(for: question.machine.question)
    provider.forms.learn(form, of: model)
    log(.warning, "\(model ?? "the model") at \(provider.server.address) does not take \(form.text); it is asked without from now on")
  }

  /// Reads the conversation, and waits for what was spent today if that decides.
  private func open(_ question: OpenQuestion) {
    spending.refresh()
    let id = question.id
    let key = question.machine.question.thread
    let hasLimit = question.asked.overrides.tokensPerDay != nil || pool.configuration.tokensPerDay != nil
    guard key != nil || hasLimit && !spending.isKnown else { return tell(id, .opened(nil)) }
    let server = pool.provider(question.machine.provider)?.server
    let window = server?.window ?? ProviderConfiguration().contextTokens
    let estimate = sender.estimate(server?.model(for: question.machine.question))
    // What was spent is asked for before this, so it is known when this is done.
    history.run { histories in
      key.map { histories.open($0, window: window, estimate: estimate) }
    } done: { [inbox] conversation in
      inbox.post { $0.tell(id, .opened(conversation)) }
    }
  }

  /// The one way out of every question.
  private func finish(_ question: OpenQuestion, _ result: Result<[UInt8], Failure>, at now: Milliseconds) {
    let (id, machine, asked) = (question.id, question.machine, question.asked)
    questions[id] = nil
    timers[id] = nil
    let count = (openCounts[asked.persona] ?? 1) - 1
    openCounts[asked.persona] = count > 0 ? count : nil
    sender.cancel(question)
    if let thread = machine.question.thread, let next = order.leave(id, thread) { tell(next, .turnCame) }
    var failure: Failure?
    if case .failure(let why) = result { failure = why } else { question.provider?.counters.answered += 1 }
    statistics.ended(asked, failure)
    publish()
    question.onEvent(.finished(result))
    if let summarising = question.summarising {
      let text: Result<String, Failure> = failure.map { .failure($0) } ?? .success(machine.progress.text)
      summariser.ended(summarising, text, estimate: machine.prompts.estimate)
    } else if failure == nil, !isStopping, pool.configuration.summarises, let server = machine.server,
      let thread = machine.prompts.conversation?.thread
    {
      summariser.consider(
        .init(
          thread: thread, asked: asked, provider: server.name, model: machine.question.model, window: server.window,
          estimate: machine.prompts.estimate))
    }
  }
}
