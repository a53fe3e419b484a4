import FoundationEssentials
import Glibc
import System

/// `target: "KERNEL"`: what people and personas can ask of the kernel itself (docs/WIRE.md). Event loop only.
final class Control {
  typealias Answer = (Result<[UInt8], Failure>) -> Void

  private unowned let bus: Bus
  private unowned let supervisor: Supervisor
  private let version: String
  private let began = MachineClock.now()
  /// Reads personas.toml again and applies it; libraries for this once, by the name of a persona that comes.
  var reloadConfiguration: (([String: String]) throws(Failure) -> Payload.Changes)?

  init(bus: Bus, supervisor: Supervisor, version: String) {
    self.bus = bus
    self.supervisor = supervisor
    self.version = version
  }

  func welcome(_ participant: Participant) -> [UInt8] {
    encodedJSON(
      Payload.Welcome(
        version: version, name: participant.text, seq: bus.counters.messages,
        limits: .init(
          frame_bytes: bus.limits.frameBytes, queue_bytes: bus.limits.queueBytes, hops: bus.limits.hops,
          deadline_ms: bus.limits.deadlineMilliseconds),
        personas: supervisor.slots.map {
          let status = $0.status
          return .init(name: status.name, summary: status.summary, generation: status.generation)
        }))
  }

  /// `connection` is nil when a persona asks; `token` names the request, if there is one. The answer may come at once or later, once.
  func handle(_ method: String, _ payload: [UInt8], from connection: Connection?, token: UInt64 = 0, _ answer: @escaping Answer) {
    do throws(Failure) {
      switch method {
      case "ping": answer(.success(encodedJSON(Payload.Empty())))
      case "personas.list": answer(.success(encodedJSON(Payload.Personas(personas: supervisor.slots.map(\.status)))))
      case "personas.show": answer(.success(try slot(payload).details))
      case "personas.load": try load(slot(payload), answer)
      case "personas.reload": try reload(read(Payload.Reload.self, payload), answer)
      case "personas.shadow":
        let order = try read(Payload.Shadow.self, payload)
        if let library = order.library, !library.hasPrefix("/") { throw Self.relative(library) }
        let cancellation = try slot(named: order.name).shadow(last: order.last ?? 20, path: order.library, done: answer)
        bus.request(token)?.onEnd = { cancellation.fall() }
      case "personas.promote": try slot(payload).promote { answer($0.map { encodedJSON($0) }) }
      case "personas.drop":
        try slot(payload).dropShadow()
        answer(.success(encodedJSON(Payload.Empty())))
      case "recordings.get":
        let order = try read(Payload.Capture.self, payload)
        try slot(named: order.name).capture(order.choice, answer)
      case "recordings.list":
        let order = try read(Payload.Capture.self, payload)
        answer(.success(try slot(named: order.name).list(last: order.last ?? .max)))
      case "personas.rollback": try slot(payload).rollBack(reason: nil) { answer(Self.told($0)) }
      case "personas.unload": try slot(payload).unload { answer(Self.told($0)) }
      case _ where method.hasPrefix("memory."): try remember(String(method.dropFirst(7)), payload, from: connection, answer)
      case "models.list": try listModels(payload, answer)
      case "history.list", "history.get", "history.export", "history.forget":
        _ = try client(connection, method)
        let order = payload.elementsEqual("null".utf8) ? .init() : try read(Payload.History.self, payload)
        try history(historyOrder(method, order), answer)
      case "stats": answer(.success(stats()))
      case "tap":
        let on = try read(Payload.Switch.self, payload)
        bus.setTap(try client(connection, method), on.on)
        answer(.success(encodedJSON(on)))
      case "topics.subscribe", "topics.unsubscribe":
        let client = try client(connection, method)
        var name = Array(try read(Payload.TopicName.self, payload).topic.utf8)
        if name.first != 0x23 { name.insert(0x23, at: 0) }
        let count = method == "topics.subscribe" ? bus.subscribe(name, client) : bus.unsubscribe(name, client)
        answer(.success(encodedJSON(Payload.TopicCount(topic: String(decoding: name.dropFirst(), as: UTF8.self), subscribers: count))))
      case "topics.list":
        answer(.success(encodedJSON(Payload.Topics(topics: bus.topicCounts.map { .init(topic: $0.0, subscribers: $0.1) }))))
      case "cancel":
        let id = try read(Payload.Cancel.self, payload).id
        answer(.success(encodedJSON(Payload.Cancelled(cancelled: bus.cancel(id: id.raw, of: try client(connection, method))))))
      case "config.reload":
        guard let reloadConfiguration else { throw Failure(.invalid, "this kernel was started without a personas.toml") }
        let order = payload.elementsEqual("null".utf8) ? .init() : try read(Payload.ReloadConfiguration.self, payload)
        answer(.success(encodedJSON(try reloadConfiguration(order.libraries ?? [:]))))
      default:
        throw Failure(
          .unknownMethod,
          "KERNEL has no method \(method); it has personas.list, .show, .load, .reload, .rollback, .unload, .shadow, .promote, .drop, recordings.list, .get, history.list, .get, .export, .forget, models.list, stats, tap, topics.subscribe, .unsubscribe, .list, memory.query and its like, cancel, config.reload, ping"
        )
      }
    } catch {
      answer(.failure(error))
    }
  }

