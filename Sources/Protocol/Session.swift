import Wire

/// The first line of a client that wants to be welcomed.
public struct Hello: Codable, Sendable, Equatable {
  /// The version of the wire that it speaks: 1.
  public var hello: Int
  /// Nil: the kernel gives it a name.
  public var name: String?
  /// True: if somebody has the name already, the kernel gives one like it that nobody has, as "selina-2".
  public var distinct: Bool?

  public init(name: String?, distinct: Bool = false) {
    hello = 1
    self.name = name
    self.distinct = distinct ? true : nil
  }
}

/// What a client is told when it has said hello.
public struct Welcome: Codable, Sendable, Equatable {
  public struct Limits: Codable, Sendable, Equatable {
    public var frame_bytes, queue_bytes, hops, deadline_ms: Int
    public init(frame_bytes: Int, queue_bytes: Int, hops: Int, deadline_ms: Int) {
      self.frame_bytes = frame_bytes
      self.queue_bytes = queue_bytes
      self.hops = hops
      self.deadline_ms = deadline_ms
    }
  }
  public struct Persona: Codable, Sendable, Equatable {
    public var name: String
    public var summary: String?
    public var generation: Int?
    /// The method by which people talk to it; nil: it does not run.
    public var talk: String?
    public init(name: String, summary: String? = nil, generation: Int? = nil, talk: String? = nil) {
      self.name = name
      self.summary = summary
      self.generation = generation
      self.talk = talk
    }
  }
  public var version: String
  public var wire: Int
  /// Its own name.
  public var name: String
  /// How many grams the kernel has routed.
  public var seq: UInt64
  public var resumed: Bool
  public var limits: Limits
  public var personas: [Persona]

  public init(version: String, name: String, seq: UInt64, limits: Limits, personas: [Persona]) {
    self.version = version
    wire = 1
    self.name = name
    self.seq = seq
    resumed = false
    self.limits = limits
    self.personas = personas
  }
}

/// The payload of a `delta`.
public struct Delta: Codable, Sendable, Equatable {
  /// A piece of the answer's text.
  public var text: String?
  /// A step of the work, as persona.h describes `progress`: `{"kind":"plan"|"part"|"status"|"tool"|"note", …}`.
  public var event: JSON?
  /// Whose words these are, where several speak under one answer; nil: of the one who was asked.
  public var speaker: String?

  public init(text: String? = nil, event: JSON? = nil, speaker: String? = nil) {
    self.text = text
    self.event = event
    self.speaker = speaker
  }

  private enum CodingKeys: String, CodingKey { case text, event, speaker }

  /// Other clients answer, too: what they leave out, or write in another way than is known here, takes nothing from the rest.
  public init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    /// A value of another type is none; one that cannot be read as it stands is for the reader to deal with.
    func string(_ key: CodingKeys) throws -> String? {
      do { return try members.decodeIfPresent(String.self, forKey: key) } catch DecodingError.typeMismatch { return nil }
    }
    text = try string(.text)
    event = try members.decodeIfPresent(JSON.self, forKey: .event)
    speaker = try string(.speaker)
  }
}

/// Are you there?
public struct Ping: KernelMethod {
  public typealias Reply = Nothing
  public static let method = MethodDescription("ping", "is the kernel there?", gives: "`{}`")
  public init() {}
}

/// Takes back a request of one's own.
public struct Cancel: KernelMethod {
  public static let method = MethodDescription(
    "cancel", "take back a request of one's own", takes: #"`{"id"}`"#, gives: #"`{"cancelled":true}`"#, callers: .clients)

  /// What stands in a request's `id`.
  public enum RequestID: Codable, Sendable, Equatable {
    case number(Int64)
    case text(String)

    public init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let number = try? value.decode(Int64.self) { self = .number(number) } else { self = .text(try value.decode(String.self)) }
    }
    public func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .number(let number): try value.encode(number)
      case .text(let text): try value.encode(text)
      }
    }
    /// As it stands in a gram's line.
    public var raw: [UInt8] {
      switch self {
      case .number(let number): return Array(String(number).utf8)
      case .text(let text):
        var raw: [UInt8] = []
        raw.appendJSON(text)
        return raw
      }
    }
  }
  public struct Reply: Codable, Sendable, Equatable {
    /// False: there is no such request any more.
    public var cancelled: Bool
    public init(cancelled: Bool) { self.cancelled = cancelled }
  }

  public var id: RequestID
  public init(id: RequestID) { self.id = id }
}

