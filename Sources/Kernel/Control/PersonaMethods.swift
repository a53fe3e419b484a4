import Protocol

/// `personas.*` and `recordings.*`. Event loop only.
struct PersonaMethods {
  unowned let supervisor: Supervisor
  unowned let router: Router

  func add(to methods: inout MethodTable) {
    methods.answer(Personas.List.self) { [self] _, _ in .init(personas: supervisor.slots.map(\.status)) }
    methods.answer(Personas.Show.self) { [self] request, _ throws(Failure) in try slot(request.name).details }
    methods.serve(Personas.Load.self) { [self] request, call throws(Failure) in
      try slot(request.name).load(.file(), force: false) { call.end($0) }
    }
    methods.serve(Personas.Reload.self) { [self] request, call throws(Failure) in try reload(request, call) }
    methods.serve(Personas.Rollback.self) { [self] request, call throws(Failure) in
      try slot(request.name).rollBack(reason: nil) { call.end($0) }
    }
    methods.serve(Personas.Unload.self) { [self] request, call throws(Failure) in try slot(request.name).unload { call.end($0) } }
    methods.serve(Personas.Shadow.self) { [self] request, call throws(Failure) in
      if let library = request.library { try checkAbsolute(library) }
      let cancellation = try slot(request.name).shadow(last: request.last ?? 20, path: request.library, done: call.end)
      router.requests.request(call.token)?.onEnd = { cancellation.cancel() }
    }
    methods.serve(Personas.Promote.self) { [self] request, call throws(Failure) in
      try slot(request.name).promote { call.end($0.map { PayloadCoding.bytes(of: $0) }) }
    }
    methods.answer(Personas.Drop.self) { [self] request, _ throws(Failure) in
      try slot(request.name).dropShadow()
      return Nothing()
    }
    methods.serve(Recordings.Get.self) { [self] request, call throws(Failure) in
      let choice: Recorder.Choice =
        if let token = request.token {
          .token(token)
        } else {
          request.failed == true ? .lastFailed(request.last ?? 1) : .last(request.last ?? 1)
        }
      try slot(request.name).capture(choice, call.end)
    }
    methods.serve(Recordings.List.self) { [self] request, call throws(Failure) in
      call.end(.success(try slot(request.name).list(last: request.last ?? .max)))
    }
  }

  private func slot(_ name: String) throws(Failure) -> PersonaSlot {
    if let slot = supervisor.slot(name) { return slot }
    let near = name.utf8.count > 64 ? nil : Suggestion.nearest(to: name, among: supervisor.slots.map(\.name))
    throw Failure(.unknownTarget, "there is no persona \(name.prefix(64)) in personas.toml\(near.map { "; did you mean \($0)?" } ?? "")")
  }

  private func checkAbsolute(_ library: String) throws(Failure) {
    if !library.hasPrefix("/") { throw Failure(.invalid, "\"library\" must be an absolute path; this is \(library)") }
  }

  private func reload(_ request: Personas.Reload, _ call: MethodTable.Call) throws(Failure) {
    let names = request.names ?? request.name.map { [$0] } ?? supervisor.slots.map(\.name)
    if let library = request.library {
      guard names.count == 1 else { throw Failure(.invalid, "\"library\" is for one persona: say which, with \"name\"") }
      try checkAbsolute(library)
    }
    guard names.count <= max(64, supervisor.slots.count) else {
      throw Failure(.tooLong, "\(names.count) names are more than there are personas; name each once, or none for all")
    }
    var slots: [PersonaSlot] = []
    for name in names { slots.append(try slot(name)) }
    if slots.isEmpty { return call.end(Personas.Reload.Reply(receipts: [])) }
    // What personas.toml says of them now goes along.
    guard let reloader = supervisor.reloader else { return reload(slots, request, call, changes: [:], trouble: nil) }
    reloader.reloadIfChanged { [self] result in
      var trouble: String?
      if case .failure(let failure) = result { trouble = "personas.toml is not taken over: \(failure.message)" }
      reload(slots, request, call, changes: (try? result.get())?.keys ?? [:], trouble: trouble)
    }
  }

  private func reload(
    _ slots: [PersonaSlot], _ request: Personas.Reload, _ call: MethodTable.Call, changes: [String: [String]], trouble: String?
  ) {
    let awaited = Set(slots.map(\.name)).count
    var receipts: [String: Receipt] = [:]
    for slot in slots {
      slot.load(.file(path: request.library), force: request.force ?? false) { receipt in
        var receipt = receipt
        receipt.changes = receipt.changes ?? changes[slot.name]
        if let trouble { receipt.warnings = (receipt.warnings ?? []) + [trouble] }
        receipts[slot.name] = receipt
        if receipts.count == awaited { call.end(Personas.Reload.Reply(receipts: slots.compactMap { receipts[$0.name] })) }
      }
    }
  }
}
