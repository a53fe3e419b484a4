import Protocol
import Wire

/// What the event loop knows of one instance: what it has been given, and what it wants of others. Event loop only.
final class InstanceContext {
  let instance: any Instance
  /// Kept alive by what it has begun, also when the slot has been removed.
  let slot: PersonaSlot
  /// Its part of personas.toml as it was made with, or told last.
  var configuration: [UInt8]
  /// What a candidate wants to do; carried out after its switch.
  private var held: [(InstanceContext) -> Void] = []
  private(set) var topics: Set<[UInt8]> = []
  /// Methods that it has declared while it runs.
  private var declared: [About.Method] = []
  /// What it has begun, but for its asks, which stand in the router's table.
  private var requests = OpenRequests()

  var router: Router { slot.supervisor.router }

  init(_ instance: any Instance, slot: PersonaSlot, configuration: [UInt8]) {
    self.instance = instance
    self.configuration = configuration
    self.slot = slot
  }

  /// What it says of itself, with the methods that it has declared.
  var about: About { declared.isEmpty ? instance.image.about : instance.image.about.with(declared) }

  /// Does it now, or after the switch.
  func perform(_ body: @escaping (InstanceContext) -> Void) {
    switch instance.phase {
    case .candidate: held.append(body)
    // Of a retired one it is what it said before: its later calls are refused where they are made.
    case .live, .draining, .retired: body(self)
    }
  }

  /// What it wanted to do as a candidate.
  func carryOut() {
    let actions = held
    held = []
    for action in actions { action(self) }
  }

  /// It has nothing left to finish.
  var isIdle: Bool { openGrams == 0 && openRequests == 0 }
  var openGrams: Int { router.requests.tokens(answeredBy: self).count }
  /// How much it waits for itself: questions to the model and to others.
  var openRequests: Int { requests.count + router.requests.count(askedBy: self) }
  /// Who waits for it, one entry for each gram.
  var askers: [String] { router.requests.tokens(answeredBy: self).map { router.requests.request($0)?.askerName ?? "nobody" } }

  // MARK: Mail

  /// Puts mail on the lane; false if the sender's share of the mailbox is full.
  func take(_ mail: Mail, quota: Int) -> Bool {
    guard begin(mail) else { return true }
    if instance.offer(mail, quota: quota) { return true }
    giveBack([mail])
    return false
  }

  /// From now on the gram is this instance's to answer. False: its request has ended meanwhile, and nobody wants it any more.
  func begin(_ mail: Mail) -> Bool {
    guard router.requests.request(mail.token) != nil else { return false }
    instance.open(token: mail.token)
    router.handed(mail.token, to: self)
    slot.recorder.began(mail, generation: instance.number)
    return true
  }

  /// Mail that this instance has not begun is somebody else's now.
  func giveBack(_ mail: [Mail]) {
    for item in mail {
      _ = instance.close(token: item.token)
      router.requests.takenBack(item.token)
      slot.recorder.gaveBack(item.token)
    }
  }

  func gramEnded(_ token: UInt64) { slot.settled(self) }

  // MARK: What the persona wants

  func send(cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    slot.recorder.gram(0, cause: cause, target: target, method: method, payload: payload)
    if slot.supervisor.stub != nil { return }
    router.send(from: self, cause: cause, target: target, method: method, payload: payload)
  }

