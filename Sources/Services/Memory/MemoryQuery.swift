/// What is looked for in a collection.
public struct MemoryQuery: Sendable {
  public enum Mode: String, Sendable, CaseIterable { case words, vectors, fused }

  public var text: String?
  public var embedding: Embedding?
  /// How many documents at most.
  public var limit: Int
  public var filter: Filter
  /// Nil takes what is given: words for a text, vectors for a vector, both fused.
  public var mode: Mode?
  public var fusion: Fusion

  public init(
    text: String? = nil, embedding: Embedding? = nil, limit: Int = 10, filter: Filter = .everything, mode: Mode? = nil,
    fusion: Fusion = Fusion()
  ) {
    self.text = text
    self.embedding = embedding
    self.limit = limit
    self.filter = filter
    self.mode = mode
    self.fusion = fusion
  }
}

/// A document that a query has found.
public struct Hit: Sendable, Equatable {
  public var document: StoredDocument
  /// Larger is better; to be compared within one query only.
  public var score: Double
  /// The cosine of the two vectors, if it was found by its vector.
  public var similarity: Double?
  /// BM25, larger is better, if it was found by its words.
  public var wordScore: Double?
}

/// Which documents: all that have one of these ids (nil: any id) and pass the filter.
public struct Selection: Sendable {
  public var ids: [String]?
  public var filter: Filter
  /// Nil: all of them, which is an error if there are more than `MemoryLimits.results`.
  public var limit: Int?
  public var offset: Int
  /// Whether `get` tells the vectors, too.
  public var withVectors: Bool

  public init(ids: [String]? = nil, filter: Filter = .everything, limit: Int? = nil, offset: Int = 0, withVectors: Bool = false) {
    self.ids = ids
    self.filter = filter
    self.limit = limit
    self.offset = offset
    self.withVectors = withVectors
  }

  func check(_ limits: MemoryLimits) throws(MemoryError) {
    guard let ids, ids.count > limits.batch else { return }
    throw MemoryError(.tooLarge, "\(ids.count) ids at once; \(limits.batch) are the limit")
  }
}
