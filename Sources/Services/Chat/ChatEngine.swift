import Kernel
import Protocol
import Synchronization
import System

/// Where questions become answers: everything that the language thread owns. For that thread alone.
final class ChatEngine {
  typealias OnEvent = Exchange.OnEvent

  /// The longest answer, in bytes: the default limit of a frame.
  private static let answerLimit = 16 << 20
  private static let errorBodyLimit = 64 << 10
  /// How long a body may go on after the answer's last word, in milliseconds.
  private static let lingering = 1000

  let http: HTTPClient
  private let runtimeFolder: String
  private let post: @Sendable (LanguageJob) -> Void
  private let note: @Sendable (LogConfiguration.Level, String) -> Void
  private let statistics: StatisticsBoard
  private var configuration: LanguageConfiguration
  /// By name; one that has gone from the configuration lives on in the exchanges that are with it.
  private var providers: [String: Provider] = [:]
  private var order = ConversationOrder()
  private var exchanges: [UInt64: Exchange] = [:]
  private let histories: Histories
  private let spending: Spending
  /// The threads of which a summary is being made, and those of which the last one failed.
  private var summarising: Set<Int64> = []
  private var summaryFailed: Set<Int64> = []
  private var lastSummary: UInt64 = 0
  /// What was learnt for each model, as a start for new conversations.
  private var estimates: [String: TokenEstimate] = [:]

