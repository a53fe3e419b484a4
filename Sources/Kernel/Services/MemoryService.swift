import Protocol

/// The shared memory (RAG), as the kernel sees it; implemented in Services/RAG.
///
/// The kernel calls it on its event loop, so every method returns at once. It keeps the collections, because they
/// must outlive a persona's code and the kernel itself.
public protocol MemoryService: AnyObject, Sendable {
  /// Does one operation. `onEnd` is called exactly once, never inside this call, on any thread.
  func perform(_ order: MemoryOrder, onEnd: @escaping @Sendable (Result<MemoryAnswer, Failure>) -> Void)

  /// Takes a changed `[memory]`.
  func configure(_ configuration: MemoryConfiguration)

  /// Counters for `parlor stats`, one JSON object.
  func statistics() -> [UInt8]

  /// Finishes what it has begun, refuses what comes, and returns when all is on disk. Called once, off the event loop.
  func stop()
}

/// One operation on the memory.
public struct MemoryOrder: Sendable {
  /// Who wants it, which decides what they may see and change.
  public enum Actor: Sendable, Equatable {
    case persona(String)
    /// A connected client: the user's own, who may everything.
    case client(String)
  }
  public var actor: Actor
  /// "query", "add" … (docs/MEMORY.md).
  public var operation: String
  /// A JSON object.
  public var arguments: [UInt8]
  /// The trace of the message on whose behalf it is done; kept with what it adds.
  public var trace: String?

  public init(actor: Actor, operation: String, arguments: [UInt8], trace: String? = nil) {
    self.actor = actor
    self.operation = operation
    self.arguments = arguments
    self.trace = trace
  }
}

/// What came of an operation.
public struct MemoryAnswer: Sendable, Equatable {
  /// A JSON object.
  public var json: [UInt8]
  /// Of a query, one JSON object for each passage found: where it stands. The kernel adds them to the reply.
  public var citations: [[UInt8]]

  public init(json: [UInt8], citations: [[UInt8]] = []) {
    self.json = json
    self.citations = citations
  }
}
