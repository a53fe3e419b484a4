import CPlatform
import Glibc
import Protocol
import System
import Wire

/// The clients that are connected: how each comes, gets its name, and goes. Event loop only.
///
/// Closing is a queue. `Connection.close` puts the connection there, and what others must be told because of it is done by `workOff`,
/// after the event at hand. So a client that goes while another is told of the end of a third is never a call within a call.
final class ConnectionRegistry {
  private unowned let router: Router
  private let log: Log
  private var connections: [UInt64: Connection] = [:]
  private var lastID: UInt64 = 0
  private var closing = Deque<Connection>()
  /// The rest of them is worked off in a later turn.
  private var goesOn = false
  /// The last client was turned away, and the log says so.
  private var isFull = false
  /// Stands in the names that the kernel gives: conversations are kept by the client's name longer than a kernel runs, and
  /// who comes tomorrow must not find those of a stranger.
  private let runTag = String(UInt32.random(in: 0x10_0000...0xFF_FFFF), radix: 16)

  init(router: Router, log: Log) {
    self.router = router
    self.log = log
  }

  var count: Int { connections.count }
  /// Those that said hello.
  var attached: [Connection] { connections.values.filter { $0.greeting == .attached && !$0.isClosed } }

  /// `isSpare`: its descriptor is none of those that are kept for the kernel itself.
  func accept(_ descriptor: Int32, pid: Int32, isSpare: Bool = true) {
    if connections.count >= router.limits.connections {
      return turnAway(
        descriptor, "\(router.limits.connections) clients are connected, which is bus.connections of personas.toml; close some")
    }
    if !isSpare {
      return turnAway(descriptor, "the kernel keeps its last descriptors for itself; close some clients, or raise its ulimit -n")
    }
    lastID += 1
    do throws(Errno) {
      connections[lastID] = try Connection(id: lastID, descriptor: descriptor, pid: pid, router: router)
      isFull = false
    } catch {
      turnAway(descriptor, "the kernel cannot watch one more client: \(error)")
    }
  }

  /// It is told why, if its socket takes a line, and closed.
  private func turnAway(_ descriptor: Int32, _ reason: String) {
    if !isFull { log.error("a client is turned away, and so are those that follow", ["reason": reason]) }
    isFull = true
    let line = Replies.line(Failure(.queueFull, reason))
    _ = line.withUnsafeBytes { bat_send(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  // MARK: Names

  /// Its first line.
  func greet(_ connection: Connection, _ line: UnsafeRawBufferPointer) {
    let name: [UInt8]
    let greeting: Handshake
    switch Handshake.read(line) {
    case .refused(let reason): return turnAway(connection, reason)
    case .name(let given, let kind, let distinct):
      name = given.map { distinct ? free($0) : $0 } ?? Array("client-\(runTag)-\(connection.id)".utf8)
      greeting = kind
    }
    if let persona = persona(like: name) {
      return turnAway(connection, "\(persona) is a persona of this kernel; take a name that differs from it in more than capitals")
    }
    let participant = router.names.make(name)
    participant.add(connection)
    connection.participant = participant
    connection.greeting = greeting
    log.debug("here", ["client": participant.text, "pid": connection.pid, "hello": greeting == .attached])
    if greeting == .attached { router.replies.send("welcome", router.control.welcome(participant), to: connection) }
  }

  /// The persona whose name is this one, but for capitals.
  private func persona(like name: [UInt8]) -> String? {
    if let found = router.names.find(name), found.isPersona { return found.text }
    let text = String(decoding: name, as: UTF8.self).lowercased()
    return router.control?.personas.first { $0.utf8.count == text.utf8.count && $0.lowercased() == text }
  }

  /// The name, or the first of NAME-2, NAME-3, … that nobody has.
  private func free(_ name: [UInt8]) -> [UInt8] {
    func isTaken(_ name: [UInt8]) -> Bool { router.names.find(name).map { !$0.isEmpty } ?? false || persona(like: name) != nil }
    if !isTaken(name) { return name }
    let stem = String(decoding: name, as: UTF8.self)
    for number in 2...999 {
      var short = stem
      while short.utf8.count + "-\(number)".utf8.count > Name.longest { short.removeLast() }
      let next = Array("\(short)-\(number)".utf8)
      if !isTaken(next) { return next }
    }
    // Nobody has run out of numbers who does not attack: then the kernel's own names do.
    return Array("client-\(runTag)-\(lastID)".utf8)
  }

  private func turnAway(_ connection: Connection, _ reason: String) {
    router.refuse(connection, Failure(.nameRefused, reason))
    connection.close()
  }

  // MARK: Closing

  func closeAll() { for connection in connections.values { connection.close() } }

  /// It has closed: it gets nothing more from now on. What follows from that is done by `workOff`.
  func closed(_ connection: Connection) {
    connection.participant?.remove(connection)
    router.topics.set([], of: connection)
    router.taps.set(connection, false)
    closing.append(connection)
    router.hasClosed = true
  }

  /// So many requests are ended in one turn of the loop. When thousands of clients go at once, others are served in between.
  private static let requestsPerTurn = 512

  /// Tells whoever waits for, or is waited for by, connections that have closed. Not within a call of any of them.
  func workOff() {
    if goesOn { return }
    var left = Self.requestsPerTurn
    while let connection = closing.popFirst() {
      connections[connection.id] = nil
      let tokens = router.requests.tokens(askedBy: connection)
      for token in tokens { router.requests.cancel(token, Failure(.cancelled, "the asker has gone")) }
      left -= 1 + tokens.count
      dropMail(of: connection)
      if let participant = connection.participant {
        log.debug("gone", ["client": participant.text, "pid": connection.pid])
        if participant.isEmpty { vacate(participant) }
      }
      if left <= 0 { break }
    }
    if closing.isEmpty { return }
    goesOn = true
    // Not at once: what is due now is done before the next descriptor is looked at.
    router.loop.after(milliseconds: 1) { [unowned self] in
      goesOn = false
      workOff()
    }
  }

  /// What it sent without an id and nobody has begun is kept within bounds.
  private func dropMail(of connection: Connection) {
    for persona in router.requests.personas(holdingMoreThan: Mailbox.keptOfGone, of: connection.id) {
      let dropped = persona.endpoints.flatMap { $0.dropMail(of: connection.id) }
      for mail in dropped { router.requests.cancel(mail.token, Failure(.cancelled, "its sender has gone")) }
      if dropped.isEmpty { continue }
      log.warning(
        "grams of a client that has gone are left out",
        ["client": connection.participant?.text ?? "", "persona": persona.text, "grams": dropped.count, "kept": Mailbox.keptOfGone])
    }
  }

  /// Nobody is left to answer what this name was asked.
  private func vacate(_ participant: Participant) {
    for token in router.requests.tokens(askedOf: participant) {
      router.requests.fail(token, Failure(.unknownTarget, "\(participant.text) has gone without answering"))
    }
    router.requests.forget(participant)
    router.names.release(participant)
  }
}