  init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, histories: Histories, spending: Spending, http: HTTPClient,
    statistics: StatisticsBoard,
    post: @escaping @Sendable (LanguageJob) -> Void, note: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.configuration = configuration
    self.runtimeFolder = runtimeFolder
    self.histories = histories
    self.spending = spending
    self.http = http
    self.post = post
    self.note = note
    self.statistics = statistics
    configureProviders()
  }

  // MARK: What the outside asks for

  func ask(_ id: UInt64, _ question: LanguageQuestion, summarising: Summarising? = nil, onEvent: @escaping OnEvent) {
    statistics.change {
      $0.requests += 1
      $0.count(question.persona, generation: question.generation) { $0.requests += 1 }
    }
    do {
      let read = try ChatQuestion(question)
      let exchange = Exchange(id: id, question, read, try Route(read, question.overrides, configuration), onEvent: onEvent)
      exchange.summarising = summarising
      exchanges[id] = exchange
      if read.thread.map({ order.enter(id, $0) }) ?? true { line(up: exchange) }
      dispatch()
    } catch {
      statistics.change { $0.failures[error.code.rawValue, default: 0] += 1 }
      onEvent(.finished(.failure(error)))
    }
  }

  func cancel(_ id: UInt64) {
    guard let exchange = exchanges[id] else { return }
    let failure = overdue(exchange) ?? Failure(.cancelled, "the question to the model was cancelled")
    end(exchange, .failure(failure))
    dispatch()
  }

  func forget(_ thread: ThreadKey) {
    if case .failure(let failure) = histories.perform(.forget(persona: thread.persona, thread: thread.thread)) {
      note(.error, "the conversation \(thread.thread) of \(thread.persona) is not forgotten: \(failure.message)")
    }
  }

  func history(_ order: HistoryRequest, onEnd: @Sendable (Result<[UInt8], Failure>) -> Void) { onEnd(histories.perform(order)) }

  /// Questions that are with the model end there; histories stay.
  func configure(_ configuration: LanguageConfiguration) {
    self.configuration = configuration
    configureProviders()
    dispatch()
  }

  /// Ends everything with `.retired`; returns when the child is gone.
  func stop() {
    for exchange in exchanges.values.sorted(by: { $0.id < $1.id }) {
      end(exchange, .failure(Failure(.retired, "the kernel is stopping; the question to the model was given up")))
    }
    local?.stop()
    http.cancelAll()
    publish()
  }

  /// What models there are, at one provider or at all of them.
  func models(of name: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    if let name, configuration.provider(name) == nil {
      let names = configuration.providerNames
      let near = Suggestion.nearest(to: name, among: names).map { "; did you mean \($0)?" } ?? ""
      return done(.failure(Failure(.invalid, "there is no provider \"\(name)\"; there are \(names.joined(separator: ", "))\(near)")))
    }
    let asked = name.map { [provider($0)] } ?? providers.values.sorted { $0.name < $1.name }
    ModelSurvey(of: asked.map(\.server), isRunning: local?.isReady == true, http: http) { done(.success($0)) }.begin()
  }

  // MARK: The thread's round

  /// The kernel's own model, where a provider is it.
  var local: LocalModel? { providers.values.lazy.compactMap(\.local).first }

  /// When `runTimers` has something to do.
  var nextTimer: Milliseconds? {
    ([http.nextTimer, local?.nextTimer] + exchanges.values.map(\.retryAt)).compactMap { $0 }.min()
  }

  func runTimers() {
    if let local, let timer = local.nextTimer, timer <= MachineClock.nowMilliseconds() { local.handle(.timer) }
    for exchange in exchanges.values where exchange.retryAt.map({ $0 <= MachineClock.nowMilliseconds() }) ?? false { send(exchange) }
    dispatch()
  }

  func publish() {
    statistics.change { [providers, order, histories, spending, configuration, local] in
      $0.budget = spending.report(totalLimit: configuration.tokensPerDay)
      $0.providers = providers.mapValues(\.statistics)
      $0.waiting = providers.values.reduce(order.waitingCount) { $0 + $1.schedule.waitingCount }
      $0.running = providers.values.reduce(0) { $0 + $1.schedule.runningCount }
      $0.conversations = histories.count
      $0.history_failures = histories.failures
      $0.local = local.map { .init(state: $0.state, pid: $0.pid, restarts: max(0, $0.starts - 1), log: $0.logPath) }
    }
  }

  // MARK: Providers

  /// The providers as they are configured now.
  private func configureProviders() {
    let names = Set(configuration.providers.keys).union([LanguageConfiguration.standardName])
    for (name, provider) in providers where !names.contains(name) {
      // The kernel's own model needs no table: it stays as long as somebody may name it.
      if let now = configuration.provider(name), configuration.canonical(name) == name {
        set(provider, now)
      } else {
        providers[name] = nil
        provider.local?.stop()
        provider.local = nil
        for id in provider.schedule.waitingIDs {
          guard let exchange = exchanges[id] else { continue }
          let failure = gone(name)
          if !fallBack(exchange, failure) { end(exchange, .failure(failure)) }
        }
      }
    }
    for name in names { _ = provider(name).configuration }
    let standard = provider(LanguageConfiguration.standardName).server
    statistics.change {
      $0.provider = standard.kind.rawValue
      $0.url = standard.address
      $0.model = standard.defaultModel
    }
  }

  /// The provider of a name that is configured; made, or set to what is configured now.
  private func provider(_ name: String) -> Provider {
    let name = configuration.canonical(name)
    guard let wanted = configuration.provider(name) else { preconditionFailure("a route goes through providers that are there") }
    let provider = providers[name] ?? Provider(name: name, wanted, localSocket: LocalModel.socketPath(in: runtimeFolder))
    providers[name] = provider
    set(provider, wanted)
    return provider
  }

  private func set(_ provider: Provider, _ wanted: ProviderConfiguration) {
    provider.configure(wanted, localSocket: LocalModel.socketPath(in: runtimeFolder))
    if let local = provider.local, wanted.kind != .local || !local.isMade(for: wanted, configuration.local) {
      local.stop()
      provider.local = nil
    }
    if wanted.kind == .local, provider.local == nil { provider.local = employLocal(provider) }
  }

  private func employLocal(_ provider: Provider) -> LocalModel {
    let local = LocalModel(provider.configuration, configuration.local, runtimeFolder: runtimeFolder, http: http, note: note)
    local.onReady = { [unowned self] in dispatch() }
    local.onGiveUp = { [unowned self, unowned provider] failure in
      note(.error, failure.message)
      // The end of one may bring the next of its conversation.
      while let id = provider.schedule.waitingIDs.first, let exchange = exchanges[id] {
        if !fallBack(exchange, failure) { end(exchange, .failure(failure)) }
      }
      dispatch()
    }
    return local
  }

  // MARK: One question

  /// Puts it in line at the provider of its leg.
  private func line(up exchange: Exchange, first: Bool = false) {
    let leg = exchange.route.legs[exchange.leg]
    guard configuration.provider(leg.provider) != nil else {
      let failure = gone(leg.provider)
      if !fallBack(exchange, failure) { end(exchange, .failure(failure)) }
      return
    }
    let provider = providers[leg.provider] ?? provider(leg.provider)
    exchange.provider = provider
    exchange.question.model = leg.model
    exchange.backoff = Backoff(limit: provider.server.retries)
    provider.schedule.add(exchange.id, persona: exchange.question.persona, isInteractive: exchange.order.isInteractive, first: first)
  }

  private func dispatch() {
    var stalled: Set<String> = []
    while let provider = providers.values.first(where: { !stalled.contains($0.name) && $0.schedule.hasNext }) {
      if let local = provider.local, !local.isReady {
        stalled.insert(provider.name)
        local.handle(.needed)
        continue
      }
      guard let id = provider.schedule.next(at: MachineClock.nowMilliseconds()), let exchange = exchanges[id] else {
        preconditionFailure("what is scheduled is an exchange")
      }
      send(exchange)
    }
  }

  /// Why it need not be sent any more.
  private func overdue(_ exchange: Exchange) -> Failure? {
    guard let deadline = exchange.order.deadline, deadline <= MachineClock.nowMilliseconds() else { return nil }
    return Failure(.deadline, "the time of the question that this was asked for is over: \(exchange.question.persona)'s was not answered")
  }

  private func send(_ exchange: Exchange) {
    guard let provider = exchange.provider else { preconditionFailure("what is sent has been in line") }
    let server = provider.server
    exchange.resetAnswer(for: server)
    if let overdue = overdue(exchange) { return end(exchange, .failure(overdue)) }
    var question = exchange.question
    let learnt = estimates[server.model(for: question) ?? ""] ?? TokenEstimate()
    if exchange.conversation == nil {
      exchange.conversation = question.thread.map { histories.open($0, window: server.window, estimate: learnt) }
      exchange.estimate = exchange.conversation?.estimate ?? learnt
    }
    let earlier = exchange.conversation?.turns ?? question.earlier
    let atMost =
      switch exchange.refits {
      case 0: Int.max
      case 1: (exchange.prompt?.kept ?? 0) / 2
      default: 0
      }
    let perQuestion = exchange.order.overrides.tokensPerQuestion
    let allowance = perQuestion.map { max(0, $0 - exchange.spent) }
    exchange.window = min(server.window, allowance ?? .max)
    let prompt = Prompt(
      system: question.system, summary: exchange.conversation?.usableSummary, earlier: earlier,
      question: question.messages + exchange.rounds + exchange.repair, estimate: exchange.estimate, window: exchange.window,
      reserve: min(server.reserve(for: question), exchange.window / 2), atMost: atMost)
    exchange.prompt = prompt
    // At 5 bytes a token there is no doubt; nearer than that the server decides.
    if prompt.kept == 0, prompt.bytes / 5 > server.window {
      return end(exchange, .failure(server.tooLong(nil, server.model(for: question) ?? "?", prompt)))
    }
    if let allowance { question.maxTokens = min(server.maxTokens(for: question) ?? .max, max(1, allowance - prompt.estimated)) }
    let need = Budget.Need(
      persona: question.persona, reading: prompt.estimated, answering: server.maxTokens(for: question) ?? server.reserve(for: question))
    if let perQuestion, let allowance, prompt.estimated >= allowance {
      return end(exchange, .failure(Budget.tooDear(need, limit: perQuestion, spent: exchange.spent)))
    }
    do throws(Failure) {
      let request = try server.request(question, prompt, mayCallTools: exchange.mayCallTools)
      if let obstacle = provider.breaker.obstacle(at: MachineClock.nowMilliseconds()) {
        let failure = server.resting(obstacle)
        if !fallBack(exchange, failure) { end(exchange, .failure(failure)) }
        return
      }
      try spending.reserve(
        exchange.id, need, limit: exchange.order.overrides.tokensPerDay, totalLimit: configuration.tokensPerDay)
      provider.counters.sent += 1
      exchange.transfer = http.start(request) { [unowned self] in
        receive(exchange, status: $0, $1)
      } end: { [unowned self] in
        finish(exchange, $0)
      }
    } catch {
      if error.code != .llmNoModel || !fallBack(exchange, error) { end(exchange, .failure(error)) }
    }
  }

  /// - Returns: whether more is wanted.
  private func receive(_ exchange: Exchange, status: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard status == 200 else {
      exchange.errorBody += bytes.prefix(Self.errorBodyLimit - exchange.errorBody.count)
      return true
    }
    tell(exchange, exchange.decoder.receive(bytes))
    // The last word has come; the body's own end is only wanted to keep the connection.
    if exchange.decoder.answer.isComplete, let transfer = exchange.transfer { http.limitSilence(of: transfer, to: Self.lingering) }
    return exchange.fault == nil && exchange.text.utf8.count <= Self.answerLimit
  }

  private func tell(_ exchange: Exchange, _ events: [AnswerEvent]) {
    for event in events {
      switch event {
      case .piece(let text):
        if exchange.firstPieceAt == nil {
          exchange.firstPieceAt = MachineClock.nowMilliseconds()
          let latency = Int(MachineClock.nowMilliseconds() - exchange.askedAt)
          exchange.provider?.counters.first_piece_ms.add(latency)
          statistics.change {
            $0.first_piece_ms.add(latency)
            $0.count(exchange.order.persona, generation: exchange.order.generation) { $0.first_piece_ms.add(latency) }
          }
        }
        if exchange.roundPieceAt == nil { exchange.roundPieceAt = MachineClock.nowMilliseconds() }
        let isNewParagraph = exchange.text.isEmpty && !exchange.said.isEmpty
        exchange.text += text
        // Of a form nothing is shown before it is known to be right.
        if exchange.question.form == nil { exchange.onEvent(.piece(isNewParagraph ? "\n\n" + text : text)) }
      case .fault(let fault): exchange.fault = fault
      }
    }
  }

  private func finish(_ exchange: Exchange, _ httpEnd: HTTPEnd) {
    guard let provider = exchange.provider, let server = exchange.server else { preconditionFailure("what has ended was sent") }
    exchange.transfer = nil
    if case .complete(200, _) = httpEnd { tell(exchange, exchange.decoder.end()) }
    if let setback = setback(of: exchange, httpEnd) {
      if server.kind != .local {
        if setback.isOfServer { provider.breaker.failed(at: MachineClock.nowMilliseconds()) } else { provider.breaker.succeeded() }
      }
      if !sendAgain(exchange, setback), !retry(exchange, setback) {
        let failure = server.failure(setback, question: exchange.question, prompt: exchange.prompt!)
        let mayFallBack = setback.isOfServer || failure.code == .llmNoModel
        if !mayFallBack || !fallBack(exchange, failure) { end(exchange, .failure(failure)) }
      }
    } else {
      provider.breaker.succeeded()
      provider.local?.handle(.answered)
      book(exchange)
      if wantsTools(exchange) {
        callTools(exchange)
      } else if let violations = violations(exchange) {
        mend(exchange, violations)
      } else {
        if exchange.json != nil { exchange.onEvent(.piece(exchange.text)) }
        end(exchange, .success(conclude(exchange)))
      }
    }
    dispatch()
  }

  /// What is wrong with the form of an answer; nil: nothing, or none was asked for.
  private func violations(_ exchange: Exchange) -> AnswerForm.Violations? {
    guard let form = exchange.question.form else { return nil }
    do throws(AnswerForm.Violations) {
      exchange.json = try form.read(exchange.text, finish: exchange.decoder.answer.finish)
      return nil
    } catch { return error }
  }

  /// Has the model answer again, once.
  private func mend(_ exchange: Exchange, _ violations: AnswerForm.Violations) {
    guard let server = exchange.server else { preconditionFailure("what was answered was asked") }
    let model = exchange.decoder.answer.model ?? server.model(for: exchange.question) ?? "the model"
    guard exchange.repairs < AnswerForm.repairs else {
      return end(exchange, .failure(AnswerForm.failure(violations, exchange.text, model: model, server: server.name)))
    }
    note(
      .info, "\(model) is asked again for \(exchange.question.persona), whose answer did not have its form: \(violations.text.prefix(300))")
    exchange.repairs += 1
    exchange.repair = AnswerForm.repair(exchange.text, violations)
    send(exchange)
  }

  private func setback(of exchange: Exchange, _ end: HTTPEnd) -> Setback? {
    let count = exchange.text.utf8.count
    if let fault = exchange.fault { return .fault(fault, textBytes: count) }
    if count > Self.answerLimit { return .endless(bytes: count) }
    let answer = exchange.decoder.answer
    switch end {
    // What comes, or does not come, after the last word changes nothing.
    case _ where answer.isComplete: return exchange.text.isEmpty && !wantsTools(exchange) ? .empty(answer) : nil
    case .complete(200, _): return .cutOff("it ended without the protocol's last word", textBytes: count)
    case .complete(let status, let retryAfter): return .status(status, body: exchange.errorBody, retryAfter: retryAfter)
    case .unreachable(let why): return .unreachable(why)
    case .broken(let why): return .cutOff(why, textBytes: count)
    case .notHTTP(let why): return .notHTTP(why)
    case .silent: return .silent(milliseconds: exchange.server?.silenceMilliseconds ?? 0, textBytes: count)
    case .refused: preconditionFailure("an answer is refused for a fault or for its length")
    }
  }

  /// Sends it again after a while, if that may help and there is time.
  private func retry(_ exchange: Exchange, _ setback: Setback) -> Bool {
    guard let provider = exchange.provider, setback.isWorthAnotherTry, exchange.text.isEmpty,
      let pause = exchange.backoff.next(retryAfter: setback.retryAfter, chance: Double.random(in: 0...1)),
      exchange.order.deadline.map({ MachineClock.nowMilliseconds() + pause < $0 }) ?? true
    else { return false }
    // Nobody waits for a server that is left in peace meanwhile.
    if case .open = provider.breaker.state { return false }
    provider.counters.retries += 1
    exchange.retryAt = MachineClock.nowMilliseconds() + pause
    note(
      .info, "\(provider.server.address) failed before its first word for \(exchange.question.persona); it is asked again in \(pause) ms")
    return true
  }

  /// Goes on to the next provider of its route. False: there is none, or something has been said already.
  private func fallBack(_ exchange: Exchange, _ failure: Failure) -> Bool {
    exchange.failures.append(failure)
    guard exchange.isUntouched, exchange.leg + 1 < exchange.route.legs.count else { return false }
    exchange.provider?.schedule.remove(exchange.id, at: MachineClock.nowMilliseconds())
    exchange.provider?.counters.fallbacks += 1
    exchange.leg += 1
    let next = exchange.route.legs[exchange.leg]
    note(.warning, "\(failure.message); \(exchange.question.persona) is answered by \(next.provider) instead")
    exchange.refits = 0
    exchange.hasReconnected = false
    exchange.prompt = nil
    exchange.retryAt = nil
    line(up: exchange, first: true)
    return true
  }

  /// Two setbacks are no end: our own child has gone before its first word, and a history that the server finds too long.
  private func sendAgain(_ exchange: Exchange, _ setback: Setback) -> Bool {
    let isBeforeFirstWord =
      switch setback {
      case .unreachable, .cutOff(_, textBytes: 0): true
      default: false
      }
    if isBeforeFirstWord, let provider = exchange.provider, let local = provider.local, !exchange.hasReconnected {
      exchange.hasReconnected = true
      provider.schedule.remove(exchange.id, at: MachineClock.nowMilliseconds())
      provider.schedule.add(
        exchange.id, persona: exchange.question.persona, isInteractive: exchange.order.isInteractive, first: true)
      local.handle(.refused)
      return true
    }
    let error: ServerError? =
      switch setback {
      case .status(_, let body, _): ServerError(body: body)
      case .fault(.server(let error), 0): error
      default: nil
      }
    guard let error, error.saysTooLong, let prompt = exchange.prompt, prompt.kept > 0 else { return false }
    exchange.refits += 1
    if let tokens = error.promptTokens {
      exchange.estimate.learn(bytes: prompt.bytes, messages: prompt.messages.count, tokens: tokens)
    } else {
      exchange.estimate.shrink()
    }
    note(.info, "the history of \(exchange.question.persona) was too long for the model; it is asked again with less of it")
    send(exchange)
    return true
  }

  private struct Conclusion: Encodable {
    var text: String
    /// Who answered: its name in personas.toml.
    var provider: String
    var model: String
    var finish: String
    var prompt_tokens: Int?
    var completion_tokens: Int?
    var forgotten_turns: Int
    /// The answer, where a form was asked for.
    var json: EncodableJSON?
    /// What the model called, in its order.
    var tool_calls: [EncodableJSON]?
    /// For how many of them a summary went along.
    var summarised_turns: Int?
    /// The conversation could not be read or kept; the log says why.
    var history_failed: Bool?
    /// Ollama dropped the front of the prompt without saying so.
    var cut_by_server: Bool?
  }

  /// Counts what an answer, or a round of one, has cost.
  private func book(_ exchange: Exchange) {
    let answer = exchange.decoder.answer
    settle(exchange)
    if let tokens = answer.promptTokens { exchange.promptTokens = (exchange.promptTokens ?? 0) + tokens }
    if let tokens = answer.completionTokens { exchange.completionTokens = (exchange.completionTokens ?? 0) + tokens }
    statistics.change {
      $0.prompt_tokens += answer.promptTokens ?? 0
      $0.completion_tokens += answer.completionTokens ?? 0
      $0.count(exchange.order.persona, generation: exchange.order.generation) {
        $0.prompt_tokens += answer.promptTokens ?? 0
        $0.completion_tokens += answer.completionTokens ?? 0
        if let begun = exchange.roundPieceAt {
          $0.addRate(tokens: answer.completionTokens ?? 0, milliseconds: Int(MachineClock.nowMilliseconds() - begun))
        }
      }
    }
  }

  /// Takes what it has cost, whole or broken off, from the budgets. Where the server has not counted we estimate; of what
  /// brought no word and no count nobody knows, and it costs nothing.
  private func settle(_ exchange: Exchange) {
    guard spending.isReserved(exchange.id) else { return }
    let answer = exchange.decoder.answer
    var tokens = 0
    if !exchange.text.isEmpty || answer.promptTokens != nil {
      tokens = answer.promptTokens ?? exchange.prompt?.estimated ?? 0
      tokens += answer.completionTokens ?? exchange.estimate.tokens(bytes: exchange.text.utf8.count, messages: 0)
    }
    exchange.spent += tokens
    spending.settle(exchange.id, persona: exchange.question.persona, tokens: tokens)
  }

  /// Makes the result of a whole answer, and adds it to the conversation.
  private func conclude(_ exchange: Exchange) -> [UInt8] {
    let question = exchange.question
    let answer = exchange.decoder.answer
    guard let prompt = exchange.prompt, let server = exchange.server else { preconditionFailure("what was answered was asked") }
    var result = Conclusion(
      text: exchange.wholeText, provider: server.name, model: answer.model ?? server.model(for: question) ?? "",
      finish: answer.finish ?? "stop", prompt_tokens: exchange.promptTokens, completion_tokens: exchange.completionTokens,
      forgotten_turns: (exchange.conversation?.dropped ?? 0) + prompt.forgotten,
      summarised_turns: prompt.summarised > 0 ? prompt.summarised : nil)
    if let tokens = answer.promptTokens {
      // Ollama fills the window and drops the rest; then the count says nothing of our prompt's length.
      if server.dialect == .ollama, tokens >= server.window - 1 || tokens * 2 < prompt.estimated - 64 {
        result.cut_by_server = true
        exchange.estimate.shrink()
        note(
          .warning,
          "\(server.address) read \(tokens) tokens of a prompt of about \(prompt.estimated) for \(question.persona): it dropped the front"
        )
      } else {
        exchange.estimate.learn(bytes: prompt.bytes, messages: prompt.messages.count, tokens: tokens)
      }
      estimates[server.model(for: question) ?? ""] = exchange.estimate
    }
    if !keep(exchange, prompt, server, result.model) { result.history_failed = true }
    exchange.provider?.counters.answered += 1
    statistics.change {
      $0.answered += 1
      $0.count(question.persona, generation: exchange.order.generation) { $0.answered += 1 }
    }
    result.json = exchange.json.map(EncodableJSON.init)
    if !exchange.reports.isEmpty { result.tool_calls = exchange.reports.map(EncodableJSON.init) }
    return PayloadCoding.bytes(of: result)
  }

  // MARK: Tools

  /// The answer so far is that tools be called.
  private func wantsTools(_ exchange: Exchange) -> Bool {
    !exchange.decoder.answer.toolCalls.isEmpty && !exchange.question.tools.isEmpty && exchange.mayCallTools
  }

  /// Calls what the model wants called. It leaves its slot to others meanwhile: those who are called may need it.
  private func callTools(_ exchange: Exchange) {
    let answer = exchange.decoder.answer
    exchange.provider?.schedule.remove(exchange.id, at: MachineClock.nowMilliseconds())
    exchange.rounds.append(ChatMessage(role: .assistant, content: exchange.text, toolCalls: answer.toolCalls))
    exchange.said += (exchange.said.isEmpty || exchange.text.isEmpty ? "" : "\n\n") + exchange.text
    exchange.roundCount += 1
    let round = ToolRound(answer.toolCalls, exchange.question.tools, at: MachineClock.nowMilliseconds())
    exchange.toolRound = round
    let (id, number) = (exchange.id, exchange.roundCount)
    for (index, entry) in round.entries.enumerated() where entry.outcome == nil {
      switch exchange.question.tools.read(entry.call) {
      case .failure(let failure): exchange.toolRound?.end(index, .failure(failure), at: MachineClock.nowMilliseconds())
      case .success(let (tool, arguments)):
        guard let onToolCall = exchange.order.onToolCall else { preconditionFailure("who offers tools calls them") }
        onToolCall(tool, arguments) { [post] in post(.toolEnded(id, round: number, index: index, $0)) }
      }
    }
    goOn(exchange)
  }

  /// A tool has answered, or failed: both are for the model.
  func toolEnded(_ id: UInt64, round: Int, index: Int, _ result: Result<[UInt8], Failure>) {
    guard let exchange = exchanges[id], exchange.roundCount == round else { return }
    exchange.toolRound?.end(index, result, at: MachineClock.nowMilliseconds())
    goOn(exchange)
    dispatch()
  }

  /// Asks the model again when all that it called has ended.
  private func goOn(_ exchange: Exchange) {
    guard let round = exchange.toolRound, round.isOver, let provider = exchange.provider else { return }
    exchange.toolRound = nil
    exchange.reports += round.report
    exchange.rounds += round.messages(limit: provider.server.window)
    guard providers[provider.name] === provider else { return end(exchange, .failure(gone(provider.name))) }
    exchange.backoff = Backoff(limit: provider.server.retries)
    exchange.hasReconnected = false
    provider.schedule.add(exchange.id, persona: exchange.question.persona, isInteractive: exchange.order.isInteractive, first: true)
  }

  private func gone(_ provider: String) -> Failure {
    Failure(.llmUnreachable, "the provider \(provider) is in personas.toml no more: ask again")
  }

  /// Keeps the turn, before anybody hears of the answer.
  /// - Returns: false if the conversation could not be read or kept.
  private func keep(_ exchange: Exchange, _ prompt: Prompt, _ server: ModelServer, _ model: String) -> Bool {
    guard let key = exchange.question.thread, var conversation = exchange.conversation else { return true }
    conversation.estimate = exchange.estimate
    let answer = exchange.decoder.answer
    let isKept = histories.append(
      exchange.question.messages + exchange.rounds + [ChatMessage(role: .assistant, content: exchange.text)],
      TurnFacts(
        provider: server.name, model: model, finish: answer.finish ?? "stop", promptTokens: exchange.promptTokens,
        completionTokens: exchange.completionTokens),
      to: key, conversation, leftOut: conversation.dropped + prompt.forgotten, window: exchange.window)
    return isKept && conversation.thread != nil
  }

  // MARK: Summaries

  /// Asks the model that has answered for a summary of what does not fit its window any more, if there is enough of it.
  private func summarise(_ thread: Int64, after order: LanguageQuestion, _ server: ModelServer, model: String?, estimate: TokenEstimate) {
    guard configuration.summarises, summarising.insert(thread).inserted else { return }
    let (summary, turns) = histories.unsummarised(thread)
    guard
      let task = Summarising(
        of: thread, summary, turns, window: min(server.window, order.overrides.tokensPerQuestion ?? .max), estimate: estimate,
        provider: server.name, model: model)
    else {
      summarising.remove(thread)
      return
    }
    var overrides = LanguageOverrides(fallbacks: [])
    (overrides.tokensPerDay, overrides.tokensPerQuestion) = (order.overrides.tokensPerDay, order.overrides.tokensPerQuestion)
    var question = LanguageQuestion(persona: order.persona, prompt: "", overrides: overrides, body: task.body.bytes)
    question.generation = order.generation
    question.isInteractive = false
    lastSummary += 1
    // The other half of the numbers is the kernel's.
    ask(1 << 63 + lastSummary, question, summarising: task) { _ in }
  }

  private func summarised(_ exchange: Exchange, _ task: Summarising, _ failure: Failure?) {
    summarising.remove(task.thread)
    if let failure {
      if failure.code != .retired, summaryFailed.insert(task.thread).inserted {
        note(
          .warning,
          "no summary of what \(exchange.question.persona) has no room for any more; the next turn tries again: \(failure.message)")
      }
      return
    }
    summaryFailed.remove(task.thread)
    histories.keep(.init(text: exchange.text, turns: task.turns), of: task.thread)
    statistics.change { $0.summaries += 1 }
    if let server = exchange.server {
      summarise(task.thread, after: exchange.order, server, model: exchange.question.model, estimate: exchange.estimate)
    }
  }

  /// The one way out of every question.
  private func end(_ exchange: Exchange, _ result: Result<[UInt8], Failure>) {
    guard exchanges.removeValue(forKey: exchange.id) != nil else { return }
    settle(exchange)
    exchange.provider?.schedule.remove(exchange.id, at: MachineClock.nowMilliseconds())
    if let transfer = exchange.transfer {
      http.cancel(transfer)
      exchange.provider?.breaker.ended(at: MachineClock.nowMilliseconds())
    }
    if let thread = exchange.question.thread, let next = order.leave(exchange.id, thread), let waiting = exchanges[next] {
      line(up: waiting)
    }
    var result = result
    if case .failure(let failure) = result, exchange.failures.count > 1 { result = .failure(exchange.whole(failure)) }
    if case .failure(let failure) = result { statistics.change { $0.failures[failure.code.rawValue, default: 0] += 1 } }
    publish()
    exchange.onEvent(.finished(result))
    if let task = exchange.summarising {
      if case .failure(let failure) = result { summarised(exchange, task, failure) } else { summarised(exchange, task, nil) }
    } else if case .success = result, let thread = exchange.conversation?.thread, let server = exchange.server {
      summarise(thread, after: exchange.order, server, model: exchange.question.model, estimate: exchange.estimate)
    }
  }
}

/// The statistics, shared between the language thread, which writes, and anybody who reads.
final class StatisticsBoard: Sendable {
  private let value: Mutex<LanguageStatistics>
  init(_ value: LanguageStatistics) { self.value = Mutex(value) }
  func change(_ body: (inout LanguageStatistics) -> Void) { value.withLock { body(&$0) } }
  func read() -> LanguageStatistics { value.withLock { $0 } }
}
