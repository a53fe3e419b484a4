import FoundationEssentials
import PersonaABI
import Synchronization

/// The C side of the kernel, made safe: every pointer of persona.h that PersonaKit calls is called here.
///
/// Valid for ever; after the generation's end its calls fail with PERSONA_E_RETIRED. Any thread.
final class HostReference: @unchecked Sendable {
  let host: UnsafePointer<persona_host>
  /// What `declare` was given last.
  let declared = Mutex<[DeclaredMethod]>([])
  private let bus: UnsafePointer<persona_bus_v1>?
  private let llm: UnsafePointer<persona_llm_v1>?
  private let rag: UnsafePointer<persona_rag_v1>?
  private let state: UnsafePointer<persona_state_v1>?
  private let timer: UnsafePointer<persona_timer_v1>?
  private let logTable: UnsafePointer<persona_log_v1>?
  private let configTable: UnsafePointer<persona_config_v1>?

  init(_ host: UnsafePointer<persona_host>) {
    self.host = host
    func table<T>(_ name: String, _ type: T.Type) -> UnsafePointer<T>? { host.pointee.service(host, name)?.assumingMemoryBound(to: type) }
    bus = table("bus/1", persona_bus_v1.self)
    llm = table("llm/1", persona_llm_v1.self)
    rag = table("rag/1", persona_rag_v1.self)
    state = table("state/1", persona_state_v1.self)
    timer = table("timer/1", persona_timer_v1.self)
    logTable = table("log/1", persona_log_v1.self)
    configTable = table("config/1", persona_config_v1.self)
  }

  /// Without the bus nothing could ever be answered.
  func checkBus() throws(KernelError) { if bus == nil { throw Self.absent("bus/1") } }

  /// The table of a service that this kit does not know, or nil.
  func service(_ name: String) -> UnsafeRawPointer? { host.pointee.service(host, name) }

  func post(_ work: @escaping () -> Void) -> Bool {
    final class Work {
      let run: () -> Void
      init(_ run: @escaping () -> Void) { self.run = run }
    }
    let box = Unmanaged.passRetained(Work(work))
    let status = host.pointee.post(host, { Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().run() }, box.toOpaque())
    if status < 0 { box.release() }
    return status >= 0
  }

  func explain(_ why: String) { Self.lend(why) { host.pointee.explain(host, $0) } }

  // MARK: Texts

  static func lend<R>(_ text: String, _ body: (persona_text) -> R) -> R {
    var text = text
    return text.withUTF8 { raw in raw.withMemoryRebound(to: CChar.self) { body(persona_text(bytes: $0.baseAddress, count: $0.count)) } }
  }