  func ask(
    _ request: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8], milliseconds: UInt64, stream: Bool,
    speaker: String? = nil
  ) {
    slot.recorder.gram(request, cause: cause, target: target, method: method, payload: payload)
    if let stub = slot.supervisor.stub {
      let call = OutboundCall.ask(
        target: String(decoding: target, as: UTF8.self), method: String(decoding: method, as: UTF8.self), payload: Self.json(payload))
      return stub.answer(call) { [self] in stubAnswered(request, $0, parts: stream) }
    }
    router.ask(
      from: self, request: request, cause: cause, target: target, method: method, payload: payload, milliseconds: milliseconds,
      stream: stream, speaker: speaker)
    slot.settled(self)
  }

  func declare(_ methods: [About.Method]) { declared = methods }

  func subscribe(_ topic: [UInt8]) {
    guard topics.count < NameLimits.topics else {
      return slot.supervisor.log.warning(
        "a topic is left out: a persona is subscribed to at most \(NameLimits.topics)",
        ["persona": slot.name, "topic": String(decoding: topic, as: UTF8.self)])
    }
    topics.insert(topic.first == 0x23 ? topic : [0x23] + topic)
    if slot.current === self { router.setTopics(of: slot, topics) }
  }

  func unsubscribe(_ topic: [UInt8]) {
    topics.remove(topic.first == 0x23 ? topic : [0x23] + topic)
    if slot.current === self { router.setTopics(of: slot, topics) }
  }

  func timer(_ request: UInt64, milliseconds: UInt64) {
    let timer = router.loop.after(milliseconds: Int(clamping: min(milliseconds, 1 << 40))) { [weak self] in
      guard let self, requests.endTimer(request) != nil else { return }
      instance.complete(request, .success([]))
    }
    requests.beginTimer(request, timer)
  }

  /// A request of its own has ended: it is recorded, and the persona is told. An empty result is null.
  func complete(_ request: UInt64, _ result: Result<[UInt8], Failure>) {
    router.requests.ended(request)
    let result = result.map { $0.isEmpty ? Array("null".utf8) : $0 }
    if let tool = requests.endTool(request) { return tool.done(result) }
    slot.recorder.ended(request: request, result)
    instance.complete(request, result)
  }

  private func stubAnswered(_ request: UInt64, _ result: Result<JSON, Failure>, parts: Bool) {
    if parts, case .success(let answer) = result {
      instance.part(request, Array((answer["text"] ?? answer["content"] ?? .null).plain.utf8))
    }
    complete(request, result.map(\.bytes))
  }

  private static func json(_ bytes: [UInt8]) -> JSON { (try? JSON(parsing: bytes)) ?? .null }

  /// `question` as the persona wrote it, for the recorder; `read`: what it says, or what is wrong with it.
  func chat(
    _ request: UInt64, cause: UInt64, question: [UInt8], _ read: Result<ChatRequest, Failure>, streamTo: UInt64, parts: Bool
  ) {
    slot.recorder.chat(request, cause: cause, question: question)
    if let stub = slot.supervisor.stub {
      return stub.answer(.chat(Self.json(question))) { [self] in stubAnswered(request, $0, parts: parts) }
    }
    guard let language = slot.supervisor.language else {
      return complete(request, .failure(Failure(.llmUnreachable, "this kernel runs without a language model")))
    }
    let asked: ChatRequest
    do throws(Failure) { asked = try read.get() } catch { return complete(request, .failure(error)) }
    var chat = LanguageQuestion(
      persona: slot.name, prompt: slot.configuration.prompt, overrides: slot.configuration.language, request: asked)
    chat.generation = instance.number
    chat.isInteractive = false
    if cause != 0 {
      guard let origin = router.requests.request(cause) else {
        return complete(request, .failure(Failure(.cancelled, "the gram on whose behalf this is asked has ended")))
      }
      if let failure = router.requests.begin(request, of: self, for: cause) { return complete(request, .failure(failure)) }
      chat.isInteractive = origin.isInteractive
      chat.deadline = Int64(origin.deadline / 1_000_000)
      if let conversation = ToolCatalog.conversation(of: asked, of: slot.name), origin.conversations.contains(conversation) {
        return complete(request, .failure(ToolCatalog.circle(conversation)))
      }
    }
    let (instance, inbox, id) = (instance, slot.supervisor.inbox, ObjectIdentifier(instance))
    do throws(Failure) { chat.tools = try ToolCatalog.tools(of: asked, for: slot) } catch { return complete(request, .failure(error)) }
    let conversation = chat.tools.isEmpty ? nil : ToolCatalog.conversation(of: asked, of: slot.name)
    chat.onToolCall = { tool, arguments, done in
      inbox.post { kernel in
        guard let context = kernel.supervisor.context(id) else {
          return done(.failure(Failure(.retired, "the generation that asked has ended")))
        }
        context.callTool(tool, arguments, chat: request, conversation: conversation, cause: cause, done: done)
      }
    }
    let call = language.chat(chat) { event in
      switch event {
      case .piece(let text):
        let bytes = Array(text.utf8)
        if streamTo != 0, instance.isOpen(token: streamTo) {
          if let speaker = asked.speaker {
            let step = AnswerStep(part: text, speaker: speaker)
            inbox.post { $0.router.requests.progress(streamTo, step) }
          } else {
            inbox.post { $0.router.requests.stream(streamTo, bytes) }
          }
        }
        if parts { instance.part(request, bytes) }
      case .thought(let line):
        let step = AnswerStep(status: line, speaker: asked.speaker)
        if streamTo != 0, instance.isOpen(token: streamTo) { inbox.post { $0.router.requests.progress(streamTo, step) } }
      case .finished(let result):
        inbox.post { $0.supervisor.context(id)?.callEnded(request, result) }
      }
    }
    requests.beginChat(request, call)
  }

  private func callEnded(_ request: UInt64, _ result: Result<[UInt8], Failure>) {
    requests.endChat(request)
    cancelTools(of: request)
    complete(request, result)
    slot.settled(self)
  }

  func remember(_ request: UInt64, cause: UInt64, operation: String, arguments: [UInt8]) {
    slot.recorder.memory(request, cause: cause, operation: operation, arguments: arguments)
    if let stub = slot.supervisor.stub {
      return stub.answer(.memory(operation: operation, arguments: Self.json(arguments))) { [self] in
        stubAnswered(request, $0, parts: false)
      }
    }
    guard let memory = slot.supervisor.memory else {
      return complete(request, .failure(Failure(.unknownTarget, "this kernel runs without a memory")))
    }
    var trace: String?
    if cause != 0 {
      guard let origin = router.requests.request(cause) else {
        return complete(request, .failure(Failure(.cancelled, "the gram on whose behalf this is done has ended")))
      }
      if let failure = router.requests.begin(request, of: self, for: cause) { return complete(request, .failure(failure)) }
      if !origin.trace.isEmpty { trace = String(decoding: origin.trace, as: UTF8.self) }
    }
    requests.beginMemory(request, cause: cause)
    let (instance, inbox) = (instance, slot.supervisor.inbox)
    let id = ObjectIdentifier(instance)
    memory.perform(.init(actor: .persona(slot.name), operation: operation, arguments: arguments, trace: trace)) { result in
      inbox.post { $0.supervisor.context(id)?.remembered(request, result) }
    }
  }

  /// The end of an operation; one that was cancelled has ended before.
  private func remembered(_ request: UInt64, _ result: Result<MemoryResult, Failure>) {
    guard let cause = requests.endMemory(request) else { return }
    if case .success(let answer) = result { router.requests.request(cause)?.citations += answer.citations }
    complete(request, result.map(\.json))
    slot.settled(self)
  }

  func forget(thread: String) { slot.supervisor.language?.forget(persona: slot.name, thread: thread) }

  func cancel(request: UInt64) {
    if let timer = requests.endTimer(request) {
      router.loop.cancel(timer: timer)
      instance.complete(request, .failure(Failure(.cancelled, "cancelled")))
    } else if let call = requests.chat(request) {
      call.cancel()
    } else if requests.endMemory(request) != nil {
      complete(request, .failure(Failure(.cancelled, "cancelled; what was to be changed is changed all the same")))
      slot.settled(self)
    } else if let token = router.requests.token(askedBy: self, id: InstanceAsker.id(request)) {
      router.requests.cancel(token, Failure(.cancelled, "cancelled by the asker"))
    }
  }

  // MARK: Tools: what the model calls on behalf of the persona

  /// Asks the persona whose method the tool is; `done` is called once. It is no step of the persona's own: what is recorded is
  /// the question's result, which tells of it.
  func callTool(
    _ tool: String, _ arguments: [UInt8], chat: UInt64, conversation: String?, cause: UInt64,
    done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void
  ) {
    guard requests.isChat(chat), let (target, method) = ToolCatalog.split(tool) else {
      return done(.failure(Failure(.cancelled, "the question during which \(tool) was called has ended")))
    }
    // They come from a model by a service: what makes no gram must not become one.
    guard arguments.withUnsafeBytes(isJSONValue) else {
      return done(.failure(Failure(.badJSON, "the arguments of \(tool) are no JSON")))
    }
    guard arguments.count <= slot.supervisor.payloadLimit else {
      return done(.failure(Failure(.tooLong, "the arguments of \(tool) have \(arguments.count) bytes, which makes no gram")))
    }
    let number = PendingRequests.nextNumber()
    requests.beginTool(number, .init(chat: chat, done: done))
    router.ask(
      from: self, request: number, cause: cause, target: Array(target.utf8), method: Array(method.utf8), payload: arguments,
      milliseconds: 0, stream: false, conversation: conversation)
  }

  /// Nobody waits any more for what was called during a question.
  private func cancelTools(of chat: UInt64) {
    for number in requests.tools(during: chat) {
      guard let token = router.requests.token(askedBy: self, id: InstanceAsker.id(number)) else { continue }
      router.requests.cancel(token, Failure(.cancelled, "the question to the model has ended"))
    }
  }

  // MARK: The end

  /// Everything that it has begun ends; whoever waits for it is told.
  func abandon(_ failure: Failure) {
    held = []
    for token in router.requests.tokens(answeredBy: self) { router.requests.cancel(token, failure) }
    for token in router.requests.tokens(askedBy: self) { router.requests.cancel(token, failure) }
    let (timers, calls) = requests.takeAll()
    for timer in timers { router.loop.cancel(timer: timer) }
    for call in calls { call.cancel() }
    topics = []
  }
}
