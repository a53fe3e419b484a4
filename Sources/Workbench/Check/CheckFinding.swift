/// One thing that a test has found.
public struct CheckFinding: Sendable, Equatable {
  public enum Level: String, Sendable {
    /// It breaks a rule of persona.h.
    case failure
    /// It is allowed, but likely to cause trouble.
    case warning
    /// The test does not apply.
    case skipped
    /// A number or a fact that helps to read the rest.
    case note
  }
  public var level: Level
  /// What happened, where, and what to do.
  public var message: String
  /// It tells how much was measured, or what time has decided: another run with the same seed may say another thing.
  public var isMeasured = false

  public init(_ level: Level, _ message: String, isMeasured: Bool = false) {
    self.level = level
    self.message = message
    self.isMeasured = isMeasured
  }
}

/// Ends a test early: there is nothing more to learn from it.
struct Halt: Error {
  var finding: CheckFinding
  init(_ level: CheckFinding.Level, _ message: String) { finding = CheckFinding(level, message) }
}
