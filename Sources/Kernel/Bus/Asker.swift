import Protocol
import Wire

/// Who is told what becomes of a gram. Event loop only.
protocol Asker {
  /// For people.
  var name: String { get }
  /// Whose open requests it belongs to; nil: nobody's.
  var owner: AnyObject? { get }
  /// The name that the answer of a client is addressed to.
  var participant: Participant? { get }
  /// Names the request among those of its owner. Empty: it is not named.
  var id: [UInt8] { get }
  /// A reply reaches somebody.
  var waits: Bool { get }
  /// A person may be waiting: the chain was begun by a client.
  var isInteractive: Bool { get }

  /// Nothing comes of the gram, and no request is open. `isNamed` is false where the error must not be taken for the gram's answer.
  func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool)
  /// A gram for many has been given to so many.
  func published(_ gram: Gram, to count: Int)
  /// The request has ended in a reply. Empty: there is nothing to say.
  func answered(_ request: OpenRequest, _ payload: [UInt8])
  /// The request has ended in an error, told in the name of `source`.
  func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8])
  /// A piece of the reply ahead of it. False: too much waits for the asker to read.
  func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool
  /// A step of the work ahead of the reply. False: too much waits for the asker to read.
  func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool
  /// A client's gram that answers the request, or is a piece of the answer.
  func relayed(_ request: OpenRequest, _ gram: Gram, isPiece: Bool)
}

/// A client that has sent a gram with an `id`.
struct ConnectionAsker: Asker {
  let connection: Connection
  let id: [UInt8]

  private var replies: Replies { connection.router.replies }

  var name: String { connection.participant?.text ?? "a client that has gone" }
  var owner: AnyObject? { connection }
  var participant: Participant? { connection.participant }
  var waits: Bool { true }
  var isInteractive: Bool { true }

  func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool) { connection.refused(gram, failure, re: isNamed ? id : []) }

  func published(_ gram: Gram, to count: Int) {
    replies.send("reply", Array("{\"delivered\":\(count)}".utf8), to: connection, re: id)
  }

  func answered(_ request: OpenRequest, _ payload: [UInt8]) {
    sendHeld(request, isLast: true)
    replies.send("reply", payload, to: connection, re: id, source: request.targetName, trace: request.trace)
  }

  func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8]) {
    sendHeld(request, isLast: true)
    replies.error(failure, to: connection, re: id, source: source, target: request.target?.name ?? [], trace: request.trace)
  }

  func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool {
    if let gap = request.voices.gap(before: nil) { request.held.append(step: AnswerStep(part: gap.text, speaker: gap.speaker).payload) }
    request.voices.note(text)
    request.held.append(text)
    return sendOrHold(request)
  }

  func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool {
    var step = step
    if let text = step.delta.text, !text.isEmpty {
      let speaker = step.delta.speaker == request.target?.text ? nil : step.delta.speaker
      if let gap = request.voices.gap(before: speaker) {
        if speaker == nil {
          request.held.append(step: AnswerStep(part: gap.text, speaker: gap.speaker).payload)
        } else {
          step = step.behind(gap.text)
        }
      }
      request.voices.note(text.utf8)
    }
    request.held.append(step: step.payload)
    return sendOrHold(request)
  }

  /// While the client does not read, pieces of text are merged. False: too much waits.
  private func sendOrHold(_ request: OpenRequest) -> Bool {
    let quota = connection.router.limits.queueBytes / 4
    if connection.waitingBytes > quota { return request.held.count <= quota }
    sendHeld(request, isLast: false)
    return true
  }

  func relayed(_ request: OpenRequest, _ gram: Gram, isPiece: Bool) {
    let gram = gram.re == id ? gram : gram.replacing(gram.envelope.re, with: id)
    connection.send(gram.line.bytes, isPiece ? .copy : .answer)
  }

  private func sendHeld(_ request: OpenRequest, isLast: Bool) {
    // A piece in JSON has at most six times the bytes of its text.
    while let payload = request.held.next(isLast: isLast, atMost: max(64, connection.router.limits.frameBytes / 8)) {
      replies.send("delta", payload, to: connection, re: id, source: request.targetName)
    }
  }
}

/// A client that has sent a gram without `id` to a persona: an answer goes to all connections of its name.
struct NameAsker: Asker {
  let name: String
  private let known: Participant
  private let replies: Replies?

  init(participant: Participant, replies: Replies) {
    (known, name, self.replies) = (participant, participant.text, replies)
  }

  /// For a replay: no answer reaches it, it is in the recorder.
  init(absent: Participant) { (known, name, replies) = (absent, absent.text, nil) }

  var owner: AnyObject? { nil }
  var participant: Participant? { known }
  var id: [UInt8] { [] }
  var waits: Bool { true }
  var isInteractive: Bool { true }

  func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool) { gram.sender?.refused(gram, failure, re: []) }
  func published(_ gram: Gram, to count: Int) {}

  func answered(_ request: OpenRequest, _ payload: [UInt8]) {
    if !payload.isEmpty { replies?.send("reply", payload, to: known, source: request.targetName, trace: request.trace) }
  }

  func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8]) {
    replies?.error(failure, to: known, source: source, target: request.target?.name ?? [])
  }

  func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool { true }
  func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool { true }
  func relayed(_ request: OpenRequest, _ gram: Gram, isPiece: Bool) {}
}

