import Wire

/// The personas of a kernel: what is known of them, and what is done with their code.
public enum Personas {
  /// One persona in a list.
  public struct Status: Codable, Sendable, Equatable {
    public enum State: String, Codable, Sendable { case loading, running, unloaded, failed }
    public var name: String
    public var summary: String?
    public var version: String?
    /// As in personas.toml: a name or a path.
    public var library: String
    public var generation: Int?
    public var state: State
    /// Why it has failed.
    public var reason: String?
    /// The method by which people talk to it; nil: it does not run.
    public var talk: String?
    /// Generations that still finish what they were asked.
    public var draining: Int
    /// Generations whose code is in memory, and the numbers of the last of them.
    public var kept: Int
    public var generations: [Int]
    public var received: UInt64
    public var failed: UInt64
    public var queued: Int
    public var busy_ms: Int

    public init(
      name: String, summary: String? = nil, version: String? = nil, library: String, generation: Int? = nil, state: State,
      reason: String? = nil, talk: String? = nil, draining: Int = 0, kept: Int = 0, generations: [Int] = [], received: UInt64 = 0,
      failed: UInt64 = 0, queued: Int = 0, busy_ms: Int = 0
    ) {
      self.name = name
      self.summary = summary
      self.version = version
      self.library = library
      self.generation = generation
      self.state = state
      self.reason = reason
      self.talk = talk
      self.draining = draining
      self.kept = kept
      self.generations = generations
      self.received = received
      self.failed = failed
      self.queued = queued
      self.busy_ms = busy_ms
    }
  }

  /// What a persona's about text says.
  public struct About: Codable, Sendable, Equatable {
    public struct State: Codable, Sendable, Equatable {
      public var writes, reads: UInt32
      public init(writes: UInt32, reads: UInt32) {
        self.writes = writes
        self.reads = reads
      }
    }
    public struct Method: Codable, Sendable, Equatable {
      public var name, summary: String
      /// JSON schemas.
      public var takes: JSON?
      public var gives: JSON?
      public init(name: String, summary: String, takes: JSON? = nil, gives: JSON? = nil) {
        self.name = name
        self.summary = summary
        self.takes = takes
        self.gives = gives
      }
    }
    /// A key of its part of personas.toml.
    public struct Key: Codable, Sendable, Equatable {
      public var name: String
      /// "string", "integer", "number", "boolean", "strings", "table" or "any".
      public var type: String
      /// What it is where the line is missing.
      public var standard: JSON?
      public var required: Bool
      public var summary: String
      public init(name: String, type: String, standard: JSON?, required: Bool, summary: String) {
        self.name = name
        self.type = type
        self.standard = standard
        self.required = required
        self.summary = summary
      }
      private enum CodingKeys: String, CodingKey {
        case name, type, required, summary
        case standard = "default"
      }
    }
    public var name, version: String
    public var summary: String?
    /// The method by which people talk to it.
    public var talk: String
    public var state: State?
    public var needs, wants: [String]
    public var methods: [Method]
    /// The keys that it reads of its part of personas.toml, beside those that every persona has; nil: it does not say which.
    public var config: [Key]?

    public init(
      name: String, version: String, summary: String?, talk: String, state: State?, needs: [String], wants: [String], methods: [Method],
      config: [Key]? = nil
    ) {
      self.name = name
      self.version = version
      self.summary = summary
      self.talk = talk
      self.state = state
      self.needs = needs
      self.wants = wants
      self.methods = methods
      self.config = config
    }
  }

