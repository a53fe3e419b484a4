// The file of a recording: one JSON object.
//
//   {"bat-recording": 1,                 the version of this format
//    "persona": "BRICK",                 the name that it goes by
//    "library": "/path/libBRICK.so",     what a replay runs when nothing else is named; optional
//    "config": {…},                      what create() is given; optional
//    "state": {"schema": 2, "base64": "…"},   what save() wrote; optional
//    "values": {"KEY": "BASE64", …},     state/1; optional
//    "left_out": 2,                      messages that were too large to be kept; optional, for people
//    "messages": [
//      {"gram": {"source", "method", "payload", "topic", "trace",      all from the third on are optional
//                "hops", "wants_reply": false, "wants_stream": true},
//       "steps": [                       what it wanted of others on the way, in order; optional
//         {"chat": {question}, "result": {…}},                         or "error": {"code", "message"}
//         {"memory": {"operation", "arguments"}, "result": {…}},
//         {"ask": {"target", "method", "payload"}, "result": …},
//         {"send": {"target", "method", "payload"}}],
//       "reply": …,                      or "error": {"code", "message"}, or neither: it said nothing
//       "generation": 3, "ms": 12}]}     for people; optional
//
// Written by hand it is a test of a persona: `gram` and `reply` are enough.

import FoundationEssentials
import Protocol
import Wire

/// Messages that a persona has worked on: what came, what it wanted of others, and what came of it.
public struct Recording: Sendable, Equatable {
  public struct Gram: Sendable, Equatable {
    public var source: String
    public var method: String
    public var payload: JSON
    /// "#topic", "*", or empty.
    public var topic = ""
    public var trace = ""
    /// Through how many hands it went.
    public var hops = 0
    public var wantsReply: Bool
    public var wantsStream = false

    /// `wantsReply` nil: yes, unless it was published.
    public init(
      source: String, method: String, payload: JSON, topic: String = "", trace: String = "", hops: Int = 0, wantsReply: Bool? = nil,
      wantsStream: Bool = false
    ) {
      self.source = source
      self.method = method
      self.payload = payload
      self.topic = topic
      self.trace = trace
      self.hops = hops
      self.wantsReply = wantsReply ?? topic.isEmpty
      self.wantsStream = wantsStream
    }
  }
  public struct Step: Sendable, Equatable {
    public var call: OutboundCall
    /// Nil: there was no end, or (of a send) there is none.
    public var end: End?
  }
  public enum End: Sendable, Equatable {
    case result(JSON)
    case failure(Failure)
    /// It is done, and has said nothing.
    case silence
  }
  public struct Message: Sendable, Equatable {
    public var gram: Gram
    public var steps: [Step] = []
    public var end: End = .silence
    public var generation: Int?
    public var milliseconds: Int?

    /// What people would call the same: the end, and the calls in their order.
    public func isSame(as other: Message) -> Bool { end.isSame(as: other.end) && steps.map(\.call) == other.steps.map(\.call) }
  }

  public var persona: String
  public var library: String?
  public var configuration: JSON = [:]
  public var state: (schema: UInt32, bytes: [UInt8])?
  public var values: [String: [UInt8]] = [:]
  public var messages: [Message] = []
  /// How many more were wanted, and were too large to be kept.
  public var leftOut = 0

  public static func == (a: Recording, b: Recording) -> Bool { a.json == b.json }

  /// Why something is no recording.
  public struct Malformed: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
  }
}

// MARK: JSON

extension Recording {
  public var json: JSON {
    var members: [String: JSON] = ["bat-recording": 1, "persona": .string(persona), "messages": .array(messages.map(\.json))]
    members["library"] = library.map(JSON.string)
    if configuration != [:] { members["config"] = configuration }
    if let state { members["state"] = ["schema": .int(Int(state.schema)), "base64": .string(Data(state.bytes).base64EncodedString())] }
    if !values.isEmpty { members["values"] = .object(values.mapValues { .string(Data($0).base64EncodedString()) }) }
    if leftOut > 0 { members["left_out"] = .int(leftOut) }
    return .object(members)
  }

  public init(_ json: JSON) throws(Malformed) {
    guard let version = json["bat-recording"] else { throw Malformed(description: "this is no recording: \"bat-recording\" is missing") }
    guard version == 1 else {
      throw Malformed(description: "this recording is of version \(version.text), of which this parlor knows nothing: update it")
    }
    guard let persona = json["persona"]?.string else { throw Malformed(description: "\"persona\" is missing: whose messages are these?") }
    self.persona = persona
    library = json["library"]?.string
    configuration = json["config"] ?? [:]
    leftOut = json["left_out"]?.int ?? 0
    if let state = json["state"] {
      guard let schema = state["schema"]?.int.flatMap(UInt32.init(exactly:)), let bytes = Self.bytes(state["base64"]) else {
        throw Malformed(description: "\"state\" is not {\"schema\", \"base64\"}")
      }
      self.state = (schema, bytes)
    }
    for (key, value) in json["values"]?.object ?? [:] {
      guard let bytes = Self.bytes(value) else { throw Malformed(description: "\"values.\(key)\" is not in Base64") }
      values[key] = bytes
    }
    guard let messages = json["messages"]?.array else { throw Malformed(description: "\"messages\" is missing, or no array") }
    for (index, message) in messages.enumerated() {
      do throws(Malformed) { self.messages.append(try Message(message)) } catch {
        throw Malformed(description: "messages[\(index)]: \(error.description)")
      }
    }
  }

