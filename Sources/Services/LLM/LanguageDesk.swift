import FoundationEssentials
import Kernel
import Synchronization

/// Where questions become answers: everything that the language thread owns. For that thread alone.
final class LanguageDesk {
  typealias OnEvent = @Sendable (LanguageEvent) -> Void

  /// One question from its arrival to its end.
  private final class Exchange {
    let id: UInt64
    let question: ChatQuestion
    let onEvent: OnEvent
    let askedAt = now()
    /// As it was when the question was sent; a change of configuration meets later questions.
    var server: ModelServer
    var decoder: any AnswerDecoder
    var transfer: HTTPClient.ID?
    var prompt: Prompt?
    /// The conversation as it was when the question was sent.
    var conversation: Conversations.Conversation?
    var estimate = TokenEstimate()
    /// How many times it was sent again with less of the history, because the server found it too long.
    var refits = 0
    var hasReconnected = false
    var text = ""
    var errorBody: [UInt8] = []
    var fault: AnswerFault?

    init(id: UInt64, question: ChatQuestion, server: ModelServer, onEvent: @escaping OnEvent) {
      self.id = id
      self.question = question
      self.server = server
      self.onEvent = onEvent
      decoder = server.decoder()
    }

    func resetAnswer() {
      transfer = nil
      decoder = server.decoder()
      text = ""
      errorBody = []
      fault = nil
    }
  }

  /// The longest answer, in bytes: the default limit of a frame.
  private static let answerLimit = 16 << 20
  private static let errorBodyLimit = 64 << 10
  /// How long a body may go on after the answer's last word, in milliseconds.
  private static let lingering = 1000

  let http: HTTPClient
  private let runtimeFolder: String
  private let note: @Sendable (LogConfiguration.Level, String) -> Void
  private let statistics: StatisticsBoard
  private var configuration: LanguageConfiguration
  private var server: ModelServer
  private(set) var local: LocalModel?
  private var schedule: Schedule
  private var exchanges: [UInt64: Exchange] = [:]
  private var conversations = Conversations()
  /// What was learnt for each model, as a start for new conversations.
  private var estimates: [String: TokenEstimate] = [:]

