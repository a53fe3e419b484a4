import Protocol

// What the router needs of a persona: its place takes grams, and the instance that runs there answers them.

extension PersonaSlot: Endpoint {
  var answersTo: Participant? { participant }
  var worksOnGrams: Bool { true }

  func take(_ gram: Gram) -> Failure? {
    guard let request = supervisor.router.requests.request(gram.token) else { return Failure(.cancelled, "the request has ended") }
    let mail = Mail(
      token: gram.token, sender: gram.senderID, line: Array(gram.line.bytes.dropLast()), envelope: gram.envelope, source: gram.source,
      topic: gram.isPublished ? gram.target : [], trace: request.trace, hops: request.hops, deadline: request.deadline,
      wantsReply: request.asker.waits, wantsStream: request.wantsStream)
    return deliver(mail, quota: supervisor.router.limits.mailboxBytes)
  }

  /// It asks by its instances, which are told themselves.
  func tell(_ line: [UInt8]) {}

  func refused(_ gram: Gram, _ failure: Failure, re: [UInt8]) {
    supervisor.router.log.warning(
      "a gram reached nobody",
      [
        "from": name, "to": String(decoding: gram.target, as: UTF8.self), "method": String(decoding: gram.method, as: UTF8.self),
        "code": failure.code.rawValue, "error": failure.message,
      ])
  }
}

extension InstanceContext: Answerer {
  func willEnd(_ token: UInt64, _ result: Result<[UInt8], Failure>) { slot.recorder.ended(token, result) }
  func withdraw(_ token: UInt64) { instance.withdraw(token: token) }
}
