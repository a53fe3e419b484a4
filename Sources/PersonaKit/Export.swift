import FoundationEssentials
import PersonaABI
import Synchronization

@_exported import struct PersonaABI.persona_entry

/// The entry of a library that holds one persona: what its one exported function returns.
///
///     @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Lucius.self) }
public func export<P: Persona>(_ type: P.Type) -> UnsafePointer<persona_entry> {
  // The C functions know no types: they reach the persona's through `Registration`, which is this library's own.
  Registration.shared.withLock { registration in
    if let entry = registration.entry { return entry }
    registration.make = { host, executor in
      try host.checkBus()
      let kernel = KernelHandle(host: host, lane: executor, about: P.about)
      return Instance(try P(kernel: kernel), host, executor)
    }
    let entry = UnsafeMutablePointer<persona_entry>.allocate(capacity: 1)
    // Raw memory of the size that this file was compiled with: in the process there may be libraries of another minor version, and Swift
    // has one description of a C struct for all of them, with the size that was seen first.
    let vtable = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<persona_vtable>.size, alignment: 16)
      .assumingMemoryBound(to: persona_vtable.self)
    vtable.pointee = Instance.vtable
    entry.initialize(
      to: persona_entry(
        magic: UInt32(PERSONA_MAGIC), size: UInt32(MemoryLayout<persona_entry>.size), abi_major: UInt16(PERSONA_ABI_MAJOR),
        abi_minor: UInt16(PERSONA_ABI_MINOR), reserved: 0,
        about: UnsafeRawPointer(P.about.text.utf8Start).assumingMemoryBound(to: CChar.self), vtable: vtable,
        create: { host, _, made in
          let reference = HostReference(host)
          guard let make = Registration.shared.withLock({ $0.make }) else { return Int32(PERSONA_E_FAILED) }
          let executor = LaneExecutor(reference)
          executor.entered()
          do {
            made.pointee = OpaquePointer(Unmanaged.passRetained(try make(reference, executor)).toOpaque())
            return 0
          } catch {
            let error = KernelError.crossing(error)
            reference.explain(error.message)
            return error.status
          }
        }))
    registration.entry = UnsafePointer(entry)
    return UnsafePointer(entry)
  }
}

/// What `export` has set up, once for each opening of the library.
private struct Registration: @unchecked Sendable {
  var entry: UnsafePointer<persona_entry>?
  var make: (@Sendable (HostReference, LaneExecutor) throws -> Instance)?
  static let shared = Mutex(Registration())
}

/// One instance as the kernel holds it: the actor, and its tasks. Lane only, but for what is guarded.
private final class Instance: @unchecked Sendable {
  private let persona: any Persona
  private let host: HostReference
  /// Outlives the actor's last job.
  private let executor: LaneExecutor
  private struct Tasks {
    var last: UInt64 = 0
    var running: [UInt64: Task<Void, Never>] = [:]
    /// Tasks that ended before they were noted.
    var ended: Set<UInt64> = []
    /// The tasks that work on grams, by token.
    var byToken: [UInt64: UInt64] = [:]
  }
  private let tasks = Mutex(Tasks())
  private let startProblem = Mutex<KernelError?>(nil)

  init(_ persona: any Persona, _ host: HostReference, _ executor: LaneExecutor) {
    self.persona = persona
    self.host = host
    self.executor = executor
  }

  static func of(_ pointer: OpaquePointer) -> Instance { Unmanaged<Instance>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue() }

  static let vtable = persona_vtable(
    size: UInt32(MemoryLayout<persona_vtable>.size),
    destroy: { Unmanaged<Instance>.fromOpaque(UnsafeRawPointer($0)).takeRetainedValue().executor.left() },
    receive: { pointer, gram in Instance.of(pointer).receive(gram.pointee) },
    start: { Instance.of($0).start() },
    stop: { Instance.of($0).stop() },
    config_changed: { pointer, _ in Instance.of(pointer).guarded { try $0.configChanged() } },
    save: { pointer, sink in
      let instance = Instance.of(pointer)
      var text: String?
      let status = instance.guarded { text = try $0.save()?.text }
      if status < 0 { return status }
      return HostReference.lend(text ?? "null") { sink.pointee.write(sink.pointee.context, $0.bytes, $0.count) }
    },
    load: { pointer, schema, state in
      let text = HostReference.string(state)
      return Instance.of(pointer).guarded {
        let state: JSON
        do { state = try JSON(parsing: text.utf8) } catch {
          throw KernelError(Int32(PERSONA_E_STATE), "the state of the generation before cannot be read: \(error)")
        }
        if state != .null { try $0.load(state, schema: Int(schema)) }
      }
    },
    health: { Instance.of($0).health() },
    extension: { Instance.of($0).table($1) },
    cancelled: { Instance.of($0).cancelled($1) })

