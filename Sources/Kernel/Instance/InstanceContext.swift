import Protocol
import Wire

/// What the event loop knows of one generation: what it has begun, and what it has been given. Event loop only.
final class InstanceContext {
  let generation: ThreadInstance
  /// Kept alive by what it has begun, also when the slot has left the house.
  let slot: PersonaSlot
  /// What a candidate wants to do; carried out after its switch.
  private var held: [(InstanceContext) -> Void] = []
  private(set) var topics: Set<[UInt8]> = []
  /// Its requests, by number: timers of the loop, calls to the model, tokens of the bus.
  private var timers: [UInt64: UInt64] = [:]
  private var calls: [UInt64: any LanguageCall] = [:]
  /// Operations of the memory, with the gram on whose behalf each is done.
  private var memories: [UInt64: UInt64] = [:]
  var asks: [UInt64: UInt64] = [:]
  /// Those of them that the model makes.
  var toolAsks: [UInt64: ToolAsk] = [:]
  /// Grams that it has and has not answered.
  private var grams: Set<UInt64> = []

  var bus: Bus { slot.supervisor.bus }

  init(_ generation: ThreadInstance, slot: PersonaSlot) {
    self.generation = generation
    self.slot = slot
  }

  /// Does it now, or after the switch.
  func perform(_ body: @escaping (InstanceContext) -> Void) {
    switch generation.phase {
    case .candidate: held.append(body)
    // Of a retired one it is what it said before: its later calls are refused where they are made.
    case .live, .draining, .retired: body(self)
    }
  }

  func goLive() {
    generation.phase = .live
    generation.commitState()
  }

  /// What it wanted to do as a candidate.
  func carryOut() {
    let actions = held
    held = []
    for action in actions { action(self) }
  }

  /// It has nothing left to finish.
  var isIdle: Bool { grams.isEmpty && asks.isEmpty && calls.isEmpty && memories.isEmpty }
  var openGrams: Int { grams.count }
  /// How much it waits for itself: questions to the model and to others.
  var openRequests: Int { calls.count + asks.count + memories.count }
  /// Who waits for it, one entry for each gram.
  var askers: [String] { grams.map { bus.request($0)?.askerName ?? "nobody" } }

  // MARK: Mail

  /// Puts mail on the lane; false if the sender's share of the mailbox is full.
  func take(_ mail: Mail, quota: Int) -> Bool {
    guard begin(mail) else { return true }
    if generation.lane.lane.offer(mail, quota: quota) { return true }
    giveBack([mail])
    return false
  }

  /// From now on the gram is this generation's to answer. False: its request has ended meanwhile, and nobody wants it any more.
  func begin(_ mail: Mail) -> Bool {
    guard bus.request(mail.token) != nil else { return false }
    generation.open(token: mail.token)
    grams.insert(mail.token)
    bus.handed(mail.token, to: self)
    slot.recorder.began(mail, generation: generation.number)
    return true
  }

  /// Mail that this generation has not begun is somebody else's now.
  func giveBack(_ mail: [Mail]) {
    for item in mail {
      _ = generation.close(token: item.token)
      grams.remove(item.token)
      slot.recorder.gaveBack(item.token)
    }
  }

  func gramEnded(_ token: UInt64) {
    grams.remove(token)
    slot.settled(self)
  }

  // MARK: What the persona wants

  func send(cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    slot.recorder.gram(0, cause: cause, target: target, method: method, payload: payload)
    if slot.supervisor.stub != nil { return }
    bus.send(from: self, cause: cause, target: target, method: method, payload: payload)
  }

