import Wire

/// A document as it is added, or what is to change of one.
public struct Document: Sendable, Equatable {
  /// Tells it from the others of its collection.
  public var id: String
  /// Nil leaves the text as it is; a new document then has none. A new text without a vector takes the old vector away.
  public var text: String?
  /// By key: strings, numbers, booleans, and lists of these. Null removes the key. Keys do not begin with "$".
  public var metadata: [String: JSON]
  /// Nil leaves the vector as it is; without one a document is found by its words alone.
  public var embedding: Embedding?
  /// Where the text comes from. Kept if there is a text or nothing was known.
  public var origin: Origin

  public init(id: String, text: String? = nil, metadata: [String: JSON] = [:], embedding: Embedding? = nil, origin: Origin = Origin()) {
    self.id = id
    self.text = text
    self.metadata = metadata
    self.embedding = embedding
    self.origin = origin
  }
}

/// A vector and the model that made it; only vectors of one model are compared. One of zeros says nothing, and is not kept.
public struct Embedding: Sendable, Equatable {
  /// The id of the model, with its version.
  public var model: String
  public var vector: [Float]

  public init(model: String, vector: [Float]) {
    self.model = model
    self.vector = vector
  }
}

/// Where a text comes from, as far as that is known.
public struct Origin: Sendable, Equatable {
  /// The message on whose behalf it was added.
  public var message: String?
  /// The file or address.
  public var source: String?
  /// Where in it: a heading, a page, lines.
  public var place: String?

  public init(message: String? = nil, source: String? = nil, place: String? = nil) {
    self.message = message
    self.source = source
    self.place = place
  }

  /// What a `forget` takes away together.
  public enum Part: Sendable, Equatable {
    case source(String)
    case message(String)
    /// What this persona, or user, has written.
    case persona(String)
  }
}

/// A document as it stands in the store.
public struct StoredDocument: Sendable, Equatable {
  public var id: String
  public var text: String
  public var metadata: [String: JSON]
  /// Who wrote its present text.
  public var persona: String
  /// When it was added, and when something of it was changed last: milliseconds since 1970.
  public var added: Int64
  public var changed: Int64
  public var origin: Origin
  /// There if the request wanted it and the document has one.
  public var vector: [Float]?
}
