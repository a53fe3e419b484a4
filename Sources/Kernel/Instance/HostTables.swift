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

  static func host() -> UnsafeMutablePointer<persona_host> {
    let host = UnsafeMutablePointer<persona_host>.allocate(capacity: 1)
    host.initialize(
      to: persona_host(
        size: UInt32(MemoryLayout<persona_host>.size), abi_major: UInt16(PERSONA_ABI_MAJOR), abi_minor: UInt16(PERSONA_ABI_MINOR),
        kernel: UnsafeMutableRawPointer(host),
        service: { _, name in HostTables.table(String(cString: name)) },
        explain: { host, why in ThreadInstance.of(host).explain(HostTables.string(why)) },
        post: { host, job, context in
          let generation = ThreadInstance.of(host)
          let work = Work(job: job, context: context)
          return generation.lane.lane.run { work.job(work.context) } ? OK : RETIRED
        },
        cancel: { host, request in
          let generation = ThreadInstance.of(host)
          HostTables.perform(generation) { $0.cancel(request: request) }
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

  private static func keep<T>(_ value: T) -> UnsafePointer<T> {
    let pointer = UnsafeMutablePointer<T>.allocate(capacity: 1)
    pointer.initialize(to: value)
    return UnsafePointer(pointer)
  }

  static func bytes(_ text: persona_text) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : text.count))
  }
  static func string(_ text: persona_text) -> String { String(decoding: bytes(text), as: UTF8.self) }

  /// A payload's bytes, or nil if they are not JSON. Empty stays empty.
  private static func json(_ text: persona_text) -> [UInt8]? {
    let bytes = bytes(text)
    return bytes.isEmpty || bytes.withUnsafeBytes(isJSONValue) ? bytes : nil
  }

  /// On the event loop, for this generation; not after its retirement, and for a candidate after its switch.
  private static func perform(_ generation: ThreadInstance, _ body: @escaping @Sendable (InstanceContext) -> Void) {
    let id = ObjectIdentifier(generation)
    generation.inbox.post { $0.supervisor.perform(id, body) }
  }

  private static func write(_ bytes: [UInt8], _ sink: UnsafePointer<persona_sink>) -> persona_status {
    bytes.withUnsafeBytes { sink.pointee.write(sink.pointee.context, $0.baseAddress, $0.count) }
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

  // MARK: Tables

  private nonisolated(unsafe) static let bus = keep(
    persona_bus_v1(
      size: UInt32(MemoryLayout<persona_bus_v1>.size),
      reply: { host, token, payload in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        if payload.count > generation.payloadLimit { return TOO_LONG }
        guard let payload = json(payload) else { return INVALID }
        guard generation.close(token: token) else { return NOT_FOUND }
        generation.inbox.post { $0.bus.finish(token, payload: payload) }
        return OK
      },
      fail: { host, token, status, why in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        guard generation.close(token: token) else { return NOT_FOUND }
        let failure = Failure(.init(status: status), string(why))
        generation.inbox.post { $0.bus.fail(token, failure) }
        return OK
      },
      stream: { host, token, piece in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        guard generation.isOpen(token: token) else { return NOT_FOUND }
        let text = bytes(piece)
        generation.inbox.post { $0.bus.stream(token, text) }
        return OK
      },
      send: { host, cause, target, method, payload in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        if payload.count > generation.payloadLimit { return TOO_LONG }
        guard let payload = json(payload), target.count > 0 else { return INVALID }
        let (target, method) = (bytes(target), bytes(method))
        perform(generation) { $0.send(cause: cause, target: target, method: method, payload: payload) }
        return OK
      },
      ask: { host, cause, target, method, payload, deadline, part, done, context, request in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        if payload.count > generation.payloadLimit { return TOO_LONG }
        guard let payload = json(payload), target.count > 0 else { return INVALID }
        let (target, method) = (bytes(target), bytes(method))
        let id = generation.begin(.init(part: part, done: done, context: context))
        let wantsStream = part != nil
        perform(generation) {
          $0.ask(id, cause: cause, target: target, method: method, payload: payload, milliseconds: deadline, stream: wantsStream)
        }
        request.pointee = id
        return OK
      },
      subscribe: { host, topic in
        let generation = ThreadInstance.of(host)
        if generation.phase.rawValue >= ThreadInstance.Phase.draining.rawValue { return RETIRED }
        guard topic.count > 0 else { return INVALID }
        let topic = bytes(topic)
        perform(generation) { $0.subscribe(topic) }
        return OK
      },
      unsubscribe: { host, topic in
        let generation = ThreadInstance.of(host)
        if generation.phase.rawValue >= ThreadInstance.Phase.draining.rawValue { return RETIRED }
        let topic = bytes(topic)
        perform(generation) { $0.unsubscribe(topic) }
        return OK
      }))

  private nonisolated(unsafe) static let llm = keep(
    persona_llm_v1(
      size: UInt32(MemoryLayout<persona_llm_v1>.size),
      chat: { host, cause, question, streamTo, part, done, context, request in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        guard let question = json(question), !question.isEmpty else { return INVALID }
        let id = generation.begin(.init(part: part, done: done, context: context))
        let wantsParts = part != nil
        let read = Result { () throws(Failure) in try ChatRequest(question, of: generation.persona) }
        perform(generation) { $0.chat(id, cause: cause, question: question, read, streamTo: streamTo, parts: wantsParts) }
        request.pointee = id
        return OK
      },
      forget: { host, thread in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        let thread = string(thread)
        perform(generation) { $0.forget(thread: thread) }
        return OK
      }))

  private nonisolated(unsafe) static let rag = keep(
    persona_rag_v1(
      size: UInt32(MemoryLayout<persona_rag_v1>.size),
      perform: { host, cause, operation, arguments, done, context, request in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        guard let arguments = json(arguments), operation.count > 0 else { return INVALID }
        let operation = string(operation)
        let id = generation.begin(.init(part: nil, done: done, context: context))
        perform(generation) { $0.remember(id, cause: cause, operation: operation, arguments: arguments) }
        request.pointee = id
        return OK
      }))

  private nonisolated(unsafe) static let state = keep(
    persona_state_v1(
      size: UInt32(MemoryLayout<persona_state_v1>.size),
      get: { host, key, into in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        guard let value = generation.stateValue(string(key)) else { return NOT_FOUND }
        return write(value, into)
      },
      put: { host, key, value in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        return generation.setState(string(key), bytes(value)) ? OK : TOO_LONG
      },
      remove: { host, key in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        _ = generation.setState(string(key), nil)
        return OK
      },
      keys: { host, prefix, into in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        return write(list(generation.stateKeys(prefix: string(prefix))), into)
      }))

  private nonisolated(unsafe) static let timer = keep(
    persona_timer_v1(
      size: UInt32(MemoryLayout<persona_timer_v1>.size),
      after: { host, milliseconds, done, context, request in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        let id = generation.begin(.init(part: nil, done: done, context: context))
        perform(generation) { $0.timer(id, milliseconds: milliseconds) }
        request.pointee = id
        return OK
      }))

  private nonisolated(unsafe) static let log = keep(
    persona_log_v1(
      size: UInt32(MemoryLayout<persona_log_v1>.size),
      write: { host, level, line in
        let generation = ThreadInstance.of(host)
        let text = string(line)
        switch level {
        case Int32(PERSONA_LOG_DEBUG): generation.log.debug(text)
        case Int32(PERSONA_LOG_INFO): generation.log.info(text)
        case Int32(PERSONA_LOG_WARNING): generation.log.warning(text)
        default: generation.log.error(text)
        }
      }))

  private nonisolated(unsafe) static let config = keep(
    persona_config_v1(
      size: UInt32(MemoryLayout<persona_config_v1>.size),
      get: { host, into in
        let generation = ThreadInstance.of(host)
        if generation.phase == .retired { return RETIRED }
        return write(generation.currentConfiguration, into)
      }))
}

private let OK: persona_status = 0
private let INVALID: persona_status = -2
private let RETIRED: persona_status = -3
private let TOO_LONG: persona_status = -9
private let NOT_FOUND: persona_status = -12
