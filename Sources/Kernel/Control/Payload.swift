import FoundationEssentials
import Wire

/// The payloads that the kernel itself reads and writes (docs/WIRE.md). Nothing of it is on the common way of a gram.
enum Payload {
  struct Hello: Decodable {
    var hello: Int
    var name: String?
  }
  struct Delta: Decodable { var text: String }
  struct Refusal: Decodable {
    var code: String?
    var message: String?
  }
  struct Name: Decodable { var name: String }
  struct Provider: Decodable { var provider: String? }
  struct History: Decodable {
    var persona: String?
    var thread: String?
    var last: Int?
    var format: String?
  }
  struct Reload: Decodable {
    var name: String?
    var names: [String]?
    var force: Bool?
    /// Loaded this once instead of the persona's own.
    var library: String?
  }
  struct Shadow: Decodable {
    var name: String
    var last: Int?
    var library: String?
  }
  struct Capture: Decodable {
    var name: String
    var last: Int?
    var failed: Bool?
    var token: UInt64?

    var choice: Recorder.Choice {
      if let token { return .token(token) }
      return failed == true ? .lastFailed(last ?? 1) : .last(last ?? 1)
    }
  }
  struct ReloadConfiguration: Decodable { var libraries: [String: String]? }
  struct Switch: Codable { var on: Bool }
  struct TopicName: Decodable { var topic: String }
  struct TopicCount: Codable {
    var topic: String
    var subscribers: Int
  }
  struct Topics: Encodable { var topics: [TopicCount] }
  struct Cancel: Decodable { var id: RequestID }
  struct Cancelled: Encodable { var cancelled: Bool }
  struct Receipts: Encodable { var receipts: [Receipt] }
  struct Empty: Encodable {}

  /// An `id` as a payload has it: a string or a whole number; `raw` is how a gram line would.
  struct RequestID: Decodable {
    var raw: [UInt8]
    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let number = try? value.decode(Int64.self) {
        raw = Array(String(number).utf8)
      } else {
        raw = []
        raw.appendJSON(try value.decode(String.self))
      }
    }
  }

  struct Welcome: Encodable {
    struct Limits: Encodable { var frame_bytes, queue_bytes, hops, deadline_ms: Int }
    struct Persona: Encodable {
      var name: String
      var summary: String?
      var generation: Int?
    }
    var version: String
    var wire = 1
    var name: String
    var seq: UInt64
    var resumed = false
    var limits: Limits
    var personas: [Persona]
  }

  struct PersonaStatus: Encodable {
    var name: String
    var summary: String?
    var version: String?
    var library: String
    var generation: Int?
    var state: String
    var reason: String?
    var draining: Int
    var kept: Int
    var generations: [Int]
    var received: UInt64
    var failed: UInt64
    var queued: Int
    var busy_ms: Int
  }
  struct Personas: Encodable { var personas: [PersonaStatus] }

  struct Changes: Encodable { var added, removed, changed: [String] }

  static func decode<T: Decodable>(_ type: T.Type, _ bytes: [UInt8]) -> T? { try? JSONDecoder().decode(type, from: Data(bytes)) }

  /// Adds a member, whose value is JSON already, to a JSON object that is not empty.
  static func add(_ key: StaticString, _ json: [UInt8], to object: inout [UInt8]) {
    object.removeLast()
    object.append(contentsOf: ",\"\(key)\":".utf8)
    object.append(contentsOf: json)
    object.append(0x7d)
  }
}

/// What became of one attempt to load, reload, roll back or unload a persona.
public struct Receipt: Codable, Sendable, Equatable {
  /// The outcomes; raw values are the words of the wire.
  public enum Outcome: String, Codable, Sendable {
    case loaded, reloaded, unchanged, refused, unloaded
    case rolledBack = "rolled_back"
  }
  public var persona: String
  public var outcome: Outcome
  /// Generations; nil where there was or is none.
  public var from: Int?
  public var to: Int?
  public var version: String?
  /// SHA-256 of the library, in hex.
  public var hash: String?
  public var state_bytes: Int?
  /// From the lane's pause to its release.
  public var pause_us: Int?
  /// Grams that came in meanwhile, or had not been begun, and were given to the new generation.
  public var held: Int?
  public var rehearsal_ms: Int?
  public var total_ms: Int
  /// Why it was refused or rolled back.
  public var reason: String?
  /// What is odd and was let pass.
  public var warnings: [String]?
}
