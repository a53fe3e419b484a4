import PersonaABI
import Wire

/// The tables of persona.h for a host that checks: they copy the arguments, and `CheckHost` does the rest.
enum HostTable {
  static func host(_ shape: HostShape) -> persona_host {
    persona_host(
      size: shape.size(persona_host.self), abi_major: UInt16(PERSONA_ABI_MAJOR),
      abi_minor: UInt16(PERSONA_ABI_MINOR) + (shape == .larger ? 1 : 0), kernel: UnsafeMutableRawPointer(bitPattern: 1)!,
      service: { CheckHost.of($0).service(String(cString: $1)) },
      explain: { host, why in
        let host = entered(host, "explain()", laneOnly: true)
        host.record.withLock { $0.explanation = string(why) }
      },
      post: { host, job, context in
        let host = entered(host, "post()")
        nonisolated(unsafe) let context = context
        let isQueued = host.lane.run {
          host.log.begins("a job that it posted")
          job(context)
          host.log.returned()
        }
        return isQueued ? 0 : RETIRED
      },
      cancel: { host, request in
        let host = entered(host, "cancel()")
        host.complete(request, Int32(PERSONA_E_CANCELLED), Array("cancelled".utf8))
      })
  }

  static func bus(_ shape: HostShape) -> persona_bus_v1 {
    persona_bus_v1(
      size: shape.size(persona_bus_v1.self),
      reply: { host, token, payload in
        let host = entered(host, "bus->reply()")
        if host.isRetired { return RETIRED }
        guard let payload = json(payload, host, "replies") else { return INVALID }
        return host.end(token, .replied(payload), by: "bus->reply()")
      },
      fail: { host, token, status, why in
        let host = entered(host, "bus->fail()")
        if host.isRetired { return RETIRED }
        if status >= 0 { host.log.warn("calls bus->fail() with the status \(status), which is no error") }
        let why = string(why)
        if why.isEmpty { host.log.warn("calls bus->fail() with status \(status) and no text: say what happened, and what to do") }
        return host.end(token, .failed(status, why), by: "bus->fail()")
      },
      stream: { host, token, piece in
        let host = entered(host, "bus->stream()")
        if host.isRetired { return RETIRED }
        return host.stream(token, bytes(piece))
      },
      send: { host, _, target, method, payload in
        let host = entered(host, "bus->send()")
        if let status = host.refusal() { return status }
        guard json(payload, host, "sends \(string(method))") != nil, target.count > 0 else { return INVALID }
        return 0
      },
      ask: { host, cause, target, method, payload, milliseconds, part, done, context, request in
        ask(entered(host, "bus->ask()"), cause, target, method, payload, milliseconds, part, done, context, request)
      },
      subscribe: { host, topic in
        let host = entered(host, "bus->subscribe()")
        if let status = host.refusal() { return status }
        guard topic.count > 0 else { return INVALID }
        host.record.withLock { _ = $0.topics.insert(string(topic)) }
        return 0
      },
      unsubscribe: { host, topic in
        let host = entered(host, "bus->unsubscribe()")
        if let status = host.refusal() { return status }
        host.record.withLock { _ = $0.topics.remove(string(topic)) }
        return 0
      },
      progress: { host, token, step in progress(entered(host, "bus->progress()"), token, bytes(step)) },
      declare: { host, methods in declare(entered(host, "bus->declare()"), bytes(methods)) },
      ask_through: { host, cause, speaker, target, method, payload, milliseconds, part, done, context, request in
        let host = entered(host, "bus->ask_through()")
        guard speaker.count > 0 else { return INVALID }
        return ask(host, cause, target, method, payload, milliseconds, part, done, context, request)
      })
  }

  static func llm(_ shape: HostShape) -> persona_llm_v1 {
    persona_llm_v1(
      size: shape.size(persona_llm_v1.self),
      chat: { host, cause, question, _, part, done, context, request in
        let host = entered(host, "llm->chat()")
        if let status = host.refusal() { return status }
        guard let question = json(question, host, "asks the model"), !question.isEmpty else { return INVALID }
        return host.begin({ .init(number: $0, kind: .chat, cause: cause, part: part, done: done, context: context) }, request)
      },
      forget: { host, _ in
        let host = entered(host, "llm->forget()")
        return host.refusal() ?? 0
      })
  }

  static func rag(_ shape: HostShape) -> persona_rag_v1 {
    persona_rag_v1(
      size: shape.size(persona_rag_v1.self),
      perform: { host, cause, operation, arguments, done, context, request in
        let host = entered(host, "rag->perform()")
        if let status = host.refusal() { return status }
        guard let arguments = json(arguments, host, "asks the memory"), !arguments.isEmpty, operation.count > 0 else { return INVALID }
        let operation = string(operation)
        return host.begin(
          { .init(number: $0, kind: .memory, cause: cause, method: operation, part: nil, done: done, context: context) }, request)
      })
  }

