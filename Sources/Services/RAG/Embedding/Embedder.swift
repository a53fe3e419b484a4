/// Makes vectors of texts, so that what means something similar lies near.
public protocol Embedder: Sendable {
  /// Names model and version: vectors of different ones are never compared. As in "wordllama-0.4.0/256".
  var id: String { get }
  var dimension: Int { get }

  /// One vector for each text, in their order; of a text without any words all zeros.
  func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]]
}

/// Why there are no vectors.
public struct EmbeddingError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What happened, where, and what to do.
  public let description: String
  public init(_ description: String) { self.description = description }
}
