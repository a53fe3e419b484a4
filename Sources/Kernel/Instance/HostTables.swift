import Glibc
import PersonaABI
import Protocol
import Wire

/// The kernel's side of persona.h: the C tables, and what stands behind each function.
///
/// Any thread may be in here. Nothing is decided here: arguments are copied and checked, requests get
/// their number, and the rest is posted to the event loop, which holds back what a candidate does.
public enum HostTables {
  nonisolated(unsafe) static let null: persona_text = {
    let bytes = UnsafeMutablePointer<CChar>.allocate(capacity: 4)
    for (i, c) in "null".utf8.enumerated() { bytes[i] = CChar(c) }
    return persona_text(bytes: bytes, count: 4)
  }()

  /// The services that this kernel has, as personas name them.
  public static let services: Set<String> = ["bus/1", "llm/1", "rag/1", "state/1", "timer/1", "log/1", "config/1"]

  /// To be sealed when `kernel` has been set.
  static func host() -> UnsafeMutablePointer<persona_host> {
    let host = SealedMemory.allocate(for: persona_host.self)
    host.initialize(
      to: persona_host(
        size: UInt32(MemoryLayout<persona_host>.size), abi_major: UInt16(PERSONA_ABI_MAJOR), abi_minor: UInt16(PERSONA_ABI_MINOR),
        kernel: UnsafeMutableRawPointer(host),
        service: { _, name in HostTables.table(String(cString: name)) },
        explain: { host, why in ThreadInstance.of(host).explain(HostTables.words(why)) },
        post: { host, job, context in
          let work = Work(job: job, context: context)
          switch ThreadInstance.of(host).post({ work.job(work.context) }) {
          case .success: return OK
          case .failure(.closed): return RETIRED
          case .failure(.full): return QUEUE_FULL
          }
        },
        cancel: { host, request in
          let instance = ThreadInstance.of(host)
          // Each open request at most once, so this needs no share of the quota.
          guard instance.requests.cancel(request) else { return }
          let id = ObjectIdentifier(instance)
          instance.inbox.post { $0.supervisor.perform(id) { $0.cancel(request: request) } }
        }))
    return host
  }

  private struct Work: @unchecked Sendable {
    let job: persona_job
    let context: UnsafeMutableRawPointer?
  }

  static func table(_ name: String) -> UnsafeRawPointer? {
    switch name {
    case "bus/1": UnsafeRawPointer(bus)
    case "llm/1": UnsafeRawPointer(llm)
    case "rag/1": UnsafeRawPointer(rag)
    case "state/1": UnsafeRawPointer(state)
    case "timer/1": UnsafeRawPointer(timer)
    case "log/1": UnsafeRawPointer(log)
    case "config/1": UnsafeRawPointer(config)
    default: nil
    }
  }

  // MARK: Helpers

  private static func keep<T>(_ value: T) -> UnsafePointer<T> { SealedMemory.keep(value) }

