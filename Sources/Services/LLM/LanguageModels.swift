import FoundationEssentials
import Glibc
import Kernel
import Synchronization

/// The kernel's language-model service: conversations, turns at the server, and errors that a person can act on.
///
/// The way of a question: `Question` is read, gets in line at the `Turnstile`, is put together with its
/// `Conversation` into a `ChatRequest`, goes out by `HTTPClient`, comes back through `ChatStream`, and is
/// remembered when it is whole. All state is behind one lock; nothing is called while it is held.
public final class LanguageModels: LanguageService {
  private let configuration: LanguageConfiguration
  private let dialect: ChatStream.Dialect
  private let address: String
  private let apiKey: String?
  private let http = HTTPClient()
  private let local: LocalModel?
  private let log: @Sendable (LogConfiguration.Level, String) -> Void

  private struct Key: Hashable {
    var persona: String
    var thread: String
  }
  private struct State {
    var turnstile: Turnstile
    var calls: [UInt64: Call] = [:]
    var last: UInt64 = 0
    var conversations: [Key: Conversation] = [:]
    var estimate = TokenEstimate()
    var counters = Counters()
    var stopped = false
  }
  private let state: Mutex<State>

  private struct Counters {
    var requests = 0
    var failures: [String: Int] = [:]
    var prompt = 0
    var completion = 0
    var firstPiece: [Int] = []
  }

