import Protocol
import System
import Wire

/// Grams for which somebody waits: each ends exactly once (see Request).
extension Router {
  // MARK: Requests

  /// So many requests are open.
  var openRequests: Int { table.count }

  func request(_ token: UInt64) -> Request? { table[token] }

  func open(
    asker: Request.Asker, target: Participant?, trace: [UInt8], hops: Int, milliseconds: Int, stream: Bool, isForPerson: Bool = false
  ) -> UInt64 {
    lastToken += 1
    let token = lastToken
    let allowed = milliseconds > 0 ? milliseconds : limits.deadlineMilliseconds
    if case .connection(let connection, let id) = asker { connection.requests[id] = token }
    let deadline = MachineClock.now() + UInt64(allowed) * 1_000_000
    let request = Request(
      token: token, asker: asker, target: target, trace: trace, hops: hops, deadline: deadline, wantsStream: stream,
      isForPerson: isForPerson)
    request.timer = loop.after(milliseconds: allowed) { [unowned self] in
      cancel(token, Failure(.deadline, "no answer\(target.map { " from \($0.text)" } ?? "") within \(allowed) ms"))
    }
    table[token] = request
    return token
  }

  /// Takes it off the books. Its answerer may hold a token that has ended: that is found out there.
  @discardableResult
  func close(_ token: UInt64) -> Request? {
    guard let request = table.removeValue(forKey: token) else { return nil }
    if let timer = request.timer { loop.cancel(timer: timer) }
    switch request.asker {
    case .connection(let connection, let id): connection.requests[id] = nil
    case .persona(let context, let number): context.askEnded(number)
    default: break
    }
    if let answerer = request.answerer { answerer.gramEnded(token) }
    request.onEnd?()
    return request
  }

  /// The answer. Empty: there is nothing to say. Unknown tokens have ended before: no error.
  func finish(_ token: UInt64, payload: [UInt8]) {
    guard let request = table[token] else { return }
    if case .connection(let connection, let id) = request.asker { sendHeld(request, connection, id, final: true) }
    request.answerer?.slot.recorder.ended(token, .success(payload))
    close(token)
    let payload = request.citations.isEmpty ? payload : Self.citing(request.citations, in: payload)
    let source = request.target?.name ?? Self.kernelName
    switch request.asker {
    case .connection(let connection, let id):
      reply(to: connection, id: id, from: source, method: "reply", payload: payload, trace: request.trace)
    case .name(let participant):
      if payload.isEmpty { return }
      var gram = GramLine(target: participant.name, method: Array("reply".utf8))
      gram.source = source
      gram.payload = payload
      gram.trace = request.trace
      let line = gram.bytes()
      tap(line)
      for connection in participant.connections { connection.send(line, .answer) }
    case .persona(let context, let number): context.complete(number, .success(payload))
    case .nobody: break
    }
  }

  /// A reply that is an object says where what it knows stands, if its author does not.
  private static func citing(_ citations: [[UInt8]], in payload: [UInt8]) -> [UInt8] {
    guard let reply = try? JSON(parsing: payload), let members = reply.object, members["citations"] == nil else { return payload }
    // The same passage may have been found twice.
    var seen: Set<[UInt8]> = []
    let list = Array(citations.filter { seen.insert($0).inserted }.joined(separator: [0x2c]))
    guard let end = payload.lastIndex(of: 0x7d) else { return payload }
    return payload[..<end] + (members.isEmpty ? [] : [0x2c]) + Array(#""citations":["#.utf8) + list + Array("]}".utf8)
  }

  /// The answerer's error.
  func fail(_ token: UInt64, _ failure: Failure) { end(token, failure) }

  /// Ends it in an error, told in the name of whoever was asked.
  func end(_ token: UInt64, _ failure: Failure) {
    guard let request = table[token] else { return }
    if case .connection(let connection, let id) = request.asker { sendHeld(request, connection, id, final: true) }
    request.answerer?.slot.recorder.ended(token, .failure(failure))
    close(token)
    counters.errors &+= 1
    request.target?.slot?.countFailure()
    switch request.asker {
    case .connection(let connection, let id):
      refuse(
        connection, re: id, failure, target: request.target?.name ?? [], source: request.target?.name ?? Self.kernelName,
        trace: request.trace)
    case .name(let participant):
      for connection in participant.connections {
        refuse(connection, re: [], failure, target: request.target?.name ?? [], source: request.target?.name ?? Self.kernelName)
      }
    case .persona(let context, let number): context.complete(number, .failure(failure))
    case .nobody:
      log.warning(
        "a gram failed and nobody waits for it",
        [
          "persona": request.target?.text ?? "KERNEL", "code": failure.code.rawValue, "error": failure.message,
          "keep": request.answerer.map { "parlor capture \($0.slot.name) --failed" } ?? "",
        ])
    }
  }

  /// Ends it because nobody waits any more; what runs on its behalf is cancelled too.
  func cancel(_ token: UInt64, _ failure: Failure) {
    guard let request = table[token] else { return }
    request.answerer?.revoke(token)
    let children = request.children
    end(token, failure)
    for child in children { child.context.cancel(request: child.request) }
  }

  /// A client takes back its own request. False: there is none.
  func cancel(id: [UInt8], of connection: Connection) -> Bool {
    guard let token = connection.requests[id] else { return false }
    cancel(token, Failure(.cancelled, "cancelled by the asker"))
    return true
  }

  // MARK: Streams

  /// A piece of text ahead of the reply. While the asker does not read, pieces are merged.
  func stream(_ token: UInt64, _ text: [UInt8]) {
    guard let request = table[token], request.wantsStream else { return }
    switch request.asker {
    case .connection(let connection, let id):
      request.heldText.append(contentsOf: text)
      sendHeld(request, connection, id, final: false)
    case .persona(let context, let number): context.instance.part(number, text)
    case .name, .nobody: break
    }
  }

  func sendHeld(_ request: Request, _ connection: Connection, _ id: [UInt8], final: Bool) {
    if request.heldText.isEmpty { return }
    if !final, connection.waitingBytes > limits.queueBytes / 4 { return }
    // A piece may end within a character: the rest of it waits for the next one.
    let whole = final ? request.heldText.count : wholeCharacters(request.heldText)
    if whole == 0 { return }
    var payload: [UInt8] = []
    payload.append(#"{"text":"#)
    payload.appendJSON(String(decoding: request.heldText[..<whole], as: UTF8.self))
    payload.append(0x7d)
    request.heldText.removeFirst(whole)
    reply(to: connection, id: id, from: request.target?.name ?? Self.kernelName, method: "delta", payload: payload)
  }

  func wholeCharacters(_ text: [UInt8]) -> Int {
    var start = text.count - 1
    while start > 0, text.count - start < 4, text[start] & 0xc0 == 0x80 { start -= 1 }
    let lead = text[start]
    let length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    return start + length > text.count && lead >= 0xc0 ? start : text.count
  }
}