  static func bytes(_ text: persona_text) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : max(0, text.count)))
  }
  static func string(_ text: persona_text) -> String { String(decoding: bytes(text), as: UTF8.self) }

  /// The bytes of a name; nil if they are not UTF-8, too many, or none where one is wanted. What passes here makes a gram.
  private static func name(_ text: persona_text, atMost limit: Int = NameLimits.word, mayBeEmpty: Bool = false) -> [UInt8]? {
    guard text.count <= limit, mayBeEmpty || text.count > 0 else { return nil }
    let bytes = bytes(text)
    return String(validating: bytes, as: UTF8.self) == nil ? nil : bytes
  }
  private static func nameString(_ text: persona_text, atMost limit: Int = NameLimits.word, mayBeEmpty: Bool = false) -> String? {
    name(text, atMost: limit, mayBeEmpty: mayBeEmpty).map { String(decoding: $0, as: UTF8.self) }
  }

  /// A text for people: what is longer than anybody reads is cut before it is copied.
  private static func words(_ text: persona_text) -> String {
    var text = text
    text.count = min(max(0, text.count), Failure.longestMessage)
    return string(text)
  }

  /// A payload's bytes, or nil if they are not JSON. Empty stays empty.
  private static func json(_ text: persona_text) -> [UInt8]? {
    let bytes = bytes(text)
    return bytes.isEmpty || bytes.withUnsafeBytes(isJSONValue) ? bytes : nil
  }

  /// On the event loop, for this instance; not after its retirement, and for a candidate after its switch.
  ///
  /// `weight`: the bytes that wait with it. False: so much of this instance waits there already that this is not taken.
  private static func perform(
    _ instance: ThreadInstance, weight: Int = 0, _ body: @escaping @Sendable (InstanceContext) -> Void
  ) -> Bool {
    guard instance.quota.take(weight) else { return false }
    let id = ObjectIdentifier(instance)
    instance.inbox.post { kernel in
      kernel.supervisor.perform(id) { context in
        instance.quota.giveBack(weight)
        body(context)
      }
    }
    return true
  }

  /// Begins a request, and what it is about on the event loop; `body` gets its number.
  private static func begin(
    _ instance: ThreadInstance, _ call: PendingRequests.Call, weight: Int = 0, into number: UnsafeMutablePointer<UInt64>,
    _ body: @escaping @Sendable (InstanceContext, UInt64) -> Void
  ) -> persona_status {
    guard let request = instance.requests.begin(call) else { return QUEUE_FULL }
    number.pointee = request
    if perform(instance, weight: weight, { body($0, request) }) { return OK }
    _ = instance.requests.end(request)
    return QUEUE_FULL
  }

  private static func write(_ bytes: [UInt8], _ sink: UnsafePointer<persona_sink>) -> persona_status {
    bytes.withUnsafeBytes { sink.pointee.write(sink.pointee.context, $0.baseAddress, $0.count) }
  }

  private static func status(_ change: StateStore.Change) -> persona_status {
    switch change {
    case .done: OK
    case .full: TOO_LONG
    case .retired: RETIRED
    }
  }

  private static func list(_ strings: [String]) -> [UInt8] {
    var out: [UInt8] = [0x5b]
    for string in strings {
      if out.count > 1 { out.append(0x2c) }
      out.appendJSON(string)
    }
    out.append(0x5d)
    return out
  }

  /// `bus->ask` and `bus->ask_through`.
  private static func ask(
    _ host: UnsafePointer<persona_host>, _ cause: UInt64, _ target: persona_text, _ method: persona_text, _ payload: persona_text,
    _ deadline: UInt64, _ call: PendingRequests.Call, _ request: UnsafeMutablePointer<UInt64>, speaker: String?
  ) -> persona_status {
    let instance = ThreadInstance.of(host)
    if instance.phase == .retired { return RETIRED }
    if payload.count > instance.payloadLimit { return TOO_LONG }
    guard let payload = json(payload), let target = name(target), let method = name(method, mayBeEmpty: true) else { return INVALID }
    let wantsStream = call.part != nil
    return begin(instance, call, weight: payload.count, into: request) {
      $0.ask(
        $1, cause: cause, target: target, method: method, payload: payload, milliseconds: deadline, stream: wantsStream, speaker: speaker)
    }
  }

  // MARK: Tables

  private nonisolated(unsafe) static let bus = keep(
    persona_bus_v1(
      size: UInt32(MemoryLayout<persona_bus_v1>.size),
      reply: { host, token, payload in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        if payload.count > instance.payloadLimit { return TOO_LONG }
        guard let payload = json(payload) else { return INVALID }
        guard instance.close(token: token) else { return NOT_FOUND }
        instance.inbox.post { $0.router.requests.finish(token, payload: payload) }
        return OK
      },
      fail: { host, token, status, why in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard instance.close(token: token) else { return NOT_FOUND }
        let failure = Failure(.init(status: status), words(why))
        instance.inbox.post { $0.router.requests.fail(token, failure) }
        return OK
      },
      stream: { host, token, piece in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard instance.isOpen(token: token) else { return NOT_FOUND }
        let text = bytes(piece)
        return perform(instance, weight: text.count) { $0.router.requests.stream(token, text) } ? OK : QUEUE_FULL
      },
      send: { host, cause, target, method, payload in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        if payload.count > instance.payloadLimit { return TOO_LONG }
        guard let payload = json(payload), let target = name(target), let method = name(method, mayBeEmpty: true) else { return INVALID }
        let taken = perform(instance, weight: payload.count) {
          $0.send(cause: cause, target: target, method: method, payload: payload)
        }
        return taken ? OK : QUEUE_FULL
      },
      ask: { host, cause, target, method, payload, deadline, part, done, context, request in
        ask(host, cause, target, method, payload, deadline, .init(part: part, done: done, context: context), request, speaker: nil)
      },
      subscribe: { host, topic in
        let instance = ThreadInstance.of(host)
        if instance.phase.rawValue >= InstancePhase.draining.rawValue { return RETIRED }
        guard let topic = name(topic, atMost: NameLimits.word - 1) else { return INVALID }
        return perform(instance, weight: topic.count) { $0.subscribe(topic) } ? OK : QUEUE_FULL
      },
      unsubscribe: { host, topic in
        let instance = ThreadInstance.of(host)
        if instance.phase.rawValue >= InstancePhase.draining.rawValue { return RETIRED }
        guard let topic = name(topic, atMost: NameLimits.word - 1) else { return INVALID }
        return perform(instance, weight: topic.count) { $0.unsubscribe(topic) } ? OK : QUEUE_FULL
      },
      progress: { host, token, step in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard instance.isOpen(token: token) else { return NOT_FOUND }
        if step.count > min(AnswerStep.longest, instance.payloadLimit) { return TOO_LONG }
        guard let read = AnswerStep(parsing: bytes(step)) else { return INVALID }
        return perform(instance, weight: step.count) { $0.router.requests.progress(token, read) } ? OK : QUEUE_FULL
      },
      declare: { host, methods in
        let instance = ThreadInstance.of(host)
        if instance.phase.rawValue >= InstancePhase.draining.rawValue { return RETIRED }
        if methods.count > About.longest { return TOO_LONG }
        do throws(About.Malformed) {
          let declared = try [About.Method](declared: bytes(methods))
          return perform(instance, weight: methods.count) { $0.declare(declared) } ? OK : QUEUE_FULL
        } catch {
          instance.log.warning(error.description)
          return INVALID
        }
      },
      ask_through: { host, cause, speaker, target, method, payload, deadline, part, done, context, request in
        guard let speaker = nameString(speaker, atMost: Name.longest), Name.problem(speaker.utf8) == nil else { return INVALID }
        return ask(
          host, cause, target, method, payload, deadline, .init(part: part, done: done, context: context), request, speaker: speaker)
      }))

  private nonisolated(unsafe) static let llm = keep(
    persona_llm_v1(
      size: UInt32(MemoryLayout<persona_llm_v1>.size),
      chat: { host, cause, question, streamTo, part, done, context, request in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        if question.count > instance.payloadLimit { return TOO_LONG }
        guard let question = json(question), !question.isEmpty else { return INVALID }
        let wantsParts = part != nil
        let read = Result { () throws(Failure) in try ChatRequest(question, of: instance.persona) }
        return begin(instance, .init(part: part, done: done, context: context), weight: question.count, into: request) {
          $0.chat($1, cause: cause, question: question, read, streamTo: streamTo, parts: wantsParts)
        }
      },
      forget: { host, thread in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard let thread = nameString(thread) else { return INVALID }
        return perform(instance, weight: thread.utf8.count) { $0.forget(thread: thread) } ? OK : QUEUE_FULL
      }))

  private nonisolated(unsafe) static let rag = keep(
    persona_rag_v1(
      size: UInt32(MemoryLayout<persona_rag_v1>.size),
      perform: { host, cause, operation, arguments, done, context, request in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        if arguments.count > instance.payloadLimit { return TOO_LONG }
        guard let arguments = json(arguments), let operation = nameString(operation) else { return INVALID }
        return begin(instance, .init(part: nil, done: done, context: context), weight: arguments.count, into: request) {
          $0.remember($1, cause: cause, operation: operation, arguments: arguments)
        }
      }))

  private nonisolated(unsafe) static let state = keep(
    persona_state_v1(
      size: UInt32(MemoryLayout<persona_state_v1>.size),
      get: { host, key, into in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard let key = nameString(key, atMost: NameLimits.key, mayBeEmpty: true) else { return INVALID }
        guard let value = instance.value(key) else { return NOT_FOUND }
        return write(value, into)
      },
      put: { host, key, value in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard let key = nameString(key, atMost: NameLimits.key, mayBeEmpty: true) else { return INVALID }
        if value.count > StateStore.limit { return TOO_LONG }
        return status(instance.setValue(key, bytes(value)))
      },
      remove: { host, key in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard let key = nameString(key, atMost: NameLimits.key, mayBeEmpty: true) else { return INVALID }
        return status(instance.setValue(key, nil))
      },
      keys: { host, prefix, into in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        guard let prefix = nameString(prefix, atMost: NameLimits.key, mayBeEmpty: true) else { return INVALID }
        return write(list(instance.keys(prefix: prefix)), into)
      }))

  private nonisolated(unsafe) static let timer = keep(
    persona_timer_v1(
      size: UInt32(MemoryLayout<persona_timer_v1>.size),
      after: { host, milliseconds, done, context, request in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        return begin(instance, .init(part: nil, done: done, context: context), into: request) { $0.timer($1, milliseconds: milliseconds) }
      }))

  private nonisolated(unsafe) static let log = keep(
    persona_log_v1(
      size: UInt32(MemoryLayout<persona_log_v1>.size),
      write: { host, level, line in
        let instance = ThreadInstance.of(host)
        let text = words(line)
        switch level {
        case Int32(PERSONA_LOG_DEBUG): instance.log.debug(text)
        case Int32(PERSONA_LOG_INFO): instance.log.info(text)
        case Int32(PERSONA_LOG_WARNING): instance.log.warning(text)
        default: instance.log.error(text)
        }
      }))

  private nonisolated(unsafe) static let config = keep(
    persona_config_v1(
      size: UInt32(MemoryLayout<persona_config_v1>.size),
      get: { host, into in
        let instance = ThreadInstance.of(host)
        if instance.phase == .retired { return RETIRED }
        return write(instance.configuration, into)
      }))
}

private let OK: persona_status = 0
private let INVALID: persona_status = -2
private let RETIRED: persona_status = -3
private let QUEUE_FULL: persona_status = -7
private let TOO_LONG: persona_status = -9
private let NOT_FOUND: persona_status = -12
