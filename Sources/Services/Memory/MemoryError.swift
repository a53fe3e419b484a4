/// Why an operation on the memory was not done; then nothing of it was.
public struct MemoryError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The closed set of reasons.
  public enum Kind: String, Sendable {
    /// The request makes no sense as it stands.
    case invalid
    /// No such collection or document.
    case notFound
    /// The name or id is taken.
    case exists
    /// Whoever asks may not.
    case denied
    /// Over a limit (`MemoryLimits`).
    case tooLarge
    /// The vector comes from another embedding model than the collection's, or has another dimension.
    case otherEmbedder
    /// A file cannot be read or written, another process has the store.
    case storage
    /// There is no room on the disk: what takes something out may still succeed.
    case diskFull
    /// The file is no store, is damaged, or was made by a newer version.
    case damaged
    /// Too much is waiting for the memory already (`MemoryLimits`): the same operation may succeed later.
    case queueFull
    /// The store has been stopped.
    case stopped
  }

  public var kind: Kind
  /// What happened, where, and what to do.
  public var message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }
}