  static func string(_ text: persona_text) -> String {
    String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.bytes == nil ? 0 : text.count), as: UTF8.self)
  }

  private static func absent(_ service: String) -> KernelError {
    KernelError(
      Int32(PERSONA_E_NOT_FOUND), "this kernel has no service \(service); name it under needs in the about text to be told at load time")
  }

  private static func check(_ status: persona_status, _ what: String) throws(KernelError) {
    if status >= 0 { return }
    let why =
      switch Int(status) {
      case PERSONA_E_RETIRED: "this generation has been replaced"
      case PERSONA_E_INVALID: "\(what): an argument is not what it takes"
      case PERSONA_E_NOT_FOUND: "\(what): there is no such thing"
      case PERSONA_E_TOO_LONG: "\(what): too long"
      default: "\(what) failed with status \(status)"
      }
    throw KernelError(status, why)
  }

  // MARK: Bus

  func reply(_ token: UInt64, _ payload: JSON?) {
    guard let bus else { return }
    let status = Self.lend(payload?.text ?? "") { bus.pointee.reply(host, token, $0) }
    // A token that has ended meanwhile is nobody's fault: the asker has gone. But what the kernel does
    // not take (nested too deeply, too long) must not leave the asker waiting.
    if status >= 0 || status == PERSONA_E_NOT_FOUND || status == PERSONA_E_RETIRED { return }
    fail(token, KernelError(status, "the kernel does not take the reply (status \(status)): it is nested more than 60 deep, or too long"))
  }

  func fail(_ token: UInt64, _ error: KernelError) {
    guard let bus else { return }
    _ = Self.lend(error.message) { bus.pointee.fail(host, token, error.status, $0) }
  }

  func stream(_ token: UInt64, _ piece: String) {
    guard let bus else { return }
    _ = Self.lend(piece) { bus.pointee.stream(host, token, $0) }
  }

  /// A kernel of minor version 0 has no steps: of a part it gets the text.
  func progress(_ token: UInt64, _ step: Progress) {
    guard let bus else { return }
    guard Self.hasSteps(bus) else {
      if case .part(_, let text) = step { stream(token, text) }
      return
    }
    _ = Self.lend(step.json.text) { bus.pointee.progress(host, token, $0) }
  }

  func declare(_ methods: JSON) throws(KernelError) {
    guard let bus else { throw Self.absent("bus/1") }
    guard Self.hasSteps(bus) else {
      throw KernelError(Int32(PERSONA_E_NOT_FOUND), "this kernel is older than persona.h 1.1 and has no bus->declare")
    }
    try Self.check(Self.lend(methods.text) { bus.pointee.declare(host, $0) }, "declare")
  }

  /// PERSONA_HAS for all that minor version 1 has appended to the table: the functions at its end.
  private static func hasSteps(_ bus: UnsafePointer<persona_bus_v1>) -> Bool {
    Int(bus.pointee.size) >= MemoryLayout<persona_bus_v1>.size
  }

  func send(_ target: String, _ method: String, _ payload: JSON) throws(KernelError) {
    guard let bus else { throw Self.absent("bus/1") }
    let cause = BatGram.current?.token ?? 0
    try Self.check(
      Self.lend(target) { target in
        Self.lend(method) { method in Self.lend(payload.text) { bus.pointee.send(host, cause, target, method, $0) } }
      }, "send to \(target)")
  }

  nonisolated(nonsending) func ask(
    _ target: String, _ method: String, _ payload: JSON, deadline: Duration?, through: (token: UInt64, speaker: String)? = nil,
    onPiece: (@Sendable (String) -> Void)?
  ) async throws -> String {
    guard let bus else { throw Self.absent("bus/1") }
    let cause = through?.token ?? BatGram.current?.token ?? 0
    let canShow = Self.hasSteps(bus)
    let milliseconds = deadline.map { max(1, Self.milliseconds($0)) } ?? 0
    let part: persona_part? = onPiece == nil ? nil : Self.part
    return try await request("ask \(target)", onPiece: onPiece) { done, context, request in
      Self.lend(target) { target in
        Self.lend(method) { method in
          Self.lend(payload.text) { payload in
            guard let through, canShow else {
              return bus.pointee.ask(self.host, cause, target, method, payload, milliseconds, part, done, context, &request)
            }
            return Self.lend(through.speaker) {
              bus.pointee.ask_through(self.host, cause, $0, target, method, payload, milliseconds, part, done, context, &request)
            }
          }
        }
      }
    }
  }

  func subscribe(_ topic: String, _ on: Bool) throws(KernelError) {
    guard let bus else { throw Self.absent("bus/1") }
    try Self.check(Self.lend(topic) { on ? bus.pointee.subscribe(host, $0) : bus.pointee.unsubscribe(host, $0) }, "subscribe \(topic)")
  }

  // MARK: Language model

  nonisolated(nonsending) func chat(_ question: JSON, streamTo: UInt64, onPiece: (@Sendable (String) -> Void)?) async throws -> String {
    guard let llm else { throw Self.absent("llm/1") }
    let cause = BatGram.current?.token ?? 0
    let text = question.text
    let part: persona_part? = onPiece == nil ? nil : Self.part
    return try await request("chat", onPiece: onPiece) { done, context, request in
      Self.lend(text) { llm.pointee.chat(self.host, cause, $0, streamTo, part, done, context, &request) }
    }
  }

  func forget(_ thread: String) throws(KernelError) {
    guard let llm else { throw Self.absent("llm/1") }
    try Self.check(Self.lend(thread) { llm.pointee.forget(host, $0) }, "forget \(thread)")
  }

  // MARK: Memory

  nonisolated(nonsending) func remember(_ operation: String, _ arguments: JSON) async throws -> JSON {
    guard let rag else { throw Self.absent("rag/1") }
    let cause = BatGram.current?.token ?? 0
    let text = arguments.text
    let result = try await request("rag \(operation)") { done, context, request in
      Self.lend(operation) { operation in Self.lend(text) { rag.pointee.perform(self.host, cause, operation, $0, done, context, &request) }
      }
    }
    return try JSON(parsing: result.utf8)
  }

  // MARK: State, timer, log, config

  func stateValue(_ key: String) throws(KernelError) -> String? {
    guard let state else { throw Self.absent("state/1") }
    let (status, text) = collect { sink in Self.lend(key) { state.pointee.get(host, $0, sink) } }
    if status == PERSONA_E_NOT_FOUND { return nil }
    try Self.check(status, "get \(key)")
    return text
  }

  func setState(_ key: String, _ value: String?) throws(KernelError) {
    guard let state else { throw Self.absent("state/1") }
    try Self.check(
      Self.lend(key) { key in value.map { Self.lend($0) { state.pointee.put(host, key, $0) } } ?? state.pointee.remove(host, key) },
      "put \(key)")
  }

  func stateKeys(_ prefix: String) throws(KernelError) -> String {
    guard let state else { throw Self.absent("state/1") }
    let (status, text) = collect { sink in Self.lend(prefix) { state.pointee.keys(host, $0, sink) } }
    try Self.check(status, "keys")
    return text
  }

  nonisolated(nonsending) func sleep(_ duration: Duration) async throws {
    guard let timer else { throw Self.absent("timer/1") }
    let milliseconds = Self.milliseconds(duration)
    _ = try await request("sleep") { done, context, request in timer.pointee.after(self.host, milliseconds, done, context, &request) }
  }

  /// Rounded up; at most as much as fits an Int64, at least none.
  private static func milliseconds(_ duration: Duration) -> UInt64 {
    UInt64(min(max(0, (duration / .milliseconds(1)).rounded(.up)), 0x1p62))
  }

  func log(_ level: Int32, _ line: String) {
    guard let logTable else { return }
    Self.lend(line) { logTable.pointee.write(host, level, $0) }
  }

  func config() -> String {
    guard let configTable else { return "{}" }
    let (status, text) = collect { configTable.pointee.get(host, $0) }
    return status < 0 ? "{}" : text
  }

  private func collect(_ call: (UnsafePointer<persona_sink>) -> persona_status) -> (persona_status, String) {
    final class Bytes { var all: [UInt8] = [] }
    let bytes = Bytes()
    var sink = persona_sink(context: Unmanaged.passUnretained(bytes).toOpaque()) { context, source, count in
      if count > 0 {
        Unmanaged<Bytes>.fromOpaque(context!).takeUnretainedValue().all.append(
          contentsOf: UnsafeRawBufferPointer(start: source, count: count))
      }
      return 0
    }
    let status = withExtendedLifetime(bytes) { call(&sink) }
    return (status, String(decoding: bytes.all, as: UTF8.self))
  }

  // MARK: Requests

  /// One request until its completion; the kernel holds it by the context pointer.
  private final class Completion: Sendable {
    enum State {
      case waiting(CheckedContinuation<String, any Error>)
      case ended
    }
    let state: Mutex<State>
    let onPiece: (@Sendable (String) -> Void)?
    init(_ continuation: CheckedContinuation<String, any Error>, _ onPiece: (@Sendable (String) -> Void)?) {
      state = Mutex(.waiting(continuation))
      self.onPiece = onPiece
    }

    func end(_ result: Result<String, any Error>) {
      let waiting = state.withLock { state -> CheckedContinuation<String, any Error>? in
        guard case .waiting(let continuation) = state else { return nil }
        state = .ended
        return continuation
      }
      waiting?.resume(with: result)
    }
  }

  private static let part: persona_part = { context, _, piece in
    Unmanaged<Completion>.fromOpaque(context!).takeUnretainedValue().onPiece?(HostReference.string(piece))
  }

  private typealias Start = (_ done: @escaping persona_done, _ context: UnsafeMutableRawPointer, _ request: inout UInt64) -> persona_status

  /// Starts a request and waits for its one completion; a cancelled task cancels it.
  ///
  /// `isolation` is the caller's. It is a parameter, and the closure holds it, because a closure that is
  /// not isolated leaves the lane for the shared pool, and (Swift 6.3) a `nonisolated(nonsending)` function
  /// around it would return to the caller there.
  private func request(
    _ what: String, isolation: isolated (any Actor)? = #isolation, onPiece: (@Sendable (String) -> Void)? = nil, _ start: Start
  ) async throws -> String {
    try Task.checkCancellation()
    // Whichever of the two comes second, the start or the cancel, sees the other.
    let cancelling = Mutex((request: UInt64(0), wanted: false))
    return try await withTaskCancellationHandler {
      _ = isolation
      return try await withCheckedThrowingContinuation { continuation in
        let completion = Unmanaged.passRetained(Completion(continuation, onPiece))
        var request: UInt64 = 0
        let status = start(
          { context, _, status, result in
            let completion = Unmanaged<Completion>.fromOpaque(context!).takeRetainedValue()
            let text = HostReference.string(result)
            completion.end(status < 0 ? .failure(KernelError(status, text)) : .success(text))
          }, completion.toOpaque(), &request)
        if status < 0 {
          let taken = completion.takeRetainedValue()
          do throws(KernelError) {
            try Self.check(status, what)
          } catch {
            taken.end(.failure(error))
          }
          return
        }
        let cancelled = cancelling.withLock { state in
          state.request = request
          return state.wanted
        }
        if cancelled { host.pointee.cancel(host, request) }
      }
    } onCancel: {
      let request = cancelling.withLock { state in
        state.wanted = true
        return state.request
      }
      if request != 0 { host.pointee.cancel(host, request) }
    }
  }
}
