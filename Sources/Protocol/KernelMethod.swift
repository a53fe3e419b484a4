/// A method of `KERNEL`: the value is the request's payload, `Reply` is the reply's.
///
/// The wire is written here once. The kernel's dispatch, the client's calls, `parlor send --list` and the tables of docs/WIRE.md and
/// docs/MEMORY.md all come from these types.
public protocol KernelMethod: Codable, Sendable {
  associatedtype Reply: Codable & Sendable
  static var method: MethodDescription { get }
}

/// What a method is called, and what it says of itself.
public struct MethodDescription: Sendable, Equatable {
  /// Who may call it.
  public enum Callers: String, Sendable {
    /// Clients and personas.
    case anyone
    /// Connected clients. A persona has a service of persona.h for the same, or no need of it.
    case clients
  }

  /// As on the wire: "personas.list".
  public let name: String
  /// One line.
  public let summary: String
  /// The payload, as the pages show it. Empty: it takes none.
  public let takes: String
  /// The reply's payload.
  public let gives: String
  public let callers: Callers

  public init(_ name: String, _ summary: String, takes: String = "", gives: String, callers: Callers = .anyone) {
    self.name = name
    self.summary = summary
    self.takes = takes
    self.gives = gives
    self.callers = callers
  }
}

/// The reply that says nothing: `{}`.
public struct Nothing: Codable, Sendable, Equatable {
  public init() {}
}

/// All methods of `KERNEL`, in the order of the pages.
public enum KernelMethods {
  public static let all: [any KernelMethod.Type] =
    [
      Personas.List.self, Personas.Show.self, Personas.Load.self, Personas.Reload.self, Personas.Rollback.self, Personas.Unload.self,
      Personas.Shadow.self, Personas.Promote.self, Personas.Drop.self, Recordings.Get.self, Recordings.List.self, Models.List.self,
      History.List.self, History.Get.self, History.Export.self, History.Forget.self, Stats.self, Tap.self, Topics.Subscribe.self,
      Topics.Unsubscribe.self, Topics.List.self, Cancel.self, Config.Reload.self, Ping.self,
    ] + memory

  /// Those of the memory, which docs/MEMORY.md describes. Personas call them by `rag/1`, without the "memory.".
  public static let memory: [any KernelMethod.Type] = [
    MemoryMethods.Create.self, MemoryMethods.List.self, MemoryMethods.Show.self, MemoryMethods.Share.self, MemoryMethods.Drop.self,
    MemoryMethods.Add.self, MemoryMethods.Upsert.self,
    MemoryMethods.Update.self, MemoryMethods.Query.self, MemoryMethods.Get.self, MemoryMethods.Peek.self, MemoryMethods.Count.self,
    MemoryMethods.Delete.self, MemoryMethods.Forget.self,
    MemoryMethods.Sources.self, MemoryMethods.Replace.self, MemoryMethods.Export.self, MemoryMethods.Reembed.self,
  ]

  public static let descriptions: [MethodDescription] = all.map { $0.method }
}

/// What `KERNEL` says without being asked, and what a request may be followed by.
public enum KernelEvents {
  public struct Description: Sendable, Equatable {
    /// The gram's method.
    public let name: String
    public let summary: String
    public let payload: String
  }

  public static let all = [
    Description(
      name: "welcome", summary: "the answer to a hello",
      payload:
        #"`{"version","wire","name","seq","resumed","limits":{"frame_bytes","queue_bytes","hops","deadline_ms"},"personas":[{"name","summary","generation","talk"}]}`"#
    ),
    Description(
      name: "reply", summary: "the end of a request", payload: "what the method gives; of a persona whatever it returns"),
    Description(
      name: "error", summary: "the other end of a request, or what is wrong with a gram that has no `id`",
      payload: #"`{"code","message"}`, and `"target"` where it is about somebody"#),
    Description(
      name: "delta", summary: "a piece of an answer, or a step of it, ahead of the reply",
      payload: #"`{"text"}`, `{"event":{"kind",…}}` or both; `"speaker"` where it is not the one who was asked"#),
    Description(name: "receipt", summary: "the code of a persona was changed, or was not", payload: "see Receipts"),
    Description(
      name: "tap", summary: "a copy of a gram of others, for those who asked for it", payload: #"`{"gram":{…}}` or `{"missed":N}`"#),
  ]
}