  /// All that is known of one.
  public struct Details: Codable, Sendable, Equatable {
    public struct Library: Codable, Sendable, Equatable {
      /// Where it was read, and its private copy, which is what runs.
      public var path, copy: String
      public var hash: String
      public var warnings: [String]
      public init(path: String, copy: String, hash: String, warnings: [String]) {
        self.path = path
        self.copy = copy
        self.hash = hash
        self.warnings = warnings
      }
    }
    public struct Generation: Codable, Sendable, Equatable {
      public enum Phase: String, Codable, Sendable { case live, draining }
      public var number: Int
      public var version: String
      public var hash: String
      /// Nil: only its code is left.
      public var phase: Phase?
      /// Who waits for answers of it.
      public var askers: [String]?
      /// How many requests of its own it waits for.
      public var requests: Int?
      public init(number: Int, version: String, hash: String, phase: Phase? = nil, askers: [String]? = nil, requests: Int? = nil) {
        self.number = number
        self.version = version
        self.hash = hash
        self.phase = phase
        self.askers = askers
        self.requests = requests
      }
    }
    public struct Values: Codable, Sendable, Equatable {
      public var count, bytes: Int
      public init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
      }
    }
    public struct Saved: Codable, Sendable, Equatable {
      public var schema: UInt32
      public var bytes: Int
      public init(schema: UInt32, bytes: Int) {
        self.schema = schema
        self.bytes = bytes
      }
    }
    public var persona: Status
    public var about: About?
    public var library: Library?
    /// Those that are in memory, at most the last 20.
    public var generations: [Generation]
    /// `state/1`.
    public var values: Values
    /// What `save` wrote, by schema: as it was at the last change of code.
    public var saved: [Saved]
    /// What the model has done for it, as the language service tells it.
    public var tokens: JSON?
    public var last_receipt: Receipt?

