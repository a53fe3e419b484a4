import Foundation
import PersonaABI
import Synchronization

/// A kernel for one instance, played by a test: a lane, the C tables, and a record of what was called.
///
/// Requests end when the test says so. It is never freed, as persona.h demands of a host.
final class FakeKernel: @unchecked Sendable {
  enum Kind: Sendable { case reply, fail, stream, progress, declare, send, ask, subscribe, unsubscribe, chat, forget, after, log, cancel }

  /// One call into a table.
  struct Call: Sendable {
    var kind: Kind
    /// The token of reply, fail and stream, the cause of others.
    var token: UInt64 = 0
    var request: UInt64 = 0
    /// Of fail: the status; of ask: the deadline; of chat: streamTo; of after: milliseconds; of log: the level.
    var number: Int64 = 0
    var target = ""
    var method = ""
    var text = ""
    /// Of ask: as whose words the other is shown; empty: it is not.
    var speaker = ""
    var onLane = false
  }

  private struct Pending: @unchecked Sendable {
    var part: persona_part?
    var done: persona_done
    var context: UnsafeMutableRawPointer?
  }
  private struct Waiter {
    var matches: @Sendable (Call) -> Bool
    var continuation: CheckedContinuation<Call, Never>
  }
  private struct Record {
    var calls: [Call] = []
    var waiters: [Waiter] = []
    var pending: [UInt64: Pending] = [:]
    var lastRequest: UInt64 = 0
    var state: [String: String] = [:]
    var config: String
    var explanation = ""
    var retired = false
    var refusals: [Kind: Int32] = [:]
    var absent: Set<String> = []
  }
  private let record: Mutex<Record>
  let lane = FakeLane()
  /// What `service("puppet")` returns: the test's own door to its persona.
  let puppet: UnsafeRawPointer?
  private(set) var host: UnsafePointer<persona_host>!

  /// Plays a kernel of persona.h 1.0: its table of the bus ends where that version ended.
  let isOld: Bool

  init(config: String = "{\"name\":\"PUPPET\"}", puppet: AnyObject? = nil, isOld: Bool = false) {
    self.isOld = isOld
    record = Mutex(Record(config: config))
    self.puppet = puppet.map { UnsafeRawPointer(Unmanaged.passRetained($0).toOpaque()) }
    let host = UnsafeMutablePointer<persona_host>.allocate(capacity: 1)
    host.initialize(
      to: persona_host(
        size: UInt32(MemoryLayout<persona_host>.size), abi_major: 1, abi_minor: isOld ? 0 : 1,
        kernel: Unmanaged.passRetained(self).toOpaque(),
        service: { host, name in FakeKernel.of(host).service(String(cString: name)) },
        explain: { host, why in
          let text = FakeKernel.string(why)
          FakeKernel.of(host).record.withLock { $0.explanation = text }
        },
        post: { host, job, context in
          nonisolated(unsafe) let context = context
          let kernel = FakeKernel.of(host)
          return kernel.lane.run { job(context) } ? 0 : -3
        },
        cancel: { host, request in FakeKernel.of(host).note(Call(kind: .cancel, request: request)) }))
    self.host = UnsafePointer(host)
  }

  // MARK: What the test does

  /// The first call that fits and that nobody has taken, now or when it comes.
  func call(_ kind: Kind, where matches: @escaping @Sendable (Call) -> Bool = { _ in true }) async -> Call {
    await withCheckedContinuation { continuation in
      let found = record.withLock { record -> Call? in
        let fits: @Sendable (Call) -> Bool = { $0.kind == kind && matches($0) }
        if let at = record.calls.firstIndex(where: fits) { return record.calls.remove(at: at) }
        record.waiters.append(Waiter(matches: fits, continuation: continuation))
        return nil
      }
      if let found { continuation.resume(returning: found) }
    }
  }

  /// Calls that nobody has taken.
  func untaken(_ kind: Kind) -> [Call] { record.withLock { $0.calls.filter { $0.kind == kind } } }

  /// Ends a request, on the lane, if nothing has ended it.
  func end(_ request: UInt64, _ status: Int32 = 0, _ result: String = "") {
    lane.run { [self] in
      guard let pending = record.withLock({ $0.pending.removeValue(forKey: request) }) else { return }
      Self.lend(result) { pending.done(pending.context, request, status, $0) }
    }
  }

