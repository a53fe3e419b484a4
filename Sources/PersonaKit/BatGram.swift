import PersonaABI

/// One message to this persona.
///
/// ```swift in:receive
///     struct Question: Decodable { var city: String }
///     let city = gram.isPublished ? "Gotham" : try gram.decode(Question.self).city
///     gram.stream("It rains in ")
///     gram.stream(city)
///     return ["content": .string("It rains in \(city)")]
/// ```
public struct BatGram: Sendable {
  /// Who sent it; stamped by the kernel, so it is true.
  public let source: String
  /// What is asked for.
  public let method: String
  /// What came with it.
  public let payload: JSON
  /// "#topic" when published there, "*" for a broadcast, else empty. Nobody waits for an answer then.
  public let topic: String
  /// An opaque string that follows a conversation through the bus, or empty.
  public let trace: String
  /// Somebody waits for the answer.
  public let wantsReply: Bool
  /// And would like to see it grow.
  public let wantsStream: Bool
  /// Through how many hands it went.
  public let hops: Int
  /// How long an answer may take, or nil.
  public let timeLeft: Duration?
  let token: UInt64
  let host: HostReference

  /// It came by a topic or a broadcast.
  public var isPublished: Bool { !topic.isEmpty }

  /// What a person said: the payload if it is a string, or its "content", "text", "query", "message" or "prompt".
  public var text: String? {
    if let text = payload.string { return text }
    for key in ["content", "text", "query", "message", "prompt"] { if let text = payload[key]?.string { return text } }
    return nil
  }

  /// The conversation that it belongs to: the payload's "thread", or the sender's name.
  public var thread: String { payload["thread"]?.string ?? source }

  /// False: the payload says `"remember": false`. Then nothing of it is to be kept, by this persona or by those whom it asks.
  public var remembers: Bool { payload["remember"]?.bool ?? true }

  /// The payload as a type of yours; an error names what does not fit.
  public func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T {
    do { return try payload.decode(type) } catch {
      throw KernelError.invalid("the payload of \(method) is not what it takes: \(KernelError.words(for: error))")
    }
  }

  /// Shows a piece of text ahead of the reply, if the asker wants to see it grow. Any thread.
  public func stream(_ piece: String) { host.stream(token, piece) }

  /// Shows a step of the work ahead of the reply, if the asker wants to see the answer grow. Any thread.
  public func progress(_ step: Progress) { host.progress(token, step) }

  /// Replies now, while `receive` goes on; what `receive` returns afterwards goes nowhere. A gram that was answered before, or whose
  /// asker has gone, is no error. Any thread.
  public func reply(_ payload: JSON?) { host.reply(token, payload) }

  /// Ends it with an error now, while `receive` goes on. Any thread.
  public func fail(_ error: KernelError) { host.fail(token, error) }

  /// The gram that the running task works on: requests to the kernel are made on its behalf.
  @TaskLocal static var current: BatGram?
}
