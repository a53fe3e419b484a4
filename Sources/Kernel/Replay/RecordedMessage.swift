import Protocol
import Wire

/// One gram as the recorder has it: what came, what it made the persona want of others, and how it ended; bytes as they passed.
struct RecordedMessage: Sendable {
  enum Want: Sendable {
    case chat([UInt8])
    case memory(operation: String, arguments: [UInt8])
    case gram(target: [UInt8], method: [UInt8], payload: [UInt8], isAsk: Bool)

    var weight: Int {
      switch self {
      case .chat(let question): question.count
      case .memory(let operation, let arguments): operation.utf8.count + arguments.count
      case .gram(let target, let method, let payload, _): target.count + method.count + payload.count
      }
    }
  }
  struct Step: Sendable {
    /// 0: it is only sent.
    var request: UInt64
    var want: Want
    var end: Result<[UInt8], Failure>?
  }

  private(set) var mail: Mail
  let generation: Int
  let began: UInt64
  private(set) var milliseconds = 0
  private(set) var steps: [Step] = []
  private(set) var end: Result<[UInt8], Failure>?
  /// About what it takes in memory, in bytes.
  private(set) var weight: Int
  /// Its payload, steps and reply were more than may be kept, and are gone.
  private(set) var isTooLarge = false

  init(mail: Mail, generation: Int, began: UInt64) {
    self.mail = mail
    self.generation = generation
    self.began = began
    weight = mail.line.count + 256
  }

  mutating func add(_ step: Step, atMost limit: Int) {
    if isTooLarge { return }
    steps.append(step)
    grow(step.want.weight + 128, atMost: limit)
  }

  mutating func end(request: UInt64, _ result: Result<[UInt8], Failure>, atMost limit: Int) {
    guard let index = steps.firstIndex(where: { $0.request == request }) else { return }
    steps[index].end = result
    grow(Self.weight(of: result), atMost: limit)
  }

  mutating func end(_ result: Result<[UInt8], Failure>, at now: UInt64, atMost limit: Int) {
    milliseconds = Int((now - began) / 1_000_000)
    end = result
    grow(Self.weight(of: result), atMost: limit)
  }

  private static func weight(of result: Result<[UInt8], Failure>) -> Int {
    switch result {
    case .success(let payload): payload.count
    case .failure(let failure): failure.message.utf8.count
    }
  }

  private mutating func grow(_ bytes: Int, atMost limit: Int) {
    weight += bytes
    if weight > limit || isTooLarge { shed() }
  }

  /// Lets go of all but who sent it, its method and how it ended.
  mutating func shed() {
    var line = GramLine(target: [0x2a], method: method)
    line.source = mail.source
    mail.line = Array(line.bytes().dropLast())
    mail.envelope = Envelope()
    let code = mail.line.withUnsafeBytes { Envelope.scan($0, into: &mail.envelope) }
    precondition(code == 0, "a line that the kernel made is a gram")
    steps = []
    if case .success = end { end = .success([]) }
    isTooLarge = true
    weight = mail.line.count + 256
  }

  // MARK: Reading

  private var method: [UInt8] {
    let field = mail.envelope.method
    if !field.isPresent { return [] }
    let raw = Array(mail.line[field.range])
    return field.escaped ? raw.withUnsafeBytes(unescaped) : raw
  }

  /// Whoever asked has gone, or the kernel needed its place: no fault of the persona's.
  var wasTakenBack: Bool {
    if case .failure(let failure)? = end { failure.code == .cancelled || failure.code == .retired } else { false }
  }
  var hasFailed: Bool { if case .failure? = end { !wasTakenBack } else { false } }

  /// All of it as a recording has it.
  var message: Recording.Message {
    Recording.Message(
      gram: .init(
        source: Self.text(mail.source), method: Self.text(method),
        payload: mail.envelope.payload.isPresent ? Self.json(Array(mail.line[mail.envelope.payload.range])) : .null,
        topic: Self.text(mail.topic), trace: Self.text(mail.trace), hops: mail.hops, wantsReply: mail.wantsReply,
        wantsStream: mail.wantsStream),
      steps: steps.map { .init(call: Self.call($0.want), end: $0.end.map(Self.end)) },
      end: end.map(Self.end) ?? .silence, generation: generation, milliseconds: milliseconds)
  }

  /// A line of `recordings.list`.
  var summary: JSON {
    var members: [String: JSON] = [
      "token": .int(Int(mail.token)), "source": .string(Self.text(mail.source)), "method": .string(Self.text(method)),
      "steps": .int(steps.count), "bytes": .int(weight), "generation": .int(generation), "ms": .int(milliseconds),
    ]
    if !mail.topic.isEmpty { members["topic"] = .string(Self.text(mail.topic)) }
    switch end {
    case .failure(let failure)?:
      members["end"] = .string(failure.code.rawValue)
      members["error"] = .string(failure.message)
    default: members["end"] = "reply"
    }
    if isTooLarge { members["too_large"] = true }
    if case .string(let said)? = message.gram.payload["content"] ?? message.gram.payload["text"] {
      members["text"] = .string(String(said.prefix(200)))
    }
    return .object(members)
  }

  private static func call(_ want: Want) -> OutboundCall {
    switch want {
    case .chat(let question): .chat(json(question))
    case .memory(let operation, let arguments): .memory(operation: operation, arguments: json(arguments))
    case .gram(let target, let method, let payload, true): .ask(target: text(target), method: text(method), payload: json(payload))
    case .gram(let target, let method, let payload, false): .send(target: text(target), method: text(method), payload: json(payload))
    }
  }

  private static func end(_ end: Result<[UInt8], Failure>) -> Recording.End {
    switch end {
    case .success(let payload): payload.isEmpty ? .silence : .result(json(payload))
    case .failure(let failure): .failure(failure)
    }
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// What is here was checked to be JSON when it came; empty is null.
  private static func json(_ bytes: [UInt8]) -> JSON { (try? JSON(parsing: bytes)) ?? .null }
}
