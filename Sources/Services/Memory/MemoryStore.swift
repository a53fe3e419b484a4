import System
import Wire

/// Collections of documents that are found by words, by vectors, and by metadata; kept over restarts.
///
/// Every method may be called on any thread and returns at once, except `stop`.
public protocol MemoryStore: AnyObject, Sendable {
  /// Does one operation on behalf of whoever `access` names.
  ///
  /// Operations take effect in the order of the calls, each as a whole or not at all. A success is durable: it survives a
  /// crash of the process and of the machine.
  /// - Parameter onEnd: called exactly once, never inside this call, on a thread of the store's, which it must not block.
  func perform<Reply>(
    _ request: StoreRequest<Reply>, as access: Access, onEnd: @escaping @Sendable (Result<Reply, MemoryError>) -> Void)

  /// Counters, one JSON object.
  func statistics() -> JSON

  /// Finishes what was requested, refuses later requests, and returns when everything is on disk. Must not be called on a
  /// thread of the store's.
  func stop()
}

extension MemoryStore {
  /// Does one operation and waits for its end.
  public func perform<Reply>(_ request: StoreRequest<Reply>, as access: Access) async throws(MemoryError) -> Reply {
    try await withCheckedContinuation { continuation in
      perform(request, as: access) { continuation.resume(returning: $0) }
    }.get()
  }

  /// The same, blocking the calling thread, which must not be the event loop or a thread of the store's.
  func wait<Reply>(for request: StoreRequest<Reply>, as access: Access) throws(MemoryError) -> Reply {
    let end = Promise<Result<Reply, MemoryError>>()
    perform(request, as: access) { end.fulfill($0) }
    return try end.wait().get()
  }
}

/// A file (or address) whose documents are in a collection.
public struct StoredSource: Sendable, Equatable {
  public var source: String
  /// Of its content, as computed by whoever added it; nil while some of it is still to come.
  public var hash: String?
  /// Milliseconds since 1970.
  public var changed: Int64
}

/// A page of the files of a collection.
public struct SourcePage: Sendable, Equatable {
  public var sources: [StoredSource]
  /// Behind which source the next page begins; nil after the last.
  public var next: String?
}

/// The text of a document that has no vector yet.
public struct PendingText: Sendable, Equatable {
  public var seq: Int64
  public var text: String
}

/// A page of an export.
public struct ExportPage: Sendable, Equatable {
  /// Each ends in a newline.
  public var lines: [UInt8]
  /// Where the next page begins; nil after the last.
  public var next: Int64?
}
