import Protocol

/// The methods of `KERNEL` as this kernel serves them, by name. Event loop only.
struct MethodTable {
  /// One call of a method.
  struct Call {
    /// Nil when a persona calls.
    let client: Connection?
    /// The request, for what must know its end; 0: nobody waits.
    let token: UInt64
    /// As it came.
    let payload: [UInt8]
    /// Ends the call: once, now or later.
    let end: (Result<[UInt8], Failure>) -> Void

    func end(_ reply: some Encodable) { end(.success(PayloadCoding.bytes(of: reply))) }
  }

  private struct Entry {
    let description: MethodDescription
    let serve: (Call) throws(Failure) -> Void
  }

  /// It is read on the event loop, and none of these methods needs more. In bytes.
  private static let longestPayload = 64 << 10

  private var entries: [String: Entry] = [:]

  /// A method whose reply is known at once.
  mutating func answer<Method: KernelMethod>(_ type: Method.Type, _ body: @escaping (Method, Call) throws(Failure) -> Method.Reply) {
    serve(type) { request, call throws(Failure) in call.end(try body(request, call)) }
  }

  /// A method that ends its call itself.
  mutating func serve<Method: KernelMethod>(_ type: Method.Type, _ body: @escaping (Method, Call) throws(Failure) -> Void) {
    pass(type) { call throws(Failure) in
      guard call.payload.count <= Self.longestPayload else {
        throw Failure(
          .tooLong, "the payload of \(type.method.name) has \(call.payload.count) bytes; it takes at most \(Self.longestPayload)")
      }
      let request: Method
      do throws(PayloadCoding.Unreadable) { request = try PayloadCoding.value(type, from: call.payload) } catch {
        throw Failure(.invalid, "the payload is not what this method takes (docs/WIRE.md): \(error)")
      }
      try body(request, call)
    }
  }

  /// A method whose payload somebody else reads.
  mutating func pass(_ type: any KernelMethod.Type, _ body: @escaping (Call) throws(Failure) -> Void) {
    entries[type.method.name] = Entry(description: type.method, serve: body)
  }

  /// Ends the call, also when there is no such method.
  func perform(_ method: String, _ call: Call) {
    do throws(Failure) {
      guard let entry = entries[method] else { throw unknown(method) }
      if entry.description.callers == .clients, call.client == nil {
        throw Failure(.invalid, "\(method) is for connected clients; a persona uses persona.h")
      }
      try entry.serve(call)
    } catch {
      call.end(.failure(error))
    }
  }

  private func unknown(_ method: String) -> Failure {
    // A method of the kernel's own has a short name; what is longer is not worth comparing.
    let near = method.utf8.count > 64 ? nil : Suggestion.nearest(to: method, among: entries.keys.sorted())
    return Failure(
      .unknownMethod,
      "KERNEL has no method \(method.prefix(64))\(near.map { "; did you mean \($0)?" } ?? ""); it has \(Self.list(KernelMethods.descriptions))"
    )
  }

  /// The names, where those of one family follow each other without its first word: "personas.list, .show, stats".
  static func list(_ methods: [MethodDescription]) -> String {
    var family = ""
    var words: [String] = []
    for method in methods {
      let first = method.name.prefix { $0 != "." }
      words.append(family == first && first.count < method.name.count ? String(method.name.dropFirst(first.count)) : method.name)
      family = String(first)
    }
    return words.joined(separator: ", ")
  }
}
