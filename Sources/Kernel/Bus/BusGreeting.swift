import Protocol
import Wire

/// How a connection gets its name, and a persona its own.
extension Router {
  // MARK: Greeting

  func greet(_ connection: Connection, _ raw: UnsafeRawBufferPointer) {
    let name: [UInt8]
    let greeting: Handshake
    switch Handshake.read(raw) {
    case .refused(let reason): return turnAway(connection, Failure(.nameRefused, reason))
    case .name(let given, let kind):
      name = given ?? Array("client-\(runTag)-\(connection.id)".utf8)
      greeting = kind
    }
    if let slot = names.find(name)?.slot {
      return turnAway(connection, Failure(.nameRefused, "\(slot.name) is a persona of this kernel; take another name"))
    }
    let participant = names.make(name)
    participant.connections.append(connection)
    connection.participant = participant
    connection.greeting = greeting
    log.debug("here", ["client": participant.text, "pid": connection.pid, "hello": greeting == .attached])
    if greeting == .attached {
      reply(to: connection, id: [], from: Self.kernelName, method: "welcome", payload: control.welcome(participant))
    }
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
