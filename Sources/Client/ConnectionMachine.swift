import Protocol
import Wire

/// What one connection to the kernel does, without its socket: bytes in, their meaning out; requests in, bytes out.
public struct ConnectionMachine: Sendable {
  /// Nil until the hello is answered.
  public private(set) var welcome: Welcome?
  /// The personas of the welcome, as receipts have changed them since.
  public private(set) var personas: [Welcome.Persona] = []
  /// Where the kernel is, for messages.
  private let path: String
  private var lines = LineReader()
  private var ledger = RequestLedger()

  /// A longer line is not the kernel's.
  static let longestLine = 1 << 30

  public init(path: String) { self.path = path }

  public static func hello(name: String?, distinct: Bool = false) -> [UInt8] {
    PayloadCoding.bytes(of: Hello(name: name, distinct: distinct)) + [0x0A]
  }

  public mutating func receive(_ bytes: [UInt8]) throws(ClientError) -> [Incoming] {
    lines.append(bytes)
    var incoming: [Incoming] = []
    while let line = lines.next() {
      let gram: Gram
      do throws(EnvelopeError) { gram = try Gram(line: line) } catch {
        // An object that this client does not understand, as one that is nested too deep, is no reason to end.
        if line.first == UInt8(ascii: "{") { continue }
        throw .notAKernel(path: path, why: error.message)
      }
      if let meaning = try meaning(of: gram) { incoming.append(meaning) }
    }
    if lines.pending > Self.longestLine { throw .notAKernel(path: path, why: "it does not end after \(lines.pending) bytes") }
    return incoming
  }

  private mutating func meaning(of gram: Gram) throws(ClientError) -> Incoming? {
    guard welcome != nil else { return gram.source == RequestLedger.kernel ? try greeting(gram) : nil }
    let meaning = ledger.meaning(of: gram)
    if case .receipt(let receipt)? = meaning { learn(receipt) }
    return meaning
  }

  /// Until the welcome nothing else is expected, and an error says why there is none.
  private mutating func greeting(_ gram: Gram) throws(ClientError) -> Incoming? {
    switch gram.method {
    case "error": throw .failed(RequestLedger.report(gram))
    case "welcome":
      let welcome: Welcome
      do { welcome = try gram.payload.value(Welcome.self) } catch { throw .unreadable(method: "hello", why: error.description) }
      self.welcome = welcome
      personas = welcome.personas
      return .welcome(welcome)
    default: return nil
    }
  }

  private mutating func learn(_ receipt: Receipt) {
    let place = personas.firstIndex { $0.name == receipt.persona }
    switch receipt.outcome {
    case .unloaded: if let place { personas.remove(at: place) }
    case .loaded, .reloaded, .rolledBack:
      if let place {
        personas[place].generation = receipt.to
        personas[place].talk = receipt.talk ?? personas[place].talk
      } else if receipt.outcome == .loaded {
        personas.append(.init(name: receipt.persona, generation: receipt.to, talk: receipt.talk))
      }
    case .unchanged, .refused, .configured, .unwell: break
    }
  }

  // MARK: Requests

  /// Starts a request: the `id` by which its answers are known, and the line to be written.
  public mutating func start(_ request: Request, now: ContinuousClock.Instant) throws(ClientError) -> (id: Int, line: [UInt8]) {
    guard request.payload.withUnsafeBytes({ isJSONValue($0) }) else { throw .tooDeep(limit: Request.deepest) }
    let id = ledger.nextID()
    let line = request.line(id: id)
    if let limit = welcome?.limits.frame_bytes, line.count > limit { throw .tooLong(bytes: line.count, limit: limit) }
    ledger.open(id, of: request.target, deadline: request.deadline ?? welcome.map { .milliseconds($0.limits.deadline_ms) }, now: now)
    return (id, line)
  }

  /// Takes a request back: the line to be written. What still comes of it is passed over, and so is the answer to this.
  public mutating func cancel(_ id: Int) -> [UInt8] {
    ledger.close(id)
    return Request(Cancel(id: .number(Int64(id)))).line(id: ledger.nextID())
  }

  public func isOpen(_ id: Int) -> Bool { ledger.isOpen(id) }
  /// When to stop waiting for a request; nil: never.
  public func end(of id: Int) -> ContinuousClock.Instant? { ledger.end(of: id) }

  /// A gram of somebody who asks us is answered with an error. Nil: it wants no answer, or was sent to many and wants none of ours.
  public func refusal(of gram: Gram, _ failure: Failure) -> [UInt8]? {
    guard gram.id != nil, gram.target == welcome?.name else { return nil }
    var line = GramLine(target: Array(gram.source.utf8), method: Array("error".utf8))
    line.re = gram.id ?? []
    line.payload = PayloadCoding.bytes(of: ErrorReport(failure))
    return line.bytes()
  }

  /// What is said to a persona in a conversation, by the method by which it is talked to.
  ///
  /// - Parameters:
  ///   - thread: which of its conversations; nil is the one that has our name.
  ///   - remember: false: nothing of it is to be kept.
  public func conversation(
    with persona: String, _ content: String, thread: String?, remember: Bool = true, stream: Bool, deadline: Duration? = nil
  ) -> Request {
    var payload: [String: JSON] = ["content": .string(content)]
    if let thread { payload["thread"] = .string(thread) }
    if !remember { payload["remember"] = false }
    let method = personas.first { $0.name == persona }?.talk ?? "talk"
    return Request(target: persona, method: method, payload: .object(payload), stream: stream, deadline: deadline)
  }
}