  init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, http: HTTPClient, statistics: StatisticsBoard,
    note: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.configuration = configuration
    self.runtimeFolder = runtimeFolder
    self.http = http
    self.note = note
    self.statistics = statistics
    server = ModelServer(configuration, localSocket: LocalModel.socketPath(in: runtimeFolder), environment: environmentVariable)
    schedule = Schedule(slots: server.slots)
    employLocal()
  }

  // MARK: What the outside asks for

  func ask(_ id: UInt64, _ question: LanguageQuestion, onEvent: @escaping OnEvent) {
    statistics.change {
      $0.requests += 1
      $0.personas[question.persona, default: .init()].requests += 1
    }
    do {
      let exchange = Exchange(id: id, question: try ChatQuestion(question, defaults: configuration), server: server, onEvent: onEvent)
      exchanges[id] = exchange
      schedule.add(id, persona: question.persona, thread: exchange.question.thread)
      dispatch()
    } catch {
      statistics.change { $0.failures[error.code.rawValue, default: 0] += 1 }
      onEvent(.finished(.failure(error)))
    }
  }

  func cancel(_ id: UInt64) {
    guard let exchange = exchanges[id] else { return }
    end(exchange, .failure(Failure(.cancelled, "the question to the model was cancelled")))
    dispatch()
  }

  func forget(_ thread: ThreadKey) { conversations.forget(thread) }

  /// Questions that are with the model end there; histories stay.
  func configure(_ configuration: LanguageConfiguration) {
    guard configuration != self.configuration else { return }
    let old = self.configuration
    self.configuration = configuration
    server = ModelServer(configuration, localSocket: LocalModel.socketPath(in: runtimeFolder), environment: environmentVariable)
    schedule.slots = server.slots
    if old.provider != configuration.provider || old.local != configuration.local || old.contextTokens != configuration.contextTokens {
      local?.stop()
      local = nil
      employLocal()
    }
    statistics.change { [server] in
      $0.provider = server.provider.rawValue
      $0.url = server.address
      $0.model = server.defaultModel
      $0.local = nil
    }
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

  // MARK: The thread's round

  /// When `runTimers` has something to do.
  var nextTimer: Milliseconds? { [http.nextTimer, local?.nextTimer].compactMap { $0 }.min() }

  func runTimers() { if let local, let timer = local.nextTimer, timer <= now() { local.handle(.timer) } }

  func publish() {
    statistics.change { [schedule, conversations, local] in
      $0.waiting = schedule.waitingCount
      $0.running = schedule.runningCount
      $0.conversations = conversations.count
      $0.local = local.map { .init(state: $0.state, pid: $0.pid, restarts: max(0, $0.starts - 1), log: $0.logPath) }
    }
  }

  // MARK: One question

  private func employLocal() {
    guard configuration.provider == .local else { return }
    let local = LocalModel(configuration, runtimeFolder: runtimeFolder, http: http, note: note)
    local.onReady = { [unowned self] in dispatch() }
    local.onGiveUp = { [unowned self] failure in
      note(.error, failure.message)
      for id in schedule.waitingIDs { if let exchange = exchanges[id] { end(exchange, .failure(failure)) } }
    }
    self.local = local
  }

  private func dispatch() {
    while schedule.hasNext {
      if let local, !local.isReady { return local.handle(.needed) }
      guard let id = schedule.next(), let exchange = exchanges[id] else { preconditionFailure("what is scheduled is an exchange") }
      send(exchange)
    }
  }

  private func send(_ exchange: Exchange) {
    let question = exchange.question
    exchange.server = server
    exchange.resetAnswer()
    let learnt = estimates[server.model(for: question) ?? ""] ?? TokenEstimate()
    if exchange.conversation == nil {
      exchange.conversation = question.thread.map { conversations.open($0, estimate: learnt) }
      exchange.estimate = exchange.conversation?.estimate ?? learnt
    }
    let earlier = exchange.conversation?.turns ?? question.earlier
    let atMost =
      switch exchange.refits {
      case 0: Int.max
      case 1: (exchange.prompt?.kept ?? 0) / 2
      default: 0
      }
    let prompt = Prompt(
      system: question.system, earlier: earlier, question: question.messages, estimate: exchange.estimate, window: server.window,
      reserve: server.reserve(for: question), atMost: atMost)
    exchange.prompt = prompt
    // At 5 bytes a token there is no doubt; nearer than that the server decides.
    if prompt.kept == 0, prompt.bytes / 5 > server.window {
      return end(exchange, .failure(server.tooLong(nil, server.model(for: question) ?? "?", prompt)))
    }
    do {
      let request = try server.request(question, prompt, silenceMilliseconds: configuration.silenceMilliseconds)
      exchange.transfer = http.start(request) { [unowned self] in
        receive(exchange, status: $0, $1)
      } end: { [unowned self] in
        finish(exchange, $0)
      }
    } catch {
      end(exchange, .failure(error))
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
        if exchange.text.isEmpty { statistics.change { $0.addLatency(now() - exchange.askedAt) } }
        exchange.text += text
        exchange.onEvent(.piece(text))
      case .fault(let fault): exchange.fault = fault
      }
    }
  }

  private func finish(_ exchange: Exchange, _ httpEnd: HTTPEnd) {
    exchange.transfer = nil
    if case .complete(200, _) = httpEnd { tell(exchange, exchange.decoder.end()) }
    if let setback = setback(of: exchange, httpEnd) {
      if !sendAgain(exchange, setback) {
        end(exchange, .failure(exchange.server.failure(setback, question: exchange.question, prompt: exchange.prompt!)))
      }
    } else {
      local?.handle(.answered)
      end(exchange, .success(conclude(exchange)))
    }
    dispatch()
  }

  private func setback(of exchange: Exchange, _ end: HTTPEnd) -> Setback? {
    let count = exchange.text.utf8.count
    if let fault = exchange.fault { return .fault(fault, textBytes: count) }
    if count > Self.answerLimit { return .endless(bytes: count) }
    let answer = exchange.decoder.answer
    switch end {
    // What comes, or does not come, after the last word changes nothing.
    case _ where answer.isComplete: return exchange.text.isEmpty ? .empty(answer) : nil
    case .complete(200, _): return .cutOff("it ended without the protocol's last word", textBytes: count)
    case .complete(let status, let retryAfter): return .status(status, body: exchange.errorBody, retryAfter: retryAfter)
    case .unreachable(let why): return .unreachable(why)
    case .broken(let why): return .cutOff(why, textBytes: count)
    case .notHTTP(let why): return .notHTTP(why)
    case .silent: return .silent(milliseconds: configuration.silenceMilliseconds, textBytes: count)
    case .refused: preconditionFailure("an answer is refused for a fault or for its length")
    }
  }

  /// Two setbacks are no end: our own child has gone before its first word, and a history that the server finds too long.
  private func sendAgain(_ exchange: Exchange, _ setback: Setback) -> Bool {
    let isBeforeFirstWord =
      switch setback {
      case .unreachable, .cutOff(_, textBytes: 0): true
      default: false
      }
    if isBeforeFirstWord, let local, exchange.server.provider == .local, !exchange.hasReconnected {
      exchange.hasReconnected = true
      schedule.remove(exchange.id)
      schedule.add(exchange.id, persona: exchange.question.persona, thread: exchange.question.thread, first: true)
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
    var model: String
    var finish: String
    var prompt_tokens: Int?
    var completion_tokens: Int?
    var forgotten_turns: Int
    /// Ollama dropped the front of the prompt without saying so.
    var cut_by_server: Bool?
  }

  /// Books a whole answer, and makes the result of it.
  private func conclude(_ exchange: Exchange) -> [UInt8] {
    let question = exchange.question
    let answer = exchange.decoder.answer
    guard let prompt = exchange.prompt else { preconditionFailure("what was answered was asked") }
    var result = Conclusion(
      text: exchange.text, model: answer.model ?? exchange.server.model(for: question) ?? "", finish: answer.finish ?? "stop",
      prompt_tokens: answer.promptTokens, completion_tokens: answer.completionTokens,
      forgotten_turns: (exchange.conversation?.dropped ?? 0) + prompt.forgotten)
    if let tokens = answer.promptTokens {
      // Ollama fills the window and drops the rest; then the count says nothing of our prompt's length.
      if exchange.server.dialect == .ollama, tokens >= exchange.server.window - 1 || tokens * 2 < prompt.estimated - 64 {
        result.cut_by_server = true
        exchange.estimate.shrink()
        note(
          .warning,
          "\(exchange.server.address) read \(tokens) tokens of a prompt of about \(prompt.estimated) for \(question.persona): it dropped the front"
        )
      } else {
        exchange.estimate.learn(bytes: prompt.bytes, messages: prompt.messages.count, tokens: tokens)
      }
      estimates[exchange.server.model(for: question) ?? ""] = exchange.estimate
    }
    if let thread = question.thread, let conversation = exchange.conversation {
      conversations.append(
        question.messages + [ChatMessage(role: .assistant, content: exchange.text)], to: thread, serial: conversation.serial,
        forgetting: prompt.forgotten, estimate: exchange.estimate)
    }
    statistics.change {
      $0.answered += 1
      $0.prompt_tokens += answer.promptTokens ?? 0
      $0.completion_tokens += answer.completionTokens ?? 0
      $0.personas[question.persona, default: .init()].answered += 1
      $0.personas[question.persona, default: .init()].prompt_tokens += answer.promptTokens ?? 0
      $0.personas[question.persona, default: .init()].completion_tokens += answer.completionTokens ?? 0
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(result) else { preconditionFailure("strings and integers can be encoded") }
    return Array(data)
  }

  /// The one way out of every question.
  private func end(_ exchange: Exchange, _ result: Result<[UInt8], Failure>) {
    guard exchanges.removeValue(forKey: exchange.id) != nil else { return }
    schedule.remove(exchange.id)
    if let transfer = exchange.transfer { http.cancel(transfer) }
    if case .failure(let failure) = result { statistics.change { $0.failures[failure.code.rawValue, default: 0] += 1 } }
    publish()
    exchange.onEvent(.finished(result))
  }
}

/// The statistics, shared between the language thread, which writes, and anybody who reads.
final class StatisticsBoard: Sendable {
  private let value: Mutex<LanguageStatistics>
  init(_ value: LanguageStatistics) { self.value = Mutex(value) }
  func change(_ body: (inout LanguageStatistics) -> Void) { value.withLock { body(&$0) } }
  func read() -> LanguageStatistics { value.withLock { $0 } }
}
