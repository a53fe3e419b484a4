import Wire

/// How a connection gets its name, and a persona its own.
extension Bus {
  // MARK: Greeting

  func greet(_ connection: Connection, _ raw: UnsafeRawBufferPointer) {
    var name = Array(raw)
    while let last = name.last, last == 0x0d || last == 0x20 || last == 0x09 { name.removeLast() }
    while let first = name.first, first == 0x20 || first == 0x09 { name.removeFirst() }
    var hello = false
    if name.first == 0x7b {
      hello = true
      guard let greeting = Payload.decode(Payload.Hello.self, name), greeting.hello == 1 else {
        return turnAway(
          connection, Failure(.nameRefused, "the first line is neither a name nor {\"hello\":1,\"name\":…}; see docs/WIRE.md"))
      }
      name = greeting.name.map { Array($0.utf8) } ?? Array("client-\(connection.id)".utf8)
    }
    if let reason = refusal(of: name) { return turnAway(connection, Failure(.nameRefused, reason)) }
    let participant = names.make(name)
    participant.connections.append(connection)
    connection.participant = participant
    connection.greeting = hello ? .attached : .named
    log.debug("here", ["client": participant.text, "pid": connection.pid, "hello": hello])
    if hello { reply(to: connection, id: [], from: Self.kernelName, method: "welcome", payload: control.welcome(participant)) }
  }

  func refusal(of name: [UInt8]) -> String? {
    let text = String(decoding: name, as: UTF8.self)
    if name.isEmpty { return "the first line is empty: begin with your name" }
    if name.count > 64 { return "a name has at most 64 bytes" }
    if Array(text.utf8) != name || name.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == 0x22 || $0 == 0x5c }) {
      return "a name is UTF-8 without control characters, quotes and backslashes"
    }
    if name == Self.kernelName || name == [0x2a] || name[0] == 0x23 || name[0] == 0x7b {
      return "\(text) is not free: KERNEL, * and names that begin with # or { mean something else"
    }
    if let slot = names.find(name)?.slot { return "\(slot.name) is a persona of this kernel; take another name" }
    return nil
  }

  func turnAway(_ connection: Connection, _ failure: Failure) {
    refuse(connection, re: [], failure)
    connection.close()
  }

  // MARK: Names of personas

  /// The name's participant for a new persona, unless a client has it.
  func claim(name: String) throws(Failure) -> Participant {
    let bytes = Array(name.utf8)
    if let found = names.find(bytes), !found.connections.isEmpty {
      throw Failure(
        .nameRefused, "a connected client is called \(name) (pid \(found.connections[0].pid)); disconnect it, or rename the persona")
    }
    return names.make(bytes)
  }

  func release(_ participant: Participant) {
    participant.slot = nil
    names.release(participant)
  }
}
