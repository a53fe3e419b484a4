import Protocol

/// The shared memory (RAG), as the kernel sees it; implemented in Services/Memory.
///
/// The kernel calls it on its event loop, so every method returns at once. It keeps the collections, because they
/// must outlive a persona's code and the kernel itself.
public protocol MemoryService: AnyObject, Sendable {
  /// Does one operation. `onEnd` is called exactly once, never inside this call, on any thread.
  func perform(_ request: MemoryRequest, onEnd: @escaping @Sendable (Result<MemoryResult, Failure>) -> Void)

  /// Applies a changed `[memory]`.
  func configure(_ configuration: MemoryConfiguration)

  /// Counters for `parlor stats`, one JSON object.
  func statistics() -> [UInt8]

  /// Finishes what it has begun, refuses later requests, and returns when everything is on disk. Called once, off the event loop.
  func stop()
}

/// One operation on the memory.
public struct MemoryRequest: Sendable {
  /// Who asks for it, which decides what they may see and change.
  public enum Actor: Sendable, Hashable {
    case persona(String)
    /// A connected client, which acts for the user: it may do everything.
    case client(String)
  }
  public var actor: Actor
  /// "query", "add" … (docs/MEMORY.md).
  public var operation: String
  /// A JSON object.
  public var arguments: [UInt8]
  /// The trace of the message on whose behalf it is done; stored with what it adds.
  public var trace: String?

  public init(actor: Actor, operation: String, arguments: [UInt8], trace: String? = nil) {
    self.actor = actor
    self.operation = operation
    self.arguments = arguments
    self.trace = trace
  }
}

/// The result of an operation.
public struct MemoryResult: Sendable, Equatable {
  /// A JSON object.
  public var json: [UInt8]
  /// Of a query: for each passage found, one JSON object that says where it is from. The kernel adds them to the reply.
  public var citations: [[UInt8]]

  public init(json: [UInt8], citations: [[UInt8]] = []) {
    self.json = json
    self.citations = citations
  }
}