  private func receive(_ gram: persona_gram_v1) -> persona_status {
    let payload: JSON
    do { payload = try JSON(parsing: UnsafeRawBufferPointer(start: gram.payload.bytes, count: gram.payload.count)) } catch {
      host.explain("the payload cannot be read: \(error)")
      return Int32(PERSONA_E_INVALID)
    }
    let gram = BatGram(
      source: HostReference.string(gram.source), method: HostReference.string(gram.method), payload: payload,
      topic: HostReference.string(gram.topic), trace: HostReference.string(gram.trace),
      wantsReply: Int(gram.flags) & PERSONA_GRAM_WANTS_REPLY != 0,
      wantsStream: Int(gram.flags) & PERSONA_GRAM_WANTS_STREAM != 0, hops: Int(clamping: gram.hops),
      timeLeft: gram.deadline_ms == 0 ? nil : .milliseconds(gram.deadline_ms), token: gram.token, host: host)
    let host = host
    BatGram.$current.withValue(gram) {
      run(persona, token: gram.token) { persona in
        do {
          let reply = try await persona.receive(gram)
          host.reply(gram.token, reply)
        } catch {
          host.fail(gram.token, KernelError.crossing(error))
        }
      }
    }
    return Int32(PERSONA_LATER)
  }

  private func start() -> persona_status {
    let host = host
    run(persona) { [self] persona in
      do { try await persona.start() } catch {
        let error = KernelError.crossing(error)
        if error.isCancelled { return }
        host.log(Int32(PERSONA_LOG_ERROR), "start failed: \(error.message)")
        startProblem.withLock { $0 = error }
      }
    }
    // What was thrown before the first await refuses the load; what comes later fails the health check.
    guard let problem = startProblem.withLock({ $0 }) else { return 0 }
    host.explain("start failed: \(problem.message)")
    return problem.status
  }

  /// A task that begins now, on the lane, so that grams begin in the order of their coming.
  private func run<P: Persona>(_ persona: P, token: UInt64? = nil, _ body: @escaping @Sendable (isolated P) async -> Void) {
    let number = tasks.withLock { tasks in
      tasks.last += 1
      if let token { tasks.byToken[token] = tasks.last }
      return tasks.last
    }
    let task = persona.assumeIsolated { persona in
      Task.immediate { [self] in
        await body(persona)
        tasks.withLock { tasks in
          if let token { tasks.byToken[token] = nil }
          if tasks.running.removeValue(forKey: number) == nil { tasks.ended.insert(number) }
        }
      }
    }
    tasks.withLock { tasks in if tasks.ended.remove(number) == nil { tasks.running[number] = task } }
  }

  /// Nobody waits for the gram any more.
  private func cancelled(_ token: UInt64) {
    let task = tasks.withLock { tasks in tasks.byToken[token].flatMap { tasks.running[$0] } }
    task?.cancel()
  }

  private func stop() {
    _ = guarded { $0.stop() }
    let running = tasks.withLock { Array($0.running.values) }
    for task in running { task.cancel() }
  }

  private func health() -> persona_status {
    if let problem = startProblem.withLock({ $0 }) {
      host.explain("start failed: \(problem.message)")
      return problem.status
    }
    return guarded { try $0.health() }
  }

  private func table(_ name: UnsafePointer<CChar>) -> UnsafeRawPointer? {
    let name = String(cString: name)
    nonisolated(unsafe) var table: UnsafeRawPointer?
    _ = guarded { table = $0.table(named: name) }
    return table
  }

  /// Runs a synchronous part of the persona, on the lane, and tells the kernel what it throws.
  private func guarded(_ body: (isolated any Persona) throws -> Void) -> persona_status {
    do {
      try call(persona, body)
      return 0
    } catch {
      let error = KernelError.crossing(error)
      host.explain(error.message)
      return error.status
    }
  }

  private func call<P: Persona>(_ persona: P, _ body: (isolated any Persona) throws -> Void) throws {
    // We are on the lane, which is the actor's executor: nothing is sent anywhere.
    nonisolated(unsafe) let body = body
    try persona.assumeIsolated { try body($0) }
  }
}
