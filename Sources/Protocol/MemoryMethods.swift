import Wire

/// The operations of the shared memory: docs/MEMORY.md.
///
/// A client calls them at `KERNEL`; a persona by `rag/1`, without the "memory." of their names.
public enum MemoryMethods {
  // MARK: Collections

  public struct Create: KernelMethod {
    public typealias Reply = Memory.OneCollection
    public static let method = MethodDescription(
      "memory.create", "make a collection, which belongs to whoever asks",
      takes:
        #"`{"collection"}`, optional `"shared":true` (or `"readers"`, `"writers"`: names, or `"everyone"`), `"embedder"`, `"if_missing":true`"#,
      gives: #"`{"collection":{…}}`"#, callers: .clients)
    public var collection: String
    public var shared: Bool?
    public var readers, writers: Memory.Circle?
    public var embedder: String?
    public var if_missing: Bool?
    public init(
      collection: String, shared: Bool? = nil, readers: Memory.Circle? = nil, writers: Memory.Circle? = nil, embedder: String? = nil,
      if_missing: Bool? = nil
    ) {
      self.collection = collection
      self.shared = shared
      self.readers = readers
      self.writers = writers
      self.embedder = embedder
      self.if_missing = if_missing
    }
  }

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "memory.list", "the collections that the asker may read, page by page", takes: #"optional `"after"`"#,
      gives: #"`{"collections":[…],"next"}`"#, callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var collections: [Memory.Collection]
      /// `after` of the next page; nil: this was the last.
      public var next: String?
      public init(collections: [Memory.Collection], next: String? = nil) {
        self.collections = collections
        self.next = next
      }
    }
    /// "OWNER/NAME" of the last one that is known.
    public var after: String?
    public init(after: String? = nil) { self.after = after }
  }

  public struct Show: KernelMethod {
    public typealias Reply = Memory.OneCollection
    public static let method = MethodDescription(
      "memory.show", "one of them", takes: #"`{"collection"}`"#,
      gives:
        #"`{"collection":{"name","owner","readers","writers","embedder","model","dimension","documents","vectors","created"}}`"#,
      callers: .clients)
    public var collection: String
    public init(collection: String) { self.collection = collection }
  }

  public struct Share: KernelMethod {
    public typealias Reply = Memory.OneCollection
    public static let method = MethodDescription(
      "memory.share", "change who may read and write; its owner may", takes: #"`{"collection"}`, and the rights as in `create`"#,
      gives: #"`{"collection":{…}}`"#, callers: .clients)
    public var collection: String
    public var shared: Bool?
    public var readers, writers: Memory.Circle?
    public init(collection: String, shared: Bool? = nil, readers: Memory.Circle? = nil, writers: Memory.Circle? = nil) {
      self.collection = collection
      self.shared = shared
      self.readers = readers
      self.writers = writers
    }
  }

  public struct Drop: KernelMethod {
    public typealias Reply = Memory.OneCollection
    public static let method = MethodDescription(
      "memory.drop", "remove one with all that is in it; its owner may", takes: #"`{"collection"}`"#, gives: #"`{"collection":{…}}`"#,
      callers: .clients)
    public var collection: String
    public init(collection: String) { self.collection = collection }
  }

  // MARK: Memory.Documents

  public struct Add: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.add", "put documents in; an id that is there is an error",
      takes: #"`{"collection","documents":[{"id","text","metadata","source","place","embedding"}]}`, optional `"model"` of the embeddings"#,
      gives: #"`{"count","ids"}`"#, callers: .clients)
    public var collection: String
    public var documents: [Memory.NewDocument]
    public var model: String?
    public init(collection: String, documents: [Memory.NewDocument], model: String? = nil) {
      self.collection = collection
      self.documents = documents
      self.model = model
    }
  }

  public struct Upsert: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.upsert", "put documents in, or change those that are there: metadata are merged key by key (null removes a key)",
      takes: "as `add`", gives: #"`{"count","ids"}`"#, callers: .clients)
    public var collection: String
    public var documents: [Memory.NewDocument]
    public var model: String?
    public init(collection: String, documents: [Memory.NewDocument], model: String? = nil) {
      self.collection = collection
      self.documents = documents
      self.model = model
    }
  }

  public struct Update: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.update", "change documents; an id that is not there is an error", takes: "as `add`", gives: #"`{"count","ids"}`"#,
      callers: .clients)
    public var collection: String
    public var documents: [Memory.NewDocument]
    public var model: String?
    public init(collection: String, documents: [Memory.NewDocument], model: String? = nil) {
      self.collection = collection
      self.documents = documents
      self.model = model
    }
  }

  public struct Query: KernelMethod {
    public enum Mode: String, Codable, Sendable, CaseIterable { case fused, words, vectors }
    public static let method = MethodDescription(
      "memory.query", "the best passages for a text, a vector, or both",
      takes:
        #"`{"collection","text"}`, optional `"limit"` (10), `"where"`, `"where_document"`, `"mode"` (`words`, `vectors`, `fused`), `"embedding"` with `"model"`"#,
      gives: #"`{"passages":[{"id","text","score","similarity","words","source","place","metadata","persona","added"}]}`"#,
      callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var passages: [Memory.Passage]
      /// Why it was not searched as wanted, as by words alone.
      public var note: String?
      public init(passages: [Memory.Passage], note: String? = nil) {
        self.passages = passages
        self.note = note
      }
    }
    public var collection: String
    public var text: String?
    public var limit: Int?
    /// `where`
    public var filter: JSON?
    public var where_document: JSON?
    public var mode: Mode?
    public var embedding: [Double]?
    public var model: String?
    public enum CodingKeys: String, CodingKey {
      case collection, text, limit
      case filter = "where"
      case where_document, mode, embedding, model
    }
    public init(
      collection: String, text: String?, limit: Int? = nil, filter: JSON? = nil, where_document: JSON? = nil, mode: Mode? = nil,
      embedding: [Double]? = nil, model: String? = nil
    ) {
      self.collection = collection
      self.text = text
      self.limit = limit
      self.filter = filter
      self.where_document = where_document
      self.mode = mode
      self.embedding = embedding
      self.model = model
    }
  }

  public struct Get: KernelMethod {
    public typealias Reply = Memory.Documents
    public static let method = MethodDescription(
      "memory.get", "documents, in the order in which they came",
      takes: #"`{"collection"}`, optional `"ids"`, `"where"`, `"where_document"`, `"limit"`, `"offset"`, `"vectors":true`"#,
      gives: #"`{"documents":[…]}`"#, callers: .clients)
    public var collection: String
    public var ids: [String]?
    /// `where`
    public var filter: JSON?
    public var where_document: JSON?
    public var limit, offset: Int?
    public var vectors: Bool?
    public enum CodingKeys: String, CodingKey {
      case collection, ids
      case filter = "where"
      case where_document, limit, offset, vectors
    }
    public init(
      collection: String, ids: [String]? = nil, filter: JSON? = nil, where_document: JSON? = nil, limit: Int? = nil, offset: Int? = nil,
      vectors: Bool? = nil
    ) {
      self.collection = collection
      self.ids = ids
      self.filter = filter
      self.where_document = where_document
      self.limit = limit
      self.offset = offset
      self.vectors = vectors
    }
  }

  public struct Peek: KernelMethod {
    public typealias Reply = Memory.Documents
    public static let method = MethodDescription(
      "memory.peek", "the first documents, for a look", takes: #"`{"collection"}`, optional `"limit"` (10)"#,
      gives: #"`{"documents":[…]}`"#,
      callers: .clients)
    public var collection: String
    public var limit: Int?
    public init(collection: String, limit: Int? = nil) {
      self.collection = collection
      self.limit = limit
    }
  }

  public struct Count: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.count", "how many documents there are", takes: #"`{"collection"}`, optional `"where"`, `"where_document"`"#,
      gives: #"`{"count"}`"#, callers: .clients)
    public var collection: String
    /// `where`
    public var filter: JSON?
    public var where_document: JSON?
    public enum CodingKeys: String, CodingKey {
      case collection
      case filter = "where"
      case where_document
    }
    public init(collection: String, filter: JSON? = nil, where_document: JSON? = nil) {
      self.collection = collection
      self.filter = filter
      self.where_document = where_document
    }
  }

  public struct Delete: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.delete", "remove documents; ids that are not there are no error",
      takes: #"`{"collection"}` and `"ids"`, `"where"` or `"where_document"`"#, gives: #"`{"count"}`"#, callers: .clients)
    public var collection: String
    public var ids: [String]?
    /// `where`
    public var filter: JSON?
    public var where_document: JSON?
    public enum CodingKeys: String, CodingKey {
      case collection, ids
      case filter = "where"
      case where_document
    }
    public init(collection: String, ids: [String]? = nil, filter: JSON? = nil, where_document: JSON? = nil) {
      self.collection = collection
      self.ids = ids
      self.filter = filter
      self.where_document = where_document
    }
  }

  public struct Forget: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.forget", "remove everything that comes from there, also from the bytes on the disk",
      takes: #"one of `"source"`, `"message"`, `"persona"`; optional `"collection"`"#, gives: #"`{"count"}`"#, callers: .clients)
    public var source, message, persona: String?
    public var collection: String?
    public init(source: String? = nil, message: String? = nil, persona: String? = nil, collection: String? = nil) {
      self.source = source
      self.message = message
      self.persona = persona
      self.collection = collection
    }
  }

  // MARK: Files

  public struct Sources: KernelMethod {
    public static let method = MethodDescription(
      "memory.sources", "the files of a collection, page by page", takes: #"`{"collection"}`, optional `"under"`, `"after"`"#,
      gives: #"`{"sources":[{"source","hash","changed"}],"next"}`"#, callers: .clients)
    public struct Source: Codable, Sendable, Equatable {
      public var source: String
      /// Nil: not all of it has come.
      public var hash: String?
      public var changed: Int64
      public init(source: String, hash: String?, changed: Int64) {
        self.source = source
        self.hash = hash
        self.changed = changed
      }
    }
    public struct Reply: Codable, Sendable, Equatable {
      public var sources: [Source]
      /// `after` of the next page; nil: this was the last.
      public var next: String?
      public init(sources: [Source], next: String? = nil) {
        self.sources = sources
        self.next = next
      }
    }
    public var collection: String
    public var under, after: String?
    public init(collection: String, under: String? = nil, after: String? = nil) {
      self.collection = collection
      self.under = under
      self.after = after
    }
  }

  public struct Replace: KernelMethod {
    public typealias Reply = Memory.Counted
    public static let method = MethodDescription(
      "memory.replace", "put documents in the place of all that a file had; only the first part has `first`, only the last a hash",
      takes: #"`{"collection","source","documents"}`, optional `"hash"`, `"first"` (true), `"model"`"#, gives: #"`{"count"}`"#,
      callers: .clients)
    public var collection, source: String
    public var hash: String?
    public var documents: [Memory.NewDocument]
    public var first: Bool?
    public var model: String?
    public init(
      collection: String, source: String, hash: String? = nil, documents: [Memory.NewDocument], first: Bool? = nil, model: String? = nil
    ) {
      self.collection = collection
      self.source = source
      self.hash = hash
      self.documents = documents
      self.first = first
      self.model = model
    }
  }

  // MARK: The whole

  public struct Export: KernelMethod {
    public static let method = MethodDescription(
      "memory.export", "all of a collection as lines of JSON, page by page", takes: #"`{"collection"}`, optional `"after"`"#,
      gives: #"`{"lines","next"}`"#, callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var lines: String
      /// `after` of the next page; nil: this was the last.
      public var next: Int64?
      public init(lines: String, next: Int64?) {
        self.lines = lines
        self.next = next
      }
    }
    public var collection: String
    public var after: Int64?
    public init(collection: String, after: Int64? = nil) {
      self.collection = collection
      self.after = after
    }
  }

  public struct Reembed: KernelMethod {
    public static let method = MethodDescription(
      "memory.reembed", "have the vectors made anew, or those that are missing, in the background",
      takes: #"`{"collection"}`, optional `"embedder"`"#, gives: #"`{"collection","waiting"}`"#, callers: .clients)
    public struct Reply: Codable, Sendable, Equatable {
      public var collection: Memory.Collection
      public var waiting: Int
      public init(collection: Memory.Collection, waiting: Int) {
        self.collection = collection
        self.waiting = waiting
      }
    }
    public var collection: String
    public var embedder: String?
    public init(collection: String, embedder: String? = nil) {
      self.collection = collection
      self.embedder = embedder
    }
  }
}