  private func read<T: Decodable>(_ type: T.Type, _ payload: [UInt8]) throws(Failure) -> T {
    do { return try JSONDecoder().decode(type, from: Data(payload.isEmpty ? Array("{}".utf8) : payload)) } catch {
      throw Failure(.invalid, "the payload is not what this method takes (docs/WIRE.md): \(Self.describe(error))")
    }
  }

  private static func describe(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" has a value of the wrong kind"
    default: "it is not a JSON object"
    }
  }

  private func client(_ connection: Connection?, _ method: String) throws(Failure) -> Connection {
    guard let connection else { throw Failure(.invalid, "\(method) is for connected clients; a persona uses persona.h") }
    return connection
  }

  private func slot(_ payload: [UInt8]) throws(Failure) -> PersonaSlot { try slot(named: read(Payload.Name.self, payload).name) }

  private func slot(named name: String) throws(Failure) -> PersonaSlot {
    if let slot = supervisor.slot(name) { return slot }
    let near = Suggestion.nearest(to: name, among: supervisor.slots.map(\.name))
    throw Failure(.unknownTarget, "there is no persona \(name) in personas.toml\(near.map { "; did you mean \($0)?" } ?? "")")
  }

  private static func relative(_ library: String) -> Failure {
    Failure(.invalid, "\"library\" is a path from the root on; this is \(library)")
  }

  private static func told(_ receipt: Receipt) -> Result<[UInt8], Failure> { .success(encodedJSON(receipt)) }

  private func load(_ slot: PersonaSlot, _ answer: @escaping Answer) {
    slot.load(.file(), force: false) { answer(Self.told($0)) }
  }

  private func reload(_ order: Payload.Reload, _ answer: @escaping Answer) throws(Failure) {
    let names = order.names ?? order.name.map { [$0] } ?? supervisor.slots.map(\.name)
    if let library = order.library {
      guard names.count == 1 else { throw Failure(.invalid, "\"library\" is for one persona: say which, with \"name\"") }
      guard library.hasPrefix("/") else { throw Self.relative(library) }
    }
    var slots: [PersonaSlot] = []
    for name in names { slots.append(try slot(named: name)) }
    if slots.isEmpty { return answer(.success(encodedJSON(Payload.Receipts(receipts: [])))) }
    var receipts: [String: Receipt] = [:]
    for slot in slots {
      slot.load(.file(path: order.library), force: order.force ?? false) { receipt in
        receipts[slot.name] = receipt
        if receipts.count == Set(names).count {
          answer(.success(encodedJSON(Payload.Receipts(receipts: names.compactMap { receipts[$0] }))))
        }
      }
    }
  }

  /// What a connected client wants of the memory: it is the user's own, and may everything. A persona uses rag/1.
  private func remember(_ operation: String, _ payload: [UInt8], from connection: Connection?, _ answer: @escaping Answer) throws(Failure) {
    let client = try client(connection, "memory.\(operation)")
    guard let memory = supervisor.memory else { throw Failure(.unknownTarget, "this kernel runs without a memory") }
    let order = MemoryOrder(
      actor: .client(client.participant?.text ?? ""), operation: operation, arguments: payload.isEmpty ? Array("{}".utf8) : payload)
    let answer = onLoop(answer)
    memory.perform(order) { answer($0.map(\.json)) }
  }

  private func listModels(_ payload: [UInt8], _ answer: @escaping Answer) throws(Failure) {
    let order = payload.elementsEqual("null".utf8) ? .init() : try read(Payload.Provider.self, payload)
    guard let language = supervisor.language else { throw Failure(.llmUnreachable, "this kernel runs without a language model") }
    language.models(of: order.provider, done: onLoop(answer))
  }

  private func historyOrder(_ method: String, _ order: Payload.History) throws(Failure) -> HistoryRequest {
    if method == "history.list" { return .list(persona: order.persona) }
    guard let persona = order.persona else { throw Failure(.invalid, "\(method) needs \"persona\": whose conversation?") }
    if method == "history.forget" { return .forget(persona: persona, thread: order.thread) }
    if let last = order.last, last < 1 { throw Failure(.invalid, "\"last\" is \(last); it must be 1 or more") }
    // What persona.h calls it when nothing is said.
    let thread = order.thread ?? "main"
    if method == "history.get" { return .get(persona: persona, thread: thread, last: order.last) }
    guard let format = HistoryRequest.Format(rawValue: order.format ?? "json") else {
      let words = HistoryRequest.Format.allCases.map(\.rawValue).joined(separator: " or ")
      throw Failure(.invalid, "\"format\" is \(order.format ?? ""); it must be \(words)")
    }
    return .export(persona: persona, thread: thread, last: order.last, format)
  }

  private func history(_ order: HistoryRequest, _ answer: @escaping Answer) throws(Failure) {
    guard let language = supervisor.language else { throw Failure(.llmUnreachable, "this kernel runs without a language model") }
    let limit = bus.limits.frameBytes - 4096
    let answer = onLoop(answer)
    language.history(order) { result in
      if case .success(let json) = result, json.count > limit {
        return answer(
          .failure(Failure(.tooLong, "the answer has \(json.count) bytes, too many for one line: ask for fewer turns, with \"last\"")))
      }
      answer(result)
    }
  }

  /// For services, which answer on threads of their own.
  private func onLoop(_ answer: @escaping Answer) -> @Sendable (Result<[UInt8], Failure>) -> Void {
    let box = LoopOnly(answer)
    let inbox = supervisor.inbox
    return { result in inbox.post { _ in box.value(result) } }
  }

  private func stats() -> [UInt8] {
    struct Stats: Encodable {
      var uptime_s: Int
      var version: String
      var pid: Int32
      var memory_kb: Int
      var connections: Int
      var requests: Int
      var messages: UInt64
      var errors: UInt64
      var undelivered: UInt64
      var personas: [Payload.PersonaStatus]
    }
    let counters = bus.counters
    var json = encodedJSON(
      Stats(
        uptime_s: Int((MachineClock.now() - began) / 1_000_000_000), version: version, pid: getpid(), memory_kb: Self.memoryKilobytes(),
        connections: bus.connections.count, requests: bus.openRequests, messages: counters.messages, errors: counters.errors,
        undelivered: counters.undelivered, personas: supervisor.slots.map(\.status)))
    Payload.add("llm", supervisor.language?.statistics() ?? Array("null".utf8), to: &json)
    Payload.add("memory", supervisor.memory?.statistics() ?? Array("null".utf8), to: &json)
    return json
  }

  /// Resident memory, of /proc/self/statm.
  private static func memoryKilobytes() -> Int {
    let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    if file < 0 { return 0 }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 128)
    let n = max(0, Glibc.read(file, &text, text.count))
    let fields = String(decoding: text[..<n], as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024 : 0
  }
}
