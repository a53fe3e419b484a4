import Protocol
import System
import Wire

/// Grams to and from personas.
extension Router {
  /// Gives mail to a persona, or ends its request with the reason why not.
  @discardableResult
  func hand(
    _ token: UInt64, to slot: PersonaSlot, _ line: [UInt8], _ envelope: Envelope, source: [UInt8], sender: UInt64, topic: [UInt8]
  ) -> Bool {
    guard let request = table[token] else { return false }
    var wantsReply = true
    if case .nobody = request.asker { wantsReply = false }
    let mail = Mail(
      token: token, sender: sender, line: line, envelope: envelope, source: source, topic: topic, trace: request.trace, hops: request.hops,
      deadline: request.deadline, wantsReply: wantsReply, wantsStream: request.wantsStream)
    if let failure = slot.deliver(mail, quota: limits.mailboxBytes) {
      end(token, failure)
      return false
    }
    return true
  }

  /// The persona that has the gram now.
  func handed(_ token: UInt64, to context: InstanceContext) { table[token]?.answerer = context }

  /// Mail that was taken back before it was begun, and cannot be given to anybody.
  func bounce(_ mail: [Mail], _ failure: Failure) { for item in mail { end(item.token, failure) } }

  /// A gram from a persona for which no answer is wanted.
  func send(from context: InstanceContext, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    counters.messages &+= 1
    let origin = table[cause]
    let line = personaLine(from: context, origin, target: target, method: method, payload: payload, id: [], stream: false)
    let hops = (origin?.hops ?? 0) + 1
    if hops > limits.hops {
      counters.errors &+= 1
      log.warning("stopped a loop: hop limit", ["from": context.slot.name, "to": String(decoding: target, as: UTF8.self), "hops": hops])
      return
    }
    tap(line)
    var delivered = 0
    line.withUnsafeBytes { raw in
      var envelope = Envelope()
      let code = Envelope.scan(UnsafeRawBufferPointer(rebasing: raw.dropLast()), into: &envelope)
      precondition(code == 0, "a line that the kernel made is a gram")
      if target[0] == 0x23 || target == [0x2a] {
        delivered = spread(target, from: context.slot.participant, sender: context.slot.senderID, raw, envelope, trace: origin?.trace ?? [])
        {
          $0.send(line, .message)
        }
      } else if target == Self.kernelName {
        delivered = 1
        control.handle(String(decoding: method, as: UTF8.self), payload, from: nil) { [log] result in
          if case .failure(let failure) = result { log.warning("KERNEL refused", ["from": context.slot.name, "error": failure.message]) }
        }
      } else if let participant = names.find(target) {
        if let slot = participant.slot {
          let token = open(
            asker: .nobody, target: participant, trace: origin?.trace ?? [], hops: hops, milliseconds: 0, stream: false)
          if hand(
            token, to: slot, Array(line.dropLast()), envelope, source: context.slot.participant.name, sender: context.slot.senderID,
            topic: []
          ) {
            delivered = 1
          }
        } else {
          for receiver in participant.connections where receiver.send(line, .message) { delivered += 1 }
        }
      }
    }
    if delivered == 0, target[0] != 0x23 {
      counters.undelivered &+= 1
      log.warning(
        "a gram reached nobody",
        ["from": context.slot.name, "to": String(decoding: target, as: UTF8.self), "method": String(decoding: method, as: UTF8.self)])
    }
  }

  /// A persona's request; it ends by `context.complete`. `conversation`: the one with the model that waits for its end, if the model asks.
  func ask(
    from context: InstanceContext, request number: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8],
    milliseconds: UInt64,
    stream: Bool, conversation: String? = nil
  ) {
    counters.messages &+= 1
    func fail(_ failure: Failure) {
      counters.errors &+= 1
      context.complete(number, .failure(failure))
    }
    let origin = table[cause]
    if cause != 0, origin == nil { return fail(Failure(.cancelled, "the gram on whose behalf this is asked has ended")) }
    let hops = (origin?.hops ?? 0) + 1
    if hops > limits.hops {
      return fail(
        Failure(
          .hopLimit,
          "\(context.slot.name) → \(String(decoding: target, as: UTF8.self)): the gram went through \(hops) hands; the limit is \(limits.hops)"
        ))
    }
    var allowed = Int(clamping: milliseconds)
    if let origin, origin.deadline > 0 {
      let now = MachineClock.now()
      let left = origin.deadline > now ? Int((origin.deadline - now) / 1_000_000) : 0
      allowed = allowed == 0 ? left : min(allowed, left)
      allowed = max(1, allowed)
    }
    let trace = origin?.trace ?? []
    func opened(_ participant: Participant?) -> UInt64 {
      let token = open(
        asker: .persona(context, request: number), target: participant, trace: trace, hops: hops, milliseconds: allowed, stream: stream,
        isForPerson: origin?.isInteractive ?? false)
      context.asked(number, token: token)
      table[token]?.conversations = (origin?.conversations ?? []).union(conversation.map { [$0] } ?? [])
      origin?.children.append((context, number))
      return token
    }
    if target == Self.kernelName {
      let token = opened(nil)
      control.handle(String(decoding: method, as: UTF8.self), payload, from: nil, token: token) { [weak self] result in
        switch result {
        case .success(let payload): self?.finish(token, payload: payload)
        case .failure(let failure): self?.end(token, failure)
        }
      }
      return
    }
    if target[0] == 0x23 || target == [0x2a] {
      return fail(
        Failure(.invalid, "\(String(decoding: target, as: UTF8.self)) cannot be asked: nobody would know whose answer counts; send to it"))
    }
    guard let participant = names.find(target) else { return fail(unknown(target)) }
    let token = opened(participant)
    let line = personaLine(
      from: context, origin, target: target, method: method, payload: payload, id: Array(String(token).utf8), stream: stream)
    tap(line)
    if let slot = participant.slot {
      line.withUnsafeBytes { raw in
        var envelope = Envelope()
        let code = Envelope.scan(UnsafeRawBufferPointer(rebasing: raw.dropLast()), into: &envelope)
        precondition(code == 0, "a line that the kernel made is a gram")
        hand(
          token, to: slot, Array(line.dropLast()), envelope, source: context.slot.participant.name, sender: context.slot.senderID, topic: []
        )
      }
    } else {
      var taken = false
      for receiver in participant.connections where receiver.send(line, .message) { taken = true }
      if !taken { end(token, full(participant)) }
    }
  }

  func personaLine(
    from context: InstanceContext, _ origin: Request?, target: [UInt8], method: [UInt8], payload: [UInt8], id: [UInt8], stream: Bool
  ) -> [UInt8] {
    var gram = GramLine(target: target, method: method)
    gram.source = context.slot.participant.name
    gram.payload = payload
    gram.id = id
    gram.stream = stream
    gram.hops = (origin?.hops ?? 0) + 1
    gram.trace = origin?.trace ?? []
    return gram.bytes()
  }
}