  static func state(_ shape: HostShape) -> persona_state_v1 {
    persona_state_v1(
      size: shape.size(persona_state_v1.self),
      get: { host, key, into in
        let host = entered(host, "state->get()")
        if let status = host.refusal() { return status }
        guard let value = host.record.withLock({ $0.values[string(key)] }) else { return NOT_FOUND }
        return write(value, into)
      },
      put: { host, key, value in
        let host = entered(host, "state->put()")
        if let status = host.refusal() { return status }
        host.record.withLock { $0.values[string(key)] = bytes(value) }
        return 0
      },
      remove: { host, key in
        let host = entered(host, "state->remove()")
        if let status = host.refusal() { return status }
        host.record.withLock { $0.values[string(key)] = nil }
        return 0
      },
      keys: { host, prefix, into in
        let host = entered(host, "state->keys()")
        if let status = host.refusal() { return status }
        let keys = host.record.withLock { $0.values.keys.filter { $0.hasPrefix(string(prefix)) }.sorted() }
        return write(JSON.array(keys.map { .string($0) }).bytes, into)
      })
  }

  static func timer(_ shape: HostShape) -> persona_timer_v1 {
    persona_timer_v1(
      size: shape.size(persona_timer_v1.self),
      after: { host, milliseconds, done, context, request in
        let host = entered(host, "timer->after()")
        return host.begin(
          { .init(number: $0, kind: .timer, cause: 0, milliseconds: milliseconds, part: nil, done: done, context: context) }, request)
      })
  }

  static func log(_ shape: HostShape) -> persona_log_v1 {
    persona_log_v1(size: shape.size(persona_log_v1.self), write: { host, _, _ in _ = entered(host, "log->write()") })
  }

  static func config(_ shape: HostShape) -> persona_config_v1 {
    persona_config_v1(
      size: shape.size(persona_config_v1.self),
      get: { host, into in
        let host = entered(host, "config->get()")
        if let status = host.refusal() { return status }
        return write(host.record.withLock { $0.config }, into)
      })
  }
}

private let INVALID = Int32(PERSONA_E_INVALID)
private let RETIRED = Int32(PERSONA_E_RETIRED)
private let NOT_FOUND = Int32(PERSONA_E_NOT_FOUND)

// Global, because a C function pointer may capture nothing, not even its type.

/// Finds the host that a table's function was called with, and records the call.
private func entered(_ host: UnsafePointer<persona_host>, _ call: String, laneOnly: Bool = false) -> CheckHost {
  let host = CheckHost.of(host)
  host.entered(call, laneOnly: laneOnly)
  return host
}

/// `bus->ask` and `bus->ask_through`.
private func ask(
  _ host: CheckHost, _ cause: UInt64, _ target: persona_text, _ method: persona_text, _ payload: persona_text, _ milliseconds: UInt64,
  _ part: persona_part?, _ done: @escaping persona_done, _ context: UnsafeMutableRawPointer?, _ request: UnsafeMutablePointer<UInt64>
) -> persona_status {
  if let status = host.refusal() { return status }
  guard json(payload, host, "asks \(string(method))") != nil, target.count > 0 else { return INVALID }
  let (target, method) = (string(target), string(method))
  return host.begin(
    {
      .init(
        number: $0, kind: .ask, cause: cause, target: target, method: method, milliseconds: milliseconds, part: part, done: done,
        context: context)
    }, request)
}

/// `bus->progress`.
private func progress(_ host: CheckHost, _ token: UInt64, _ step: [UInt8]) -> persona_status {
  if host.isRetired { return RETIRED }
  guard let members = (try? JSON(parsing: step))?.object, members["kind"]?.string != nil else {
    host.log.fail("calls bus->progress() with what is no step: \(CheckText.short(step)); it takes a JSON object with a \"kind\"")
    return INVALID
  }
  return host.stream(token, step)
}

/// `bus->declare`.
private func declare(_ host: CheckHost, _ methods: [UInt8]) -> persona_status {
  if let status = host.refusal() { return status }
  do throws(About.Malformed) {
    _ = try [About.Method](declared: methods)
    return 0
  } catch {
    host.log.fail("calls bus->declare() with what it does not take: \(error.description)")
    return INVALID
  }
}

private func bytes(_ text: persona_text) -> [UInt8] {
  Array(UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : text.count))
}
private func string(_ text: persona_text) -> String { String(decoding: bytes(text), as: UTF8.self) }

/// The bytes of a payload; nil if they are not JSON, which is the persona's fault wherever it sends them. Empty is allowed.
private func json(_ text: persona_text, _ host: CheckHost, _ call: String) -> [UInt8]? {
  let bytes = bytes(text)
  if bytes.isEmpty || bytes.withUnsafeBytes(isJSONValue) { return bytes }
  host.log.fail("\(call) with what is no JSON: \(CheckText.short(bytes))")
  return nil
}

private func write(_ bytes: [UInt8], _ sink: UnsafePointer<persona_sink>) -> persona_status {
  bytes.withUnsafeBytes { sink.pointee.write(sink.pointee.context, $0.baseAddress, $0.count) }
}