  /// Nothing is contacted or started before the first question.
  /// - Parameters:
  ///   - runtimeFolder: for the local model's socket and log.
  ///   - environment: for the API key and the place of the local model.
  public init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, environment: [String: String],
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.configuration = configuration
    self.log = log
    switch configuration.provider {
    case .ollama:
      dialect = .ollama
      address = configuration.url ?? "http://127.0.0.1:11434"
      local = nil
    case .openai:
      dialect = .openai
      address = configuration.url ?? "https://api.openai.com/v1"
      local = nil
    case .local:
      dialect = .openai
      address = "http://localhost/v1"
      local = LocalModel(
        command: configuration.local.command.isEmpty ? LocalModel.installed(environment: environment) : configuration.local.command,
        window: configuration.contextTokens, runtimeFolder: runtimeFolder, logPath: configuration.local.logPath, log: log)
    }
    apiKey = configuration.apiKeyVariable.flatMap { environment[$0] }
    state = Mutex(State(turnstile: Turnstile(width: configuration.provider == .local ? 1 : 4)))
  }

  /// One question on its way. What changes is guarded by the service's lock.
  private final class Call: @unchecked Sendable {
    let ticket: Turnstile.Ticket
    let source: LanguageQuestion
    let question: Question
    let onEvent: @Sendable (LanguageEvent) -> Void
    let began = LocalModel.now()
    // Guarded.
    var http: UInt64?
    var cancelled = false
    var ended = false
    // Of the HTTP thread, once the request is out.
    var stream: ChatStream
    var text = ""
    var refusal: [UInt8] = []
    var failure: Failure?
    var finish = "stop"
    var model: String?
    var promptTokens: Int?
    var completionTokens: Int?
    var forgotten = 0
    var promptBytes = 0
    var promptEstimate = 0

    init(
      _ ticket: Turnstile.Ticket, _ source: LanguageQuestion, _ question: Question, _ dialect: ChatStream.Dialect,
      _ onEvent: @escaping @Sendable (LanguageEvent) -> Void
    ) {
      self.ticket = ticket
      self.source = source
      self.question = question
      self.onEvent = onEvent
      stream = ChatStream(dialect)
    }
  }

  private struct Cancel: LanguageCall {
    let body: @Sendable () -> Void
    func cancel() { body() }
  }

  public func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> any LanguageCall {
    let read: Question
    do throws(Failure) { read = try Question.read(question.body) } catch {
      count(error)
      // Never inside this call: the lock's next visitor is another thread.
      let failure = error
      later { onEvent(.finished(.failure(failure))) }
      return Cancel {}
    }
    let (call, admitted, stopped) = state.withLock { state -> (Call, [Call], Bool) in
      state.last += 1
      state.counters.requests += 1
      let ticket = Turnstile.Ticket(
        number: state.last, persona: question.persona, thread: read.remember == false || read.messages != nil ? nil : read.thread ?? "main")
      let call = Call(ticket, question, read, dialect, onEvent)
      if state.stopped { return (call, [], true) }
      state.calls[state.last] = call
      return (call, state.turnstile.enter(ticket).compactMap { state.calls[$0.number] }, false)
    }
    later { [self] in
      if stopped { onEvent(.finished(.failure(Failure(.retired, "the kernel is stopping")))) }
      for call in admitted { begin(call) }
    }
    return Cancel { [weak self] in self?.cancel(call) }
  }

  /// Runs on the service's own thread, soon.
  private let worker = Worker()
  private func later(_ body: @escaping @Sendable () -> Void) { worker.run(body) }

  // MARK: Out

  private func begin(_ call: Call) {
    guard let local else { return send(call) }
    local.whenReady { [self] failure in
      if let failure { end(call, .failure(failure)) } else { send(call) }
    }
  }

  private func send(_ call: Call) {
    let question = call.question
    let model = question.model ?? call.source.overrides.model ?? configuration.model ?? (local == nil ? "" : "smollm2-135m")
    if model.isEmpty {
      return end(call, .failure(Failure(.llmNoModel, "no model is named: set model = \"…\" under [llm] in personas.toml")))
    }
    let limit = question.max_tokens ?? call.source.overrides.maxTokens ?? configuration.maxTokens
    let window = configuration.contextTokens
    let (messages, estimated) = state.withLock { state -> ([Question.Message], Int) in
      let estimate = state.estimate
      if let given = question.messages { return (given, given.reduce(0) { $0 + estimate($1.content) }) }
      let conversation = call.ticket.thread.flatMap { state.conversations[Key(persona: call.ticket.persona, thread: $0)] } ?? Conversation()
      let budget = window - min(limit ?? max(256, window / 4), window / 2)
      let (messages, forgotten) = conversation.messages(
        system: question.system ?? call.source.prompt, question: question.text ?? "", budget: budget, estimate: { estimate($0) })
      call.forgotten = forgotten
      return (messages, messages.reduce(0) { $0 + estimate($1.content) })
    }
    call.promptBytes = messages.reduce(0) { $0 + $1.content.utf8.count }
    call.promptEstimate = estimated
    if estimated > window * 3 / 2 {
      return end(call, .failure(tooLong("about \(estimated) tokens")))
    }
    let request = ChatRequest(
      model: model, messages: messages, temperature: question.temperature ?? call.source.overrides.temperature ?? configuration.temperature,
      maxTokens: limit, seed: question.seed, stop: question.stop, format: question.format, contextTokens: window)
    call.model = model
    var headers = ["Content-Type: application/json"]
    if let apiKey { headers.append("Authorization: Bearer \(apiKey)") }
    let path = dialect == .ollama ? "/api/chat" : "/chat/completions"
    let http = HTTPClient.Request(
      url: address + path, socketPath: local?.socketPath, headers: headers, body: request.body(dialect), silenceMilliseconds: configuration.silenceMilliseconds)
    // Started under the lock, so that a cancel finds either no number yet, or the right one.
    let cancelled = state.withLock { _ in
      if call.cancelled { return true }
      call.http = self.http.start(http) { [self] event in received(call, event) }
      return false
    }
    if cancelled { end(call, .failure(Failure(.cancelled, "cancelled"))) }
  }

  private func cancel(_ call: Call) {
    enum Where { case over, waiting, out(UInt64), starting }
    let place = state.withLock { state -> Where in
      if call.ended { return .over }
      call.cancelled = true
      if let number = call.http { return .out(number) }
      return state.turnstile.isInside(call.ticket) ? .starting : .waiting
    }
    switch place {
    case .over: break
    case .out(let number): http.cancel(number)
    case .waiting, .starting: later { [self] in end(call, .failure(Failure(.cancelled, "cancelled"))) }
    }
  }

  // MARK: In (the HTTP thread)

  private func received(_ call: Call, _ event: HTTPClient.Event) {
    switch event {
    case .body(let bytes, let status):
      if status != 200 {
        if call.refusal.count < 1 << 16 { call.refusal += bytes }
      } else if call.failure == nil {
        do throws(Failure) { take(call, try call.stream.feed(bytes)) } catch { broken(call, error) }
      }
    case .finished(let status, let problem): finished(call, status, problem)
    }
  }

  private func take(_ call: Call, _ pieces: [ChatPiece]) {
    for piece in pieces {
      switch piece {
      case .text(let text):
        if call.text.isEmpty {
          let waited = Int(LocalModel.now() - call.began)
          state.withLock { state in
            state.counters.firstPiece.append(waited)
            if state.counters.firstPiece.count > 256 { state.counters.firstPiece.removeFirst(128) }
          }
        }
        call.text += text
        call.onEvent(.piece(text))
      case .usage(let prompt, let completion):
        call.promptTokens = prompt ?? call.promptTokens
        call.completionTokens = completion ?? call.completionTokens
      case .stopped(let reason, let model):
        call.finish = reason
        call.model = model ?? call.model
      case .end: break
      }
    }
  }

  private func broken(_ call: Call, _ failure: Failure) {
    call.failure = failure
    let number = state.withLock { _ in call.http }
    if let number { http.cancel(number) }
  }

  private func finished(_ call: Call, _ status: Int, _ problem: HTTPClient.Problem?) {
    if let failure = call.failure { return end(call, .failure(failure)) }
    if problem == .cancelled { return end(call, .failure(Failure(.cancelled, "cancelled"))) }
    if let problem, !(status != 0 && status != 200) { return end(call, .failure(describe(call, status, problem))) }
    if status != 200 { return end(call, .failure(refused(call, status))) }
    do throws(Failure) { take(call, try call.stream.finish()) } catch { return end(call, .failure(error)) }
    if !call.stream.hasEnded {
      return end(
        call, .failure(Failure(.llmCutOff, "the answer from \(name) broke off after \(call.text.utf8.count) bytes, without its end mark; ask again")))
    }
    if call.text.isEmpty {
      return end(
        call, .failure(Failure(.llmGarbled, "\(call.model ?? "the model") at \(name) answered with nothing (it stopped by \"\(call.finish)\"); ask differently, or take another model")))
    }
    if call.finish == "length", call.question.format != nil {
      return end(
        call, .failure(Failure(.llmGarbled, "the answer that was to follow a format was cut at \(call.completionTokens ?? 0) tokens; raise max_tokens")))
    }
    end(call, .success(()))
  }

  // MARK: The end

  private func end(_ call: Call, _ result: Result<Void, Failure>) {
    let (first, admitted) = state.withLock { state -> (Bool, [Call]) in
      if call.ended { return (false, []) }
      call.ended = true
      state.calls[call.ticket.number] = nil
      switch result {
      case .success:
        if let thread = call.ticket.thread {
          state.conversations[Key(persona: call.ticket.persona, thread: thread), default: Conversation()]
            .remember(question: call.question.text ?? "", answer: call.text)
        }
        if let tokens = call.promptTokens { state.estimate.learn(bytes: call.promptBytes, tokens: tokens) }
        state.counters.prompt += call.promptTokens ?? 0
        state.counters.completion += call.completionTokens ?? 0
      case .failure(let failure): state.counters.failures[failure.code.rawValue, default: 0] += 1
      }
      return (true, state.turnstile.leave(call.ticket).compactMap { state.calls[$0.number] })
    }
    guard first else { return }
    switch result {
    case .success: call.onEvent(.finished(.success(answer(call))))
    case .failure(let failure):
      if failure.code != .cancelled { log(.warning, "\(call.ticket.persona): \(failure)") }
      call.onEvent(.finished(.failure(failure)))
    }
    if !admitted.isEmpty { later { [self] in for call in admitted { begin(call) } } }
  }

  private func answer(_ call: Call) -> [UInt8] {
    struct Answer: Encodable {
      var text: String
      var model: String?
      var finish: String
      var prompt_tokens: Int?
      var completion_tokens: Int?
      var forgotten_turns: Int
      var prompt_cut: Bool?
    }
    // Ollama drops the front of a prompt that does not fit, and says nothing: what it has read tells.
    var cut: Bool?
    if dialect == .ollama, let read = call.promptTokens, call.promptEstimate > configuration.contextTokens, read <= configuration.contextTokens {
      cut = true
      log(.warning, "\(call.ticket.persona): the prompt of about \(call.promptEstimate) tokens was cut to \(read) by the server; raise context_tokens under [llm]")
    }
    return encode(
      Answer(
        text: call.text, model: call.model, finish: call.finish == "length" ? "length" : "stop", prompt_tokens: call.promptTokens,
        completion_tokens: call.completionTokens, forgotten_turns: call.forgotten, prompt_cut: cut))
  }

  private func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { preconditionFailure("strings and numbers can be written") }
    return Array(data)
  }

  private func count(_ failure: Failure) { state.withLock { $0.counters.failures[failure.code.rawValue, default: 0] += 1 } }

  // MARK: Words for failures

  private var name: String { local == nil ? address : "the local model" }

  private func describe(_ call: Call, _ status: Int, _ problem: HTTPClient.Problem) -> Failure {
    switch problem {
    case .unreachable(let why):
      let todo =
        switch configuration.provider {
        case .ollama: "start it with `ollama serve`, or change url under [llm] in personas.toml"
        case .openai: "is it running? Check url under [llm] in personas.toml"
        case .local: "ask again; its log is beside the kernel's socket"
        }
      return Failure(.llmUnreachable, "no model server answers at \(name) (\(why)): \(todo)")
    case .cutOff(let why):
      if status == 0, call.text.isEmpty {
        return Failure(.llmCutOff, "\(name) closed the connection before it answered (\(why)); ask again")
      }
      return Failure(.llmCutOff, "the answer from \(name) broke off after \(call.text.utf8.count) bytes (\(why)); ask again")
    case .silence:
      return Failure(
        .deadline,
        "\(name) has sent nothing for \(configuration.silenceMilliseconds) ms; it may be loading the model: ask again, or raise silence_ms under [llm]")
    case .cancelled: return Failure(.cancelled, "cancelled")
    case .other(let why): return Failure(.llmUnreachable, "\(name) cannot be asked: \(why); check url under [llm] in personas.toml")
    }
  }

  private func tooLong(_ how: String) -> Failure {
    Failure(
      .llmTooLong,
      "the question has \(how), the model's window \(configuration.contextTokens): ask less at once, or raise context_tokens under [llm] if the model can")
  }

  private struct Told: Decodable {
    struct Details: Decodable {
      var message: String?
      var code: String?
      var type: String?
      init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: Keys.self)
        message = try? keys.decode(String.self, forKey: .message)
        code = try? keys.decode(String.self, forKey: .code)
        type = try? keys.decode(String.self, forKey: .type)
      }
      enum Keys: String, CodingKey { case message, code, type }
    }
    var message: String?
    var kind = ""
    init(from decoder: any Decoder) throws {
      let keys = try decoder.container(keyedBy: Keys.self)
      if let text = try? keys.decode(String.self, forKey: .error) {
        message = text
      } else if let details = try? keys.decode(Details.self, forKey: .error) {
        message = details.message
        kind = [details.code, details.type].compactMap { $0 }.joined(separator: " ")
      }
    }
    enum Keys: String, CodingKey { case error }
  }

  private func refused(_ call: Call, _ status: Int) -> Failure {
    let told = try? JSONDecoder().decode(Told.self, from: Data(call.refusal))
    let words = told?.message ?? String(decoding: call.refusal.prefix(200), as: UTF8.self)
    let model = call.model ?? ""
    if told?.kind.contains("exceed_context_size") == true || told?.kind.contains("context_length_exceeded") == true {
      return tooLong("too many tokens (\(words))")
    }
    switch status {
    case 404 where told?.kind.contains("model") == true || words.contains("model"):
      let todo = configuration.provider == .ollama ? "`ollama pull \(model)` fetches it" : "change model under [llm] in personas.toml"
      return Failure(.llmNoModel, "\(name) has no model \(model): \(todo) (it says: \(words))")
    case 401, 403:
      return Failure(
        .llmRefused,
        "\(name) does not let us in (status \(status): \(words)): \(configuration.apiKeyVariable.map { "check the key in the environment variable \($0)" } ?? "name the environment variable with the key as api_key_env under [llm]")"
      )
    case 404: return Failure(.llmRefused, "\(name) has no such page (status 404: \(words)); check url under [llm]: it should end in \(dialect == .ollama ? "the port" : "/v1")")
    case 429: return Failure(.llmRefused, "\(name) has had too many requests (status 429: \(words)); wait a little")
    default: return Failure(.llmRefused, "\(name) answered with status \(status): \(words)")
    }
  }

  // MARK: Around

  public func forget(persona: String, thread: String) { state.withLock { $0.conversations[Key(persona: persona, thread: thread)] = nil } }

  public func statistics() -> [UInt8] {
    struct Statistics: Encodable {
      struct Local: Encodable {
        var state: String
        var pid: Int?
        var starts: Int
      }
      var provider: String
      var url: String
      var model: String?
      var requests: Int
      var failures: [String: Int]
      var prompt_tokens: Int
      var completion_tokens: Int
      var running: Int
      var waiting: Int
      var conversations: Int
      var first_piece_p50_ms: Int?
      var local: Local?
    }
    let local = local.map { local in
      let report = local.report
      return Statistics.Local(state: report.state, pid: report.pid, starts: report.starts)
    }
    return encode(
      state.withLock { state in
        let times = state.counters.firstPiece.sorted()
        return Statistics(
          provider: configuration.provider.rawValue, url: name, model: configuration.model, requests: state.counters.requests,
          failures: state.counters.failures, prompt_tokens: state.counters.prompt, completion_tokens: state.counters.completion,
          running: state.turnstile.inside.count, waiting: state.turnstile.waitingCount, conversations: state.conversations.count,
          first_piece_p50_ms: times.isEmpty ? nil : times[times.count / 2], local: local)
      })
  }

  public func stop() {
    let calls = state.withLock { state -> [Call] in
      state.stopped = true
      return Array(state.calls.values)
    }
    for call in calls { end(call, .failure(Failure(.retired, "the kernel is stopping"))) }
    http.stop()
    local?.stop()
    worker.stop()
  }
}

/// One thread that does small things in order, so that nobody is called back inside his own call.
private final class Worker: Sendable {
  private struct State: @unchecked Sendable {
    var jobs: [@Sendable () -> Void] = []
    var running = false
  }
  private let state = Mutex(State())

  /// Any thread. A thread is there while there is work.
  func run(_ job: @escaping @Sendable () -> Void) {
    let begin = state.withLock { state in
      state.jobs.append(job)
      defer { state.running = true }
      return !state.running
    }
    guard begin else { return }
    var handle = pthread_t()
    let result = pthread_create(
      &handle, nil,
      { raw in
        Unmanaged<Worker>.fromOpaque(raw!).takeRetainedValue().work()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
    pthread_detach(handle)
  }

  private func work() {
    while true {
      let job = state.withLock { state -> (@Sendable () -> Void)? in
        if state.jobs.isEmpty {
          state.running = false
          return nil
        }
        return state.jobs.removeFirst()
      }
      guard let job else { return }
      job()
    }
  }

  func stop() { state.withLock { $0.jobs = [] } }
}
