import System

/// A named set of documents, with an owner and rights.
///
/// Each owner has names of its own. "NAME" is the asker's own collection of that name, else the one of another owner that
/// the asker may read; if there are several, "OWNER/NAME" tells them apart.
public struct MemoryCollection: Sendable, Equatable {
  public var name: String
  /// The persona that made it, or "USER".
  public var owner: String
  public var rights: Rights
  /// Which embedder makes its vectors, in the words of `[memory] embedder`; nil: the one that is set there.
  public var embedder: String?
  /// The embedding model of its vectors, by its id; nil before the first vector.
  public var model: String?
  /// Of its vectors; nil before the first.
  public var dimension: Int?
  /// How many documents are in it.
  public var documents: Int
  /// How many of them have a vector.
  public var vectors: Int
  /// Milliseconds since 1970.
  public var created: Int64

  public var fullName: String { "\(owner)/\(name)" }
}

/// Who, beside the owner, may read a collection, and who may write to it. Writers may read.
public struct Rights: Sendable, Equatable {
  public enum Circle: Sendable, Equatable {
    case everyone
    case these(Set<String>)

    func contains(_ name: String) -> Bool {
      switch self {
      case .everyone: true
      case .these(let names): names.contains(name)
      }
    }
  }

  public var readers: Circle
  public var writers: Circle

  public init(readers: Circle, writers: Circle) {
    self.readers = readers
    self.writers = writers
  }

  public static let ownerOnly = Rights(readers: .these([]), writers: .these([]))
  public static let shared = Rights(readers: .everyone, writers: .everyone)
  /// Everybody may read; the owner writes.
  public static let published = Rights(readers: .everyone, writers: .these([]))
}
