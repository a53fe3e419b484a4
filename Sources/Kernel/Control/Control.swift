import Glibc
import Protocol
import System
import Wire

/// `target: "KERNEL"`: what people and personas can ask of the kernel itself (docs/WIRE.md). Event loop only.
final class Control {
  typealias Completion = (Result<[UInt8], Failure>) -> Void

  private unowned let router: Router
  private unowned let supervisor: Supervisor
  private let version: String
  private let began = MachineClock.now()
  private var methods = MethodTable()

  init(router: Router, supervisor: Supervisor, version: String) {
    self.router = router
    self.supervisor = supervisor
    self.version = version
    addKernel()
    addTopics()
    PersonaMethods(supervisor: supervisor, router: router).add(to: &methods)
    ServiceMethods(supervisor: supervisor, router: router).add(to: &methods)
  }

  /// `client` is nil when a persona asks; `token` names the request, if there is one. The end may come at once or later, once.
  func handle(_ method: String, _ payload: [UInt8], from client: Connection?, token: UInt64 = 0, _ end: @escaping Completion) {
    methods.perform(method, MethodTable.Call(client: client, token: token, payload: payload, end: end))
  }

  /// The names of all personas, loaded or not.
  var personas: [String] { supervisor.slots.map(\.name) }

  func welcome(_ participant: Participant) -> [UInt8] {
    PayloadCoding.bytes(
      of: Welcome(
        version: version, name: participant.text, seq: router.counters.messages,
        limits: .init(
          frame_bytes: router.limits.frameBytes, queue_bytes: router.limits.queueBytes, hops: router.limits.hops,
          deadline_ms: router.limits.deadlineMilliseconds),
        personas: supervisor.slots.map {
          let status = $0.status
          return .init(name: status.name, summary: status.summary, generation: status.generation, talk: status.talk)
        }))
  }

  private func addKernel() {
    methods.answer(Ping.self) { _, _ in Nothing() }
    methods.answer(Stats.self) { [unowned self] _, _ in stats() }
    methods.answer(Tap.self) { [unowned self] tap, call in
      if let client = call.client { router.taps.set(client, tap.on) }
      return tap
    }
    methods.answer(Cancel.self) { [unowned self] cancel, call in
      .init(cancelled: call.client.map { router.requests.cancel(id: cancel.id.raw, of: $0) } ?? false)
    }
    methods.serve(Config.Reload.self) { [unowned self] request, call throws(Failure) in
      guard let reloader = supervisor.reloader else { throw Failure(.invalid, "this kernel was started without a personas.toml") }
      reloader.reload(libraries: request.libraries ?? [:]) { call.end($0.map { PayloadCoding.bytes(of: $0) }) }
    }
  }

  private func addTopics() {
    func name(_ topic: String) throws(Failure) -> [UInt8] {
      let name = Array((topic.hasPrefix("#") ? topic : "#" + topic).utf8)
      if name.count > NameLimits.word {
        throw Failure(.invalid, "a topic has at most \(NameLimits.word) bytes with its #, and this one has \(name.count)")
      }
      return name
    }
    func count(_ topic: String, _ subscribers: Int) -> Topics.Count {
      .init(topic: topic.hasPrefix("#") ? String(topic.dropFirst()) : topic, subscribers: subscribers)
    }
    methods.answer(Topics.Subscribe.self) { [unowned self] request, call throws(Failure) in
      let topic = try name(request.topic)
      guard let client = call.client else { return count(request.topic, 0) }
      guard client.topics.count < NameLimits.topics || client.topics.contains(topic) else {
        throw Failure(.queueFull, "you are subscribed to \(NameLimits.topics) topics, which is the most; unsubscribe from some")
      }
      return count(request.topic, router.topics.subscribe(client, to: topic))
    }
    methods.answer(Topics.Unsubscribe.self) { [unowned self] request, call throws(Failure) in
      let topic = try name(request.topic)
      return count(request.topic, call.client.map { router.topics.unsubscribe($0, from: topic) } ?? 0)
    }
    methods.answer(Topics.List.self) { [unowned self] _, _ in
      .init(topics: router.topics.counts.map { .init(topic: $0.topic, subscribers: $0.subscribers) })
    }
  }

  private func stats() -> Stats.Reply {
    func counters(_ json: [UInt8]?) -> JSON { json.flatMap { try? JSON(parsing: $0) } ?? .null }
    return Stats.Reply(
      uptime_s: Int((MachineClock.now() - began) / 1_000_000_000), version: version, pid: getpid(), memory_kb: Self.memoryKilobytes(),
      connections: router.connections.count, requests: router.requests.count, messages: router.counters.messages,
      errors: router.counters.errors,
      undelivered: router.counters.undelivered, stuck: supervisor.stuck, personas: supervisor.slots.map(\.status),
      llm: counters(supervisor.language?.statistics()), memory: counters(supervisor.memory?.statistics()))
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