  /// A piece of a growing result.
  func piece(_ request: UInt64, _ text: String) {
    lane.run { [self] in
      guard let pending = record.withLock({ $0.pending[request] }) else { return }
      Self.lend(text) { pending.part?(pending.context, request, $0) }
    }
  }

  /// True if a request of that number could show pieces.
  func takesPieces(_ request: UInt64) -> Bool { record.withLock { $0.pending[request]?.part != nil } }
  var requestsInFlight: Int { record.withLock { $0.pending.count } }

  /// From now on calls of this kind return a status.
  func refuse(_ kind: Kind, _ status: Int32) { record.withLock { $0.refusals[kind] = status } }
  func withhold(_ service: String) { record.withLock { _ = $0.absent.insert(service) } }

  /// The generation is over: requests end with PERSONA_E_RETIRED, then calls and posts do.
  func retire() {
    let requests = record.withLock { record in
      record.retired = true
      return Array(record.pending.keys)
    }
    for request in requests { end(request, Int32(PERSONA_E_RETIRED), "this generation has been replaced") }
    lane.close()
  }

  var explanation: String { record.withLock { $0.explanation } }
  var state: [String: String] {
    get { record.withLock { $0.state } }
    set { record.withLock { $0.state = newValue } }
  }
  func set(config: String) { record.withLock { $0.config = config } }

  // MARK: What the persona calls

