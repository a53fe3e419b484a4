import Wire

/// The shared memory as the wire tells it: collections of documents, and what is found in them (docs/MEMORY.md).
public enum Memory {
  /// Who may read or write a collection besides its owner.
  public enum Circle: Codable, Sendable, Equatable {
    case everyone
    case these([String])

    public init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let word = try? value.decode(String.self) {
        guard word == "everyone" else {
          throw DecodingError.dataCorruptedError(in: value, debugDescription: "it is \"everyone\" or a list of names")
        }
        self = .everyone
      } else {
        self = .these(try value.decode([String].self))
      }
    }
    public func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .everyone: try value.encode("everyone")
      case .these(let names): try value.encode(names)
      }
    }
  }

  public struct Collection: Codable, Sendable, Equatable {
    public var name, owner: String
    public var readers, writers: Circle
    /// The choice of an embedder; nil: the usual one.
    public var embedder: String?
    /// The model of its vectors; nil: it has none.
    public var model: String?
    public var dimension: Int?
    public var documents, vectors: Int
    /// Milliseconds since 1970.
    public var created: Int64
    public init(
      name: String, owner: String, readers: Circle, writers: Circle, embedder: String?, model: String?, dimension: Int?, documents: Int,
      vectors: Int, created: Int64
    ) {
      self.name = name
      self.owner = owner
      self.readers = readers
      self.writers = writers
      self.embedder = embedder
      self.model = model
      self.dimension = dimension
      self.documents = documents
      self.vectors = vectors
      self.created = created
    }
  }

  /// A document as it is put in.
  public struct NewDocument: Codable, Sendable, Equatable {
    /// Nil: the memory gives one.
    public var id: String?
    public var text: String?
    /// Strings, numbers, booleans, and lists of these; null removes a key.
    public var metadata: [String: JSON]?
    public var source, place: String?
    public var embedding: [Double]?
    public init(
      id: String? = nil, text: String? = nil, metadata: [String: JSON]? = nil, source: String? = nil, place: String? = nil,
      embedding: [Double]? = nil
    ) {
      self.id = id
      self.text = text
      self.metadata = metadata
      self.source = source
      self.place = place
      self.embedding = embedding
    }
  }

  /// A document as it is kept.
  public struct Document: Codable, Sendable, Equatable {
    public var id, text: String
    public var metadata: [String: JSON]
    /// Who wrote its text.
    public var persona: String
    /// Milliseconds since 1970.
    public var added: Int64
    /// Nil: as it was added.
    public var changed: Int64?
    public var message, source, place: String?
    /// There if it was asked for and there is one.
    public var vector: [Double]?
    public init(
      id: String, text: String, metadata: [String: JSON], persona: String, added: Int64, changed: Int64? = nil, message: String? = nil,
      source: String? = nil, place: String? = nil, vector: [Double]? = nil
    ) {
      self.id = id
      self.text = text
      self.metadata = metadata
      self.persona = persona
      self.added = added
      self.changed = changed
      self.message = message
      self.source = source
      self.place = place
      self.vector = vector
    }
  }

  /// What a query has found.
  public struct Passage: Codable, Sendable, Equatable {
    public var collection: String
    public var id, text: String
    public var metadata: [String: JSON]
    public var persona: String
    public var added: Int64
    public var changed: Int64?
    public var message, source, place: String?
    public var vector: [Double]?
    /// From 0 to 1: best first.
    public var score: Double
    /// Of the vectors; and how well the words fit.
    public var similarity, words: Double?
    public init(_ document: Document, collection: String, score: Double, similarity: Double? = nil, words: Double? = nil) {
      self.collection = collection
      id = document.id
      text = document.text
      metadata = document.metadata
      persona = document.persona
      added = document.added
      changed = document.changed
      message = document.message
      source = document.source
      place = document.place
      vector = document.vector
      self.score = score
      self.similarity = similarity
      self.words = words
    }
  }

  /// Where a reply says that it knows something from.
  public struct Citation: Codable, Sendable, Equatable {
    public var collection, id: String
    /// The file or message that it comes from, and where in it.
    public var source, place: String?
    public var score: Double?
    public init(collection: String, id: String, source: String? = nil, place: String? = nil, score: Double? = nil) {
      self.collection = collection
      self.id = id
      self.source = source
      self.place = place
      self.score = score
    }
  }

  // MARK: Replies that several operations share

  public struct OneCollection: Codable, Sendable, Equatable {
    public var collection: Collection
    public init(collection: Collection) { self.collection = collection }
  }
  public struct Documents: Codable, Sendable, Equatable {
    public var documents: [Document]
    public init(documents: [Document]) { self.documents = documents }
  }
  public struct Counted: Codable, Sendable, Equatable {
    public var count: Int
    /// Of the documents that were put in, in their order.
    public var ids: [String]?
    /// What was not done as wanted, as vectors that follow later.
    public var note: String?
    public init(count: Int, ids: [String]? = nil, note: String? = nil) {
      self.count = count
      self.ids = ids
      self.note = note
    }
  }
}