  func ask(_ request: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8], milliseconds: UInt64, stream: Bool) {
    slot.recorder.gram(request, cause: cause, target: target, method: method, payload: payload)
    if let stub = slot.supervisor.stub {
      let errand = OutboundCall.ask(
        target: String(decoding: target, as: UTF8.self), method: String(decoding: method, as: UTF8.self), payload: Self.json(payload))
      return stub.answer(errand) { [self] in stubAnswered(request, $0, parts: stream) }
    }
    bus.ask(
      from: self, request: request, cause: cause, target: target, method: method, payload: payload, milliseconds: milliseconds,
      stream: stream)
    slot.settled(self)
  }

  func subscribe(_ topic: [UInt8]) {
    topics.insert(topic[0] == 0x23 ? topic : [0x23] + topic)
    if slot.current === self { bus.setTopics(of: slot, topics) }
  }

  func unsubscribe(_ topic: [UInt8]) {
    topics.remove(topic.first == 0x23 ? topic : [0x23] + topic)
    if slot.current === self { bus.setTopics(of: slot, topics) }
  }

  func timer(_ request: UInt64, milliseconds: UInt64) {
    timers[request] = bus.loop.after(milliseconds: Int(clamping: min(milliseconds, 1 << 40))) { [weak self] in
      guard let self else { return }
      timers[request] = nil
      generation.complete(request, 0, [])
    }
  }

  /// A request of its own has ended: it is recorded, and the persona is told. An empty result is null.
  func complete(_ request: UInt64, _ result: Result<[UInt8], Failure>) {
    let result = result.map { $0.isEmpty ? Array("null".utf8) : $0 }
    if let tool = toolAsks.removeValue(forKey: request) { return tool.done(result) }
    slot.recorder.ended(request: request, result)
    switch result {
    case .success(let json): generation.complete(request, 0, json)
    case .failure(let failure): generation.complete(request, failure)
    }
  }

  private func stubAnswered(_ request: UInt64, _ result: Result<JSON, Failure>, parts: Bool) {
    if parts, case .success(let answer) = result {
      generation.part(request, Array((answer["text"] ?? answer["content"] ?? .null).plain.utf8))
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
    var order = LanguageQuestion(
      persona: slot.name, prompt: slot.configuration.prompt, overrides: slot.configuration.language, request: asked)
    order.generation = generation.number
    order.isInteractive = false
    if cause != 0 {
      guard let origin = bus.request(cause) else {
        return complete(request, .failure(Failure(.cancelled, "the gram on whose behalf this is asked has ended")))
      }
      origin.children.append((self, request))
      order.isInteractive = origin.isInteractive
      order.deadline = Int64(origin.deadline / 1_000_000)
      if let conversation = ToolCatalog.conversation(of: asked, of: slot.name), origin.conversations.contains(conversation) {
        return complete(request, .failure(ToolCatalog.circle(conversation)))
      }
    }
    let generation = generation
    let id = ObjectIdentifier(generation)
    do throws(Failure) { order.tools = try ToolCatalog.tools(of: asked, for: slot) } catch { return complete(request, .failure(error)) }
    let conversation = order.tools.isEmpty ? nil : ToolCatalog.conversation(of: asked, of: slot.name)
    order.onToolCall = { tool, arguments, done in
      generation.inbox.post { kernel in
        guard let context = kernel.supervisor.context(id) else {
          return done(.failure(Failure(.retired, "the generation that asked has ended")))
        }
        context.callTool(tool, arguments, chat: request, conversation: conversation, cause: cause, done: done)
      }
    }
    let call = language.chat(order) { event in
      switch event {
      case .piece(let text):
        let bytes = Array(text.utf8)
        if streamTo != 0, generation.isOpen(token: streamTo) { generation.inbox.post { $0.bus.stream(streamTo, bytes) } }
        if parts { generation.part(request, bytes) }
      case .finished(let result):
        generation.inbox.post { $0.supervisor.callEnded(id, request, result) }
      }
    }
    calls[request] = call
  }

  func isAsking(_ request: UInt64) -> Bool { calls[request] != nil }

  func callEnded(_ request: UInt64, _ result: Result<[UInt8], Failure>) {
    calls[request] = nil
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
      guard let origin = bus.request(cause) else {
        return complete(request, .failure(Failure(.cancelled, "the gram on whose behalf this is done has ended")))
      }
      origin.children.append((self, request))
      if !origin.trace.isEmpty { trace = String(decoding: origin.trace, as: UTF8.self) }
    }
    memories[request] = cause
    let generation = generation
    let id = ObjectIdentifier(generation)
    memory.perform(.init(actor: .persona(slot.name), operation: operation, arguments: arguments, trace: trace)) { result in
      generation.inbox.post { $0.supervisor.remembered(id, request, result) }
    }
  }

  /// The end of an operation; one that was cancelled has ended before.
  func remembered(_ request: UInt64, _ result: Result<MemoryResult, Failure>) {
    guard let cause = memories.removeValue(forKey: request) else { return }
    if case .success(let answer) = result { bus.request(cause)?.citations += answer.citations }
    complete(request, result.map(\.json))
    slot.settled(self)
  }

  func forget(thread: String) { slot.supervisor.language?.forget(persona: slot.name, thread: thread) }

  func cancel(request: UInt64) {
    if let timer = timers.removeValue(forKey: request) {
      bus.loop.cancel(timer: timer)
      generation.complete(request, Failure(.cancelled, "cancelled"))
    } else if let call = calls[request] {
      call.cancel()
    } else if memories.removeValue(forKey: request) != nil {
      complete(request, .failure(Failure(.cancelled, "cancelled; what was to be changed is changed all the same")))
      slot.settled(self)
    } else if let token = asks[request] {
      bus.cancel(token, Failure(.cancelled, "cancelled by the asker"))
    }
  }

  // MARK: The end

  /// Everything that it has begun ends; whoever waits for it is told.
  func abandon(_ failure: Failure) {
    held = []
    for timer in timers.values { bus.loop.cancel(timer: timer) }
    timers = [:]
    for token in grams { bus.cancel(token, failure) }
    grams = []
    for token in Array(asks.values) { bus.cancel(token, failure) }
    asks = [:]
    for call in calls.values { call.cancel() }
    calls = [:]
    memories = [:]
    topics = []
  }
}
