/// What became of one attempt to load, reload, roll back or unload a persona.
///
/// Each attempt ends in one; who asked gets it as the reply, and every attached client as an event.
public struct Receipt: Codable, Sendable, Equatable {
  /// The outcomes; raw values are the words of the wire.
  public enum Outcome: String, Codable, Sendable {
    case loaded, reloaded, unchanged, refused, unloaded
    case rolledBack = "rolled_back"
    /// Its part of personas.toml is another; the code goes on.
    case configured
    /// It fails its health check or does not come back from a call, and goes on for want of anything better.
    case unwell
  }
  public var persona: String
  public var outcome: Outcome
  /// Generations; nil where there was or is none.
  public var from: Int?
  public var to: Int?
  public var version: String?
  /// SHA-256 of the library, in hexadecimal digits.
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
  /// The keys of its part of personas.toml that were taken over with it.
  public var changes: [String]?
  /// The method by which people talk to the version that runs now; nil: none runs.
  public var talk: String?

  public init(
    persona: String, outcome: Outcome, from: Int? = nil, to: Int? = nil, version: String? = nil, hash: String? = nil,
    state_bytes: Int? = nil, pause_us: Int? = nil, held: Int? = nil, rehearsal_ms: Int? = nil, total_ms: Int, reason: String? = nil,
    warnings: [String]? = nil, changes: [String]? = nil, talk: String? = nil
  ) {
    self.persona = persona
    self.outcome = outcome
    self.from = from
    self.to = to
    self.version = version
    self.hash = hash
    self.state_bytes = state_bytes
    self.pause_us = pause_us
    self.held = held
    self.rehearsal_ms = rehearsal_ms
    self.total_ms = total_ms
    self.reason = reason
    self.warnings = warnings
    self.changes = changes
    self.talk = talk
  }
}
