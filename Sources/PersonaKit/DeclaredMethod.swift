/// A method that a persona declares while it runs, as the about text declares those that are known beforehand.
///
/// ```swift in:Persona
///   func start() async throws {
///     try kernel.declare([DeclaredMethod("toss", "heads or tails", gives: ["type": "object", "properties": ["content": ["type": "string"]]])])
///   }
/// ```
public struct DeclaredMethod: Sendable, Equatable {
  /// At most 64 bytes, no blanks.
  public var name: String
  /// What it does, one line of at most 200 bytes.
  public var summary: String
  /// The JSON schema of the payload, an object.
  public var takes: JSON?
  /// The JSON schema of the reply.
  public var gives: JSON?

  public init(_ name: String, _ summary: String, takes: JSON? = nil, gives: JSON? = nil) {
    self.name = name
    self.summary = summary
    self.takes = takes
    self.gives = gives
  }

  var json: JSON {
    var members: [String: JSON] = ["name": .string(name), "summary": .string(summary)]
    members["takes"] = takes
    members["gives"] = gives
    return .object(members)
  }
}