  private static func bytes(_ json: JSON?) -> [UInt8]? { json?.string.flatMap { Data(base64Encoded: $0) }.map(Array.init) }
}

extension Recording.Message {
  public var json: JSON {
    var gram: [String: JSON] = ["source": .string(self.gram.source), "method": .string(self.gram.method)]
    if self.gram.payload != .null { gram["payload"] = self.gram.payload }
    if !self.gram.topic.isEmpty { gram["topic"] = .string(self.gram.topic) }
    if !self.gram.trace.isEmpty { gram["trace"] = .string(self.gram.trace) }
    if self.gram.hops > 0 { gram["hops"] = .int(self.gram.hops) }
    if self.gram.wantsReply != self.gram.topic.isEmpty { gram["wants_reply"] = .bool(self.gram.wantsReply) }
    if self.gram.wantsStream { gram["wants_stream"] = true }
    var members: [String: JSON] = ["gram": .object(gram)]
    if !steps.isEmpty { members["steps"] = .array(steps.map(\.json)) }
    end.add(to: &members, as: "reply")
    members["generation"] = generation.map(JSON.int)
    members["ms"] = milliseconds.map(JSON.int)
    return .object(members)
  }

  public init(_ json: JSON) throws(Recording.Malformed) {
    guard let gram = json["gram"], let source = gram["source"]?.string, let method = gram["method"]?.string else {
      throw Recording.Malformed(description: "\"gram\" needs at least {\"source\", \"method\"}")
    }
    self.gram = .init(
      source: source, method: method, payload: gram["payload"] ?? .null, topic: gram["topic"]?.string ?? "",
      trace: gram["trace"]?.string ?? "", hops: min(max(0, gram["hops"]?.int ?? 0), 1 << 16), wantsReply: gram["wants_reply"]?.bool,
      wantsStream: gram["wants_stream"] == true)
    for (index, step) in (json["steps"]?.array ?? []).enumerated() {
      guard let step = Recording.Step(step) else {
        throw Recording.Malformed(description: "steps[\(index)] is neither a \"chat\" nor an \"ask\" nor a \"send\"")
      }
      steps.append(step)
    }
    end = Recording.End(json, as: "reply") ?? .silence
    generation = json["generation"]?.int
    milliseconds = json["ms"]?.int
  }
}

extension Recording.Step {
  var json: JSON {
    var members: [String: JSON]
    switch call {
    case .chat(let question): members = ["chat": question]
    case .memory(let operation, let arguments):
      members = ["memory": ["operation": .string(operation), "arguments": arguments]]
    case .ask(let target, let method, let payload):
      members = ["ask": ["target": .string(target), "method": .string(method), "payload": payload]]
    case .send(let target, let method, let payload):
      members = ["send": ["target": .string(target), "method": .string(method), "payload": payload]]
    }
    end?.add(to: &members, as: "result")
    return .object(members)
  }

  init?(_ json: JSON) {
    func gram(_ json: JSON) -> (String, String, JSON)? {
      guard let target = json["target"]?.string, let method = json["method"]?.string else { return nil }
      return (target, method, json["payload"] ?? .null)
    }
    if let question = json["chat"] {
      call = .chat(question)
    } else if let memory = json["memory"], let operation = memory["operation"]?.string {
      call = .memory(operation: operation, arguments: memory["arguments"] ?? [:])
    } else if let (target, method, payload) = json["ask"].flatMap(gram) {
      call = .ask(target: target, method: method, payload: payload)
    } else if let (target, method, payload) = json["send"].flatMap(gram) {
      call = .send(target: target, method: method, payload: payload)
    } else {
      return nil
    }
    end = Recording.End(json, as: "result")
  }
}

extension Recording.End {
  fileprivate func add(to members: inout [String: JSON], as key: String) {
    switch self {
    case .result(let result): members[key] = result
    case .failure(let failure): members["error"] = ["code": .string(failure.code.rawValue), "message": .string(failure.message)]
    case .silence: break
    }
  }

  fileprivate init?(_ json: JSON, as key: String) {
    if let error = json["error"] {
      self = .failure(Failure(error["code"]?.string.flatMap(Failure.Code.init) ?? .failed, error["message"]?.plain ?? ""))
    } else if let result = json[key] {
      self = .result(result)
    } else {
      return nil
    }
  }

  /// How long it was waited for in vain is no difference.
  func isSame(as other: Recording.End) -> Bool {
    if case .failure(let failure) = self, case .failure(let otherFailure) = other, failure.code == .deadline {
      return otherFailure.code == .deadline
    }
    return self == other
  }

  /// For people.
  public var text: String {
    switch self {
    case .result(let result): result["content"]?.string ?? result.plain
    case .failure(let failure): failure.description
    case .silence: "(nothing)"
    }
  }
}
