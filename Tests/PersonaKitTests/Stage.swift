import PersonaABI
import PersonaKit
import Synchronization

/// A persona whose every part is a closure of the test.
actor Puppet: Persona {
  static let about: About = """
    bat-persona 1
    name = PUPPET
    version = 1.0
    summary = Does = what the test says
    state = 3 reads 1
    config.names = strings, ["a, b", "c"], whom to ask
    config.limit = integer, 5, how many
    config.key = string, none, where its data is
    """
  let kernel: KernelHandle
  nonisolated let strings: Strings

  /// What the test has given it to do. Shared by the instances of one test.
  final class Strings: @unchecked Sendable {
    var create: @Sendable (KernelHandle) throws -> Void = { _ in }
    var receive: @Sendable (isolated Puppet, BatGram) async throws -> JSON? = { _, gram in gram.payload }
    var start: @Sendable (isolated Puppet) async throws -> Void = { _ in }
    var stop: @Sendable (isolated Puppet) -> Void = { _ in }
    var configChanged: @Sendable (isolated Puppet) throws -> Void = { _ in }
    var save: @Sendable (isolated Puppet) throws -> JSON? = { _ in nil }
    var load: @Sendable (isolated Puppet, JSON, Int) throws -> Void = { _, _, _ in }
    var health: @Sendable (isolated Puppet) throws -> Void = { _ in }
    /// How many instances have gone.
    let gone = Tally()
  }

  /// For the tests' use.
  var notes: [String] = []
  func note(_ text: String) { notes.append(text) }
  /// Traps off the lane.
  nonisolated func assume() { assumeIsolated { $0.note("here") } }

  init(kernel: KernelHandle) throws {
    self.kernel = kernel
    strings = Unmanaged<Strings>.fromOpaque(kernel.service(named: "puppet")!).takeUnretainedValue()
    try strings.create(kernel)
  }
  deinit { strings.gone.add() }

  func receive(_ gram: BatGram) async throws -> JSON? { try await strings.receive(self, gram) }
  func start() async throws { try await strings.start(self) }
  func stop() { strings.stop(self) }
  func configChanged() throws { try strings.configChanged(self) }
  func save() throws -> JSON? { try strings.save(self) }
  func load(_ state: JSON, schema: Int) throws { try strings.load(self, state, schema) }
  func health() throws { try strings.health(self) }
  func table(named name: String) -> UnsafeRawPointer? { name == "puppet/1" ? UnsafeRawPointer(bitPattern: 16) : nil }
}

/// Counts, and lets a test wait for a count.
final class Tally: Sendable {
  private struct State {
    var count = 0
    var waiters: [(Int, CheckedContinuation<Void, Never>)] = []
  }
  private let state = Mutex(State())

  var count: Int { state.withLock { $0.count } }

  func add() {
    let ready = state.withLock { state in
      state.count += 1
      let ready = state.waiters.filter { $0.0 <= state.count }
      state.waiters.removeAll { $0.0 <= state.count }
      return ready
    }
    for (_, continuation) in ready { continuation.resume() }
  }

  func reaches(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let now = state.withLock { state in
        if state.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if now { continuation.resume() }
    }
  }
}

/// An instance of a persona on a kernel that the test plays; every call is made on the lane.
final class Stage: @unchecked Sendable {
  let kernel: FakeKernel
  private let entry: UnsafePointer<persona_entry>
  private var persona: OpaquePointer?

  init(_ kernel: FakeKernel, entry: UnsafePointer<persona_entry>) {
    self.kernel = kernel
    self.entry = entry
  }

  /// A puppet, created.
  static func puppet(_ pull: (Puppet.Strings) -> Void = { _ in }) async -> Stage {
    let strings = Puppet.Strings()
    pull(strings)
    let stage = Stage(FakeKernel(puppet: strings), entry: export(Puppet.self))
    let status = await stage.create()
    precondition(status == 0, stage.kernel.explanation)
    return stage
  }

  var strings: Puppet.Strings { Unmanaged<Puppet.Strings>.fromOpaque(kernel.puppet!).takeUnretainedValue() }
  var vtable: persona_vtable { entry.pointee.vtable.pointee }

  func create() async -> Int32 {
    await kernel.lane.call { [self] in
      FakeKernel.lend("{}") { entry.pointee.create(kernel.host, $0, &persona) }
    }
  }
  func start() async -> Int32 { await kernel.lane.call { [self] in vtable.start!(persona!) } }
  func cancelled(_ token: UInt64) async { await kernel.lane.call { [self] in vtable.cancelled!(persona!, token) } }
  func stop() async { await kernel.lane.call { [self] in vtable.stop!(persona!) } }
  func destroy() async {
    await kernel.lane.call { [self] in
      vtable.destroy!(persona!)
      persona = nil
    }
  }
  func health() async -> Int32 { await kernel.lane.call { [self] in vtable.health!(persona!) } }
  func table(_ name: String) async -> UInt? {
    await kernel.lane.call { [self] in vtable.extension!(persona!, name).map { UInt(bitPattern: $0) } }
  }
  func configChanged() async -> Int32 {
    await kernel.lane.call { [self] in FakeKernel.lend("{}") { vtable.config_changed!(persona!, $0) } }
  }
  func load(_ state: String, schema: UInt32) async -> Int32 {
    await kernel.lane.call { [self] in FakeKernel.lend(state) { vtable.load!(persona!, schema, $0) } }
  }
  func save() async -> (status: Int32, text: String) {
    await kernel.lane.call { [self] in
      final class Bytes { var all: [UInt8] = [] }
      let bytes = Bytes()
      var sink = persona_sink(context: Unmanaged.passUnretained(bytes).toOpaque()) { context, source, count in
        Unmanaged<Bytes>.fromOpaque(context!).takeUnretainedValue().all += Array(UnsafeRawBufferPointer(start: source, count: count))
        return 0
      }
      let status = withExtendedLifetime(bytes) { vtable.save!(persona!, &sink) }
      return (status, String(decoding: bytes.all, as: UTF8.self))
    }
  }

  /// Hands it a gram, and returns what `receive` returned.
  @discardableResult
  func gram(
    _ token: UInt64, _ payload: String = "null", method: String = "talk", source: String = "visitor", topic: String = "",
    trace: String = "",
    deadline: UInt64 = 0, flags: Int = 3
  ) async -> Int32 {
    await kernel.lane.call { [self] in give(token, payload, method, source, topic, trace, deadline, flags) }
  }

  /// On the lane.
  func give(
    _ token: UInt64, _ payload: String = "null", _ method: String = "talk", _ source: String = "visitor", _ topic: String = "",
    _ trace: String = "",
    _ deadline: UInt64 = 0, _ flags: Int = 3
  ) -> Int32 {
    FakeKernel.lend(payload) { payload in
      FakeKernel.lend(method) { method in
        FakeKernel.lend(source) { source in
          FakeKernel.lend(topic) { topic in
            FakeKernel.lend(trace) { trace in
              var gram = persona_gram_v1(
                token: token, source: source, method: method, payload: payload, topic: topic, trace: trace, deadline_ms: deadline,
                flags: UInt32(flags), hops: 2)
              return vtable.receive!(persona!, &gram)
            }
          }
        }
      }
    }
  }
}