/// A persona's instance that has asked by persona.h, or whose model calls a tool.
struct InstanceAsker: Asker {
  let context: InstanceContext
  /// The instance's number of it.
  let request: UInt64
  /// What it is asked for began with a client.
  let isInteractive: Bool
  /// Who is shown what is streamed; nil: the instance alone.
  var through: Through?

  /// To the asker of an earlier gram, as the words of somebody.
  struct Through {
    let token: UInt64
    let speaker: String
  }

  /// What a client sends as a piece of its answer is read on the event loop. In bytes.
  private static let longestPiece = 256 << 10

  static func id(_ request: UInt64) -> [UInt8] { Array(String(request).utf8) }

  var name: String { context.slot.name }
  var owner: AnyObject? { context }
  var participant: Participant? { context.slot.participant }
  var id: [UInt8] { Self.id(request) }
  var waits: Bool { true }

  func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool) { context.complete(request, .failure(failure)) }
  func published(_ gram: Gram, to count: Int) {}

  func answered(_ request: OpenRequest, _ payload: [UInt8]) {
    showHeld(request, isLast: true)
    context.complete(self.request, .success(payload))
  }

  func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8]) {
    showHeld(request, isLast: true)
    context.complete(self.request, .failure(failure))
  }

  func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool {
    context.instance.part(self.request, text)
    if through != nil {
      request.heldPart.append(text)
      showHeld(request, isLast: false)
    }
    return true
  }

  func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool {
    if let text = step.delta.text { context.instance.part(self.request, Array(text.utf8)) }
    guard let through else { return true }
    showHeld(request, isLast: true)
    context.router.requests.progress(through.token, step.by(through.speaker))
    return true
  }

  /// Shows the text that has come in whole characters. It goes from request to request, but no further than grams go: `Limits.hops`.
  private func showHeld(_ request: OpenRequest, isLast: Bool) {
    guard let through else { return }
    while let text = request.heldPart.next(isLast: isLast, atMost: AnswerStep.longest) {
      context.router.requests.progress(through.token, AnswerStep(part: text, speaker: through.speaker))
    }
  }

  func relayed(_ request: OpenRequest, _ gram: Gram, isPiece: Bool) {
    let payload = gram.payload.isEmpty ? Array("null".utf8) : gram.payload
    if isPiece {
      guard payload.count <= Self.longestPiece else {
        let why =
          "a piece of the answer of \(String(decoding: gram.source, as: UTF8.self)) has \(payload.count) bytes, and may have \(Self.longestPiece)"
        return context.router.requests.cancel(request.token, Failure(.tooLong, why))
      }
      guard var delta = try? PayloadCoding.value(Delta.self, from: payload) else { return }
      // A persona's step with such a speaker is refused.
      if let speaker = delta.speaker, Name.problem(speaker.utf8) != nil { delta.speaker = nil }
      if delta.event != nil || delta.speaker != nil {
        _ = stepped(request, AnswerStep(delta))
      } else if let text = delta.text {
        _ = streamed(request, Array(text.utf8))
      }
      return
    }
    showHeld(request, isLast: true)
    if gram.method.elementsEqual("error".utf8) {
      let told = payload.count <= Failure.longestMessage ? try? PayloadCoding.value(ErrorReport.self, from: payload).failure : nil
      let source = String(decoding: gram.source, as: UTF8.self)
      let failure = told.flatMap { $0.message.isEmpty ? nil : $0 } ?? Failure(told?.code ?? .failed, "\(source) answered with an error")
      context.complete(self.request, .failure(failure))
    } else {
      context.complete(self.request, .success(payload))
    }
  }
}

/// Nobody: what a persona sends, and what is published.
struct NoAsker: Asker {
  let log: Log

  var name: String { "nobody" }
  var owner: AnyObject? { nil }
  var participant: Participant? { nil }
  var id: [UInt8] { [] }
  var waits: Bool { false }
  var isInteractive: Bool { false }

  func refused(_ gram: Gram, _ failure: Failure, isNamed: Bool) { gram.sender?.refused(gram, failure, re: []) }

  func published(_ gram: Gram, to count: Int) {
    // A topic may well have no subscribers.
    if count == 0, gram.target == [0x2a] { refused(gram, Failure(.unknownTarget, "nobody else is here"), isNamed: false) }
  }

  func answered(_ request: OpenRequest, _ payload: [UInt8]) {}

  func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8]) {
    log.warning(
      "a gram failed and nobody waits for it",
      [
        "persona": request.target?.text ?? "KERNEL", "code": failure.code.rawValue, "error": failure.message,
        "keep": request.answerer == nil ? "" : "parlor capture \(request.target?.text ?? "") --failed",
      ])
  }

  func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool { true }
  func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool { true }
  func relayed(_ request: OpenRequest, _ gram: Gram, isPiece: Bool) {}
}
