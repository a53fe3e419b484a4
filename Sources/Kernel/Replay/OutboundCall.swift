import Protocol
import Wire

/// What a persona wants of others while it works on a gram: recorded for a replay, and answered by a stub there.
public enum OutboundCall: Sendable, Equatable {
  /// The question as it was given to llm/1.
  case chat(JSON)
  /// An operation of rag/1.
  case memory(operation: String, arguments: JSON)
  case ask(target: String, method: String, payload: JSON)
  case send(target: String, method: String, payload: JSON)

  /// For people: "asks the model", "asks BABS for observe", "sends noted to #log".
  public var text: String {
    switch self {
    case .chat: "asks the model"
    case .memory(let operation, _): "asks the memory for \(operation)"
    case .ask(let target, let method, _): "asks \(target) for \(method)"
    case .send(let target, let method, _): "sends \(method) to \(target)"
    }
  }

  /// Neither the payload nor the question counts: what it is about.
  func isLike(_ other: OutboundCall) -> Bool {
    switch (self, other) {
    case (.chat, .chat): true
    case (.memory(let operation, _), .memory(let other, _)): operation == other
    case (.ask(let target, let method, _), .ask(let otherTarget, let otherMethod, _)),
      (.send(let target, let method, _), .send(let otherTarget, let otherMethod, _)):
      target == otherTarget && method == otherMethod
    default: false
    }
  }
}

/// Answers a persona's calls in the place of the bus, the language model and the memory, in a replay. Event loop only.
protocol StubResponder: AnyObject {
  /// `end` is called once, now or later; of a `send` there is nothing to be told.
  func answer(_ call: OutboundCall, _ end: @escaping (Result<JSON, Failure>) -> Void)
}