/// Copies of what others send.
public struct Tap: KernelMethod {
  public typealias Reply = Tap
  public static let method = MethodDescription(
    "tap", "copies of the grams of others, as events of method `tap`; some are left out when the client reads too slowly",
    takes: #"`{"on":true}`"#, gives: #"`{"on":true}`"#, callers: .clients)

  /// The payload of an event of method `tap`.
  public struct Event: Codable, Sendable, Equatable {
    public var gram: JSON?
    /// So many were left out before this.
    public var missed: Int?
    public init(gram: JSON? = nil, missed: Int? = nil) {
      self.gram = gram
      self.missed = missed
    }
  }

  public var on: Bool
  public init(on: Bool) { self.on = on }
}

/// The counters of the kernel and its services.
public struct Stats: KernelMethod {
  /// An instance that does not come back from a call of its code.
  public struct Stuck: Codable, Sendable, Equatable {
    public var persona: String
    public var generation: Int
    /// Another generation answers in its place; the thread cannot be ended and goes on until the kernel does.
    public var replaced: Bool
    /// For how long it has been in the call, and how much of a processor's time its thread has had.
    public var busy_ms, cpu_ms: Int
    public init(persona: String, generation: Int, replaced: Bool, busy_ms: Int, cpu_ms: Int) {
      self.persona = persona
      self.generation = generation
      self.replaced = replaced
      self.busy_ms = busy_ms
      self.cpu_ms = cpu_ms
    }
  }
  public static let method = MethodDescription(
    "stats", "counters of the kernel, its personas, the model and the memory",
    gives:
      #"`{"uptime_s","version","pid","memory_kb","connections","requests","messages","errors","undelivered","stuck":[{"persona","generation","replaced","busy_ms","cpu_ms"}],"personas":[…],"llm":{…},"memory":{…}}`"#
  )
  public struct Reply: Codable, Sendable, Equatable {
    public var uptime_s: Int
    public var version: String
    public var pid: Int32
    public var memory_kb: Int
    public var connections: Int
    public var requests: Int
    public var messages: UInt64
    public var errors: UInt64
    public var undelivered: UInt64
    public var stuck: [Stuck]?
    public var personas: [Personas.Status]
    /// What the services count, as they tell it; null: there is none.
    public var llm: JSON
    public var memory: JSON

    public init(
      uptime_s: Int, version: String, pid: Int32, memory_kb: Int, connections: Int, requests: Int, messages: UInt64, errors: UInt64,
      undelivered: UInt64, stuck: [Stuck]? = nil, personas: [Personas.Status], llm: JSON, memory: JSON
    ) {
      self.uptime_s = uptime_s
      self.version = version
      self.pid = pid
      self.memory_kb = memory_kb
      self.connections = connections
      self.requests = requests
      self.messages = messages
      self.errors = errors
      self.undelivered = undelivered
      self.stuck = stuck
      self.personas = personas
      self.llm = llm
      self.memory = memory
    }
  }
  public init() {}
}

/// personas.toml.
public enum Config {
  /// Reads it again.
  public struct Reload: KernelMethod {
    public static let method = MethodDescription(
      "config.reload", "read personas.toml again, as SIGHUP does; `libraries` says what a persona that comes is loaded from, this once",
      takes: #"optional `{"libraries":{NAME:"/path"}}`"#,
      gives:
        #"`{"added":[…],"removed":[…],"changed":[…],"keys":{NAME:["prompt",…]},"refused":{NAME:"why"},"applied":["bus.hops",…],"restart":["kernel.socket",…]}`"#
    )
    public struct Reply: Codable, Sendable, Equatable {
      /// Personas.
      public var added, removed, changed: [String]
      /// Which keys of those that have changed are new, by the persona's name.
      public var keys: [String: [String]]?
      /// Personas that cannot come, and why.
      public var refused: [String: String]?
      /// Keys of other parts whose new values are in force.
      public var applied: [String]
      /// Keys whose new values take effect when the kernel is started again.
      public var restart: [String]

      public init(
        added: [String] = [], removed: [String] = [], changed: [String] = [], keys: [String: [String]]? = nil,
        refused: [String: String]? = nil, applied: [String] = [], restart: [String] = []
      ) {
        self.added = added
        self.removed = removed
        self.changed = changed
        self.keys = keys
        self.refused = refused
        self.applied = applied
        self.restart = restart
      }

      public var isEmpty: Bool { self == Reply() }

      /// What two readings have changed, one after the other.
      public func followed(by later: Reply) -> Reply {
        func union(_ a: [String], _ b: [String]) -> [String] { a + b.filter { !a.contains($0) } }
        return Reply(
          added: union(added, later.added), removed: union(removed, later.removed), changed: union(changed, later.changed),
          keys: later.keys.map { (keys ?? [:]).merging($0, uniquingKeysWith: union) } ?? keys, refused: later.refused ?? refused,
          applied: union(applied, later.applied), restart: union(restart, later.restart))
      }
    }
    public var libraries: [String: String]?
    public init(libraries: [String: String]? = nil) { self.libraries = libraries }
  }
}

/// Topics, and who listens to them.
public enum Topics {
  public struct Count: Codable, Sendable, Equatable {
    /// Without its '#'.
    public var topic: String
    public var subscribers: Int
    public init(topic: String, subscribers: Int) {
      self.topic = topic
      self.subscribers = subscribers
    }
  }

  public struct Subscribe: KernelMethod {
    public typealias Reply = Count
    public static let method = MethodDescription(
      "topics.subscribe", "get the grams of a topic", takes: #"`{"topic":"weather"}`"#, gives: #"`{"topic":"weather","subscribers":2}`"#,
      callers: .clients)
    public var topic: String
    public init(topic: String) { self.topic = topic }
  }

  public struct Unsubscribe: KernelMethod {
    public typealias Reply = Count
    public static let method = MethodDescription(
      "topics.unsubscribe", "get them no more", takes: #"`{"topic":"weather"}`"#, gives: #"`{"topic":"weather","subscribers":1}`"#,
      callers: .clients)
    public var topic: String
    public init(topic: String) { self.topic = topic }
  }

  public struct List: KernelMethod {
    public static let method = MethodDescription(
      "topics.list", "the topics that somebody listens to", gives: #"`{"topics":[{"topic","subscribers"}]}`"#)
    public struct Reply: Codable, Sendable, Equatable {
      public var topics: [Count]
      public init(topics: [Count]) { self.topics = topics }
    }
    public init() {}
  }
}
