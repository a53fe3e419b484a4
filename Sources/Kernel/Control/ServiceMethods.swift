import Protocol

/// The methods that the language model and the memory answer. Event loop only.
struct ServiceMethods {
  unowned let supervisor: Supervisor
  unowned let router: Router

  func add(to methods: inout MethodTable) {
    for method in KernelMethods.memory {
      let operation = String(method.method.name.dropFirst("memory.".count))
      methods.pass(method) { [self] call throws(Failure) in try remember(operation, call) }
    }
    methods.serve(Models.List.self) { [self] request, call throws(Failure) in
      try language().models(of: request.provider, done: onLoop(call.end))
    }
    methods.serve(History.List.self) { [self] request, call throws(Failure) in try history(.list(persona: request.persona), call) }
    methods.serve(History.Get.self) { [self] request, call throws(Failure) in
      try history(.get(persona: request.persona, thread: try Self.thread(request.thread), last: try Self.last(request.last)), call)
    }
    methods.serve(History.Export.self) { [self] request, call throws(Failure) in
      let last = try Self.last(request.last)
      try history(
        .export(persona: request.persona, thread: try Self.thread(request.thread), last: last, request.format ?? .json), call)
    }
    methods.serve(History.Forget.self) { [self] request, call throws(Failure) in
      try history(.forget(persona: request.persona, thread: request.thread), call)
    }
  }

  /// What persona.h calls it when nothing is said.
  private static func thread(_ name: String?) throws(Failure) -> String {
    if let name, let refusal = NameLimits.refusal(ofThread: name) { throw Failure(.invalid, refusal) }
    return name ?? "main"
  }

  private static func last(_ count: Int?) throws(Failure) -> Int? {
    if let count, count < 1 { throw Failure(.invalid, "\"last\" is \(count); it must be 1 or more") }
    return count
  }

  private func language() throws(Failure) -> any LanguageService {
    guard let language = supervisor.language else { throw Failure(.llmUnreachable, "this kernel runs without a language model") }
    return language
  }

  /// A connected client is the user, who may do everything. A persona uses rag/1.
  private func remember(_ operation: String, _ call: MethodTable.Call) throws(Failure) {
    guard let memory = supervisor.memory else { throw Failure(.unknownTarget, "this kernel runs without a memory") }
    let request = MemoryRequest(
      actor: .client(call.client?.participant?.text ?? ""), operation: operation,
      arguments: call.payload.isEmpty ? Array("{}".utf8) : call.payload)
    let end = fitting(call.end, "ask for fewer documents at once, with \"limit\"")
    memory.perform(request) { end($0.map(\.json)) }
  }

  private func history(_ request: HistoryRequest, _ call: MethodTable.Call) throws(Failure) {
    try language().history(request, onEnd: fitting(call.end, "ask for fewer turns, with \"last\""))
  }

  /// As `onLoop`; a reply that is too long for a line is refused, with what to do.
  private func fitting(_ end: @escaping (Result<[UInt8], Failure>) -> Void, _ advice: String)
    -> @Sendable (Result<[UInt8], Failure>) -> Void
  {
    let limit = max(router.limits.frameBytes - 4096, router.limits.frameBytes / 2)
    let end = onLoop(end)
    return { result in
      if case .success(let json) = result, json.count > limit {
        return end(.failure(Failure(.tooLong, "the reply has \(json.count) bytes, too many for one line: \(advice)")))
      }
      end(result)
    }
  }

  /// For services, which end their calls on threads of their own.
  private func onLoop(_ end: @escaping (Result<[UInt8], Failure>) -> Void) -> @Sendable (Result<[UInt8], Failure>) -> Void {
    let box = LoopOnly(end)
    let inbox = supervisor.inbox
    return { result in inbox.post { _ in box.value(result) } }
  }
}