  private static func of(_ host: UnsafePointer<persona_host>) -> FakeKernel {
    Unmanaged<FakeKernel>.fromOpaque(host.pointee.kernel).takeUnretainedValue()
  }
  private static func string(_ text: persona_text) -> String {
    String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : text.count), as: UTF8.self)
  }
  static func lend<R>(_ text: String, _ body: (persona_text) -> R) -> R {
    var text = text
    return text.withUTF8 { raw in raw.withMemoryRebound(to: CChar.self) { body(persona_text(bytes: $0.baseAddress, count: $0.count)) } }
  }

  /// Records a call, hands it to who waits for it, and says how it went.
  @discardableResult
  private func note(_ call: Call) -> Int32 {
    var call = call
    call.onLane = lane.isCurrent
    let noted = call
    let (status, waiter) = record.withLock { record -> (Int32, Waiter?) in
      if record.retired, noted.kind != .cancel, noted.kind != .log { return (-3, nil) }
      let status = record.refusals[noted.kind] ?? 0
      if let at = record.waiters.firstIndex(where: { $0.matches(noted) }) { return (status, record.waiters.remove(at: at)) }
      record.calls.append(noted)
      return (status, nil)
    }
    waiter?.continuation.resume(returning: noted)
    return status
  }

  private func begin(
    _ call: Call, _ part: persona_part?, _ done: @escaping persona_done, _ context: UnsafeMutableRawPointer?,
    _ request: UnsafeMutablePointer<UInt64>
  ) -> Int32 {
    var call = call
    let pending = Pending(part: part, done: done, context: context)
    let status = record.withLock { record -> Int32 in
      if record.retired { return -3 }
      if let status = record.refusals[call.kind] { return status }
      record.lastRequest += 1
      call.request = record.lastRequest
      record.pending[call.request] = pending
      return 0
    }
    if status < 0 { return status }
    request.pointee = call.request
    return note(call)
  }

  private func service(_ name: String) -> UnsafeRawPointer? {
    if record.withLock({ $0.absent.contains(name) }) { return nil }
    return switch name {
    case "bus/1": UnsafeRawPointer(isOld ? Self.oldBus : Self.bus)
    case "llm/1": UnsafeRawPointer(Self.llm)
    case "state/1": UnsafeRawPointer(Self.state)
    case "timer/1": UnsafeRawPointer(Self.timer)
    case "log/1": UnsafeRawPointer(Self.log)
    case "config/1": UnsafeRawPointer(Self.config)
    case "puppet": puppet
    default: nil
    }
  }

  private static func keep<T>(_ value: T) -> UnsafePointer<T> {
    let pointer = UnsafeMutablePointer<T>.allocate(capacity: 1)
    pointer.initialize(to: value)
    return UnsafePointer(pointer)
  }

  /// Writes in two pieces, as a kernel may.
  private static func write(_ text: String, _ sink: UnsafePointer<persona_sink>) -> Int32 {
    let bytes = Array(text.utf8)
    for piece in [bytes[..<(bytes.count / 2)], bytes[(bytes.count / 2)...]] {
      let status = piece.withUnsafeBytes { sink.pointee.write(sink.pointee.context, $0.baseAddress, $0.count) }
      if status < 0 { return status }
    }
    return 0
  }

  private nonisolated(unsafe) static let oldBus = {
    var table = bus.pointee
    table.size = UInt32(MemoryLayout<persona_bus_v1>.offset(of: \.progress)!)
    return keep(table)
  }()

  private nonisolated(unsafe) static let bus = keep(
    persona_bus_v1(
      size: UInt32(MemoryLayout<persona_bus_v1>.size),
      reply: { of($0).note(Call(kind: .reply, token: $1, text: string($2))) },
      fail: { of($0).note(Call(kind: .fail, token: $1, number: Int64($2), text: string($3))) },
      stream: { of($0).note(Call(kind: .stream, token: $1, text: string($2))) },
      send: { of($0).note(Call(kind: .send, token: $1, target: string($2), method: string($3), text: string($4))) },
      ask: { host, cause, target, method, payload, deadline, part, done, context, request in
        let call = Call(
          kind: .ask, token: cause, number: Int64(clamping: deadline), target: string(target), method: string(method), text: string(payload)
        )
        return of(host).begin(call, part, done, context, request)
      },
      subscribe: { of($0).note(Call(kind: .subscribe, text: string($1))) },
      unsubscribe: { of($0).note(Call(kind: .unsubscribe, text: string($1))) },
      progress: { of($0).note(Call(kind: .progress, token: $1, text: string($2))) },
      declare: { of($0).note(Call(kind: .declare, text: string($1))) },
      ask_through: { host, cause, speaker, target, method, payload, deadline, part, done, context, request in
        let call = Call(
          kind: .ask, token: cause, number: Int64(clamping: deadline), target: string(target), method: string(method),
          text: string(payload), speaker: string(speaker))
        return of(host).begin(call, part, done, context, request)
      }))

  private nonisolated(unsafe) static let llm = keep(
    persona_llm_v1(
      size: UInt32(MemoryLayout<persona_llm_v1>.size),
      chat: { host, cause, question, streamTo, part, done, context, request in
        let call = Call(kind: .chat, token: cause, number: Int64(streamTo), text: string(question))
        return of(host).begin(call, part, done, context, request)
      },
      forget: { of($0).note(Call(kind: .forget, text: string($1))) }))

  private nonisolated(unsafe) static let state = keep(
    persona_state_v1(
      size: UInt32(MemoryLayout<persona_state_v1>.size),
      get: { host, key, sink in
        let key = string(key)
        let (retired, value) = of(host).record.withLock { ($0.retired, $0.state[key]) }
        if retired { return -3 }
        guard let value else { return -12 }
        return write(value, sink)
      },
      put: { host, key, value in
        let (key, value) = (string(key), string(value))
        return of(host).record.withLock {
          if $0.retired { return -3 }
          $0.state[key] = value
          return 0
        }
      },
      remove: { host, key in
        let key = string(key)
        return of(host).record.withLock {
          if $0.retired { return -3 }
          $0.state[key] = nil
          return 0
        }
      },
      keys: { host, prefix, sink in
        let prefix = string(prefix)
        let (retired, keys) = of(host).record.withLock { ($0.retired, $0.state.keys.filter { $0.hasPrefix(prefix) }.sorted()) }
        if retired { return -3 }
        return write("[" + keys.map { "\"\($0)\"" }.joined(separator: ",") + "]", sink)
      }))

  private nonisolated(unsafe) static let timer = keep(
    persona_timer_v1(
      size: UInt32(MemoryLayout<persona_timer_v1>.size),
      after: { host, milliseconds, done, context, request in
        of(host).begin(Call(kind: .after, number: Int64(clamping: milliseconds)), nil, done, context, request)
      }))

  private nonisolated(unsafe) static let log = keep(
    persona_log_v1(
      size: UInt32(MemoryLayout<persona_log_v1>.size),
      write: { _ = of($0).note(Call(kind: .log, number: Int64($1), text: string($2))) }))

  private nonisolated(unsafe) static let config = keep(
    persona_config_v1(
      size: UInt32(MemoryLayout<persona_config_v1>.size),
      get: { host, sink in
        let (retired, config) = of(host).record.withLock { ($0.retired, $0.config) }
        return retired ? -3 : write(config, sink)
      }))
}