    public init(
      persona: Status, about: About?, library: Library?, generations: [Generation], values: Values, saved: [Saved], tokens: JSON?,
      last_receipt: Receipt?
    ) {
      self.persona = persona
      self.about = about
      self.library = library
      self.generations = generations
      self.values = values
      self.saved = saved
      self.tokens = tokens
      self.last_receipt = last_receipt
    }
  }

  // MARK: Methods

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "personas.list", "all personas; `state` is `running`, `loading`, `unloaded` or `failed` (then `reason` says why)",
      gives:
        #"`{"personas":[{"name","summary","version","library","generation","state","talk","draining","kept","generations":[1,2,3],"received","failed","queued","busy_ms"}]}`"#
    )
    public struct Reply: Codable, Sendable, Equatable {
      public var personas: [Status]
      public init(personas: [Status]) { self.personas = personas }
    }
    public init() {}
  }

  public struct Show: KernelMethod {
    public typealias Reply = Details
    public static let method = MethodDescription(
      "personas.show", "all that is known of one; `takes` and `gives` are JSON schemas", takes: #"`{"name"}`"#,
      gives:
        #"`{"persona":{…as in the list},"about":{"name","version","summary","talk","state":{"writes","reads"},"needs","wants","methods":[{"name","summary","takes","gives"}]},"library":{"path","copy","hash","warnings"},"generations":[{"number","version","hash","phase","askers","requests"}],"values":{"count","bytes"},"saved":[{"schema","bytes"}],"tokens":{…},"last_receipt":{…}}`"#
    )
    public var name: String
    public init(name: String) { self.name = name }
  }

  public struct Load: KernelMethod {
    public typealias Reply = Receipt
    public static let method = MethodDescription(
      "personas.load", "load one that is unloaded or has failed", takes: #"`{"name"}`"#, gives: "a receipt")
    public var name: String
    public init(name: String) { self.name = name }
  }

  public struct Reload: KernelMethod {
    public static let method = MethodDescription(
      "personas.reload",
      "replace the code of personas (of all, if none is named); `force` also when the file has not changed; `library` loads that file this once, of one persona",
      takes: #"`{"name"}` or `{"names":[…]}`, optional `"force":true`, `"library":"/path"`"#, gives: #"`{"receipts":[…]}`"#)
    public struct Reply: Codable, Sendable, Equatable {
      public var receipts: [Receipt]
      public init(receipts: [Receipt]) { self.receipts = receipts }
    }
    public var name: String?
    public var names: [String]?
    public var force: Bool?
    public var library: String?
    public init(names: [String], force: Bool = false, library: String? = nil) {
      self.names = names
      self.force = force ? true : nil
      self.library = library
    }
  }

  public struct Rollback: KernelMethod {
    public typealias Reply = Receipt
    public static let method = MethodDescription(
      "personas.rollback", "go back to the version before", takes: #"`{"name"}`"#, gives: "a receipt")
    public var name: String
    public init(name: String) { self.name = name }
  }

  public struct Unload: KernelMethod {
    public typealias Reply = Receipt
    public static let method = MethodDescription(
      "personas.unload", "end one when it has done what it was asked", takes: #"`{"name"}`"#, gives: "a receipt")
    public var name: String
    public init(name: String) { self.name = name }
  }

  public struct Shadow: KernelMethod {
    public static let method = MethodDescription(
      "personas.shadow",
      "prepare the library as a reload does, but play it copies of the last messages in a process of its own; if the asker cancels or goes away, it ends and nothing is kept. A message is as in a recording ([REPLAY.md](REPLAY.md))",
      takes: #"`{"name","last":20}`, optional `"library":"/path"`"#,
      gives: #"`{"persona","version","hash","messages":[{"then":{…},"now":{…},"same","broke"}]}`"#)
    public struct Comparison: Codable, Sendable, Equatable {
      public var then: JSON
      public var now: JSON?
      public var same: Bool?
      /// Why the play ended at this message.
      public var broke: String?
      public init(then: JSON, now: JSON? = nil, same: Bool? = nil, broke: String? = nil) {
        self.then = then
        self.now = now
        self.same = same
        self.broke = broke
      }
    }
    public struct Reply: Codable, Sendable, Equatable {
      public var persona, version, hash: String
      public var messages: [Comparison]
      public init(persona: String, version: String, hash: String, messages: [Comparison]) {
        self.persona = persona
        self.version = version
        self.hash = hash
        self.messages = messages
      }
    }
    public var name: String
    public var last: Int?
    public var library: String?
    public init(name: String, last: Int? = nil, library: String? = nil) {
      self.name = name
      self.last = last
      self.library = library
    }
  }

  public struct Promote: KernelMethod {
    public typealias Reply = Receipt
    public static let method = MethodDescription(
      "personas.promote", "switch to the version that was shadowed", takes: #"`{"name"}`"#, gives: "a receipt")
    public var name: String
    public init(name: String) { self.name = name }
  }

  public struct Drop: KernelMethod {
    public typealias Reply = Nothing
    public static let method = MethodDescription(
      "personas.drop", "forget the version that was shadowed", takes: #"`{"name"}`"#, gives: "`{}`")
    public var name: String
    public init(name: String) { self.name = name }
  }
}

/// The last messages of personas, for replays.
public enum Recordings {
  public struct Get: KernelMethod {
    /// A recording, as docs/REPLAY.md describes it.
    public typealias Reply = JSON
    public static let method = MethodDescription(
      "recordings.get",
      "the last messages of a persona (that failed), or the one of that token, as a recording ([REPLAY.md](REPLAY.md)); `left_out`: so many were too large",
      takes: #"`{"name","last":1,"failed":false}` or `{"name","token"}`"#, gives: "a recording")
    public var name: String
    public var last: Int?
    public var failed: Bool?
    public var token: UInt64?
    public init(name: String, last: Int? = nil, failed: Bool? = nil, token: UInt64? = nil) {
      self.name = name
      self.last = last
      self.failed = failed
      self.token = token
    }
  }

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "recordings.list", "a line for each, oldest first; `end` is `reply` or an error's code", takes: #"`{"name"}`, optional `"last"`"#,
      gives:
        #"`{"persona","messages":[{"token","source","method","topic","text","steps","bytes","generation","ms","end","error","too_large"}]}`"#
    )
    public struct Entry: Codable, Sendable, Equatable {
      public var token: UInt64
      public var source, method: String
      public var topic: String?
      /// How what was said begins.
      public var text: String?
      public var steps, bytes, generation, ms: Int
      public var end: String
      public var error: String?
      public var too_large: Bool?
      public init(
        token: UInt64, source: String, method: String, topic: String? = nil, text: String? = nil, steps: Int, bytes: Int, generation: Int,
        ms: Int, end: String, error: String? = nil, too_large: Bool? = nil
      ) {
        self.token = token
        self.source = source
        self.method = method
        self.topic = topic
        self.text = text
        self.steps = steps
        self.bytes = bytes
        self.generation = generation
        self.ms = ms
        self.end = end
        self.error = error
        self.too_large = too_large
      }
    }
    public struct Reply: Codable, Sendable, Equatable {
      public var persona: String
      public var messages: [Entry]
      public init(persona: String, messages: [Entry]) {
        self.persona = persona
        self.messages = messages
      }
    }
    public var name: String
    public var last: Int?
    public init(name: String, last: Int? = nil) {
      self.name = name
      self.last = last
    }
  }
}
