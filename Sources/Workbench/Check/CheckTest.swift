/// One test of a persona's library: a claim, and the calls that put it to the proof.
public struct CheckTest: Sendable {
  public let name: String
  /// The claim, in a sentence.
  public let shows: String
  /// How long it may take, in seconds.
  var limitSeconds = 20
  /// It needs an instance: there is nothing to learn from it when a plain life fails.
  var needsLife = true
  let body: @Sendable (CheckContext) throws(Halt) -> Void

  /// All of them, in the order of a report.
  public static let all: [CheckTest] = aboutTests + lifeTests + hostTests + requestTests + gramTests + stateTests + leakTests

  /// Those of a name, or of a group: "state" is every "state.…". Empty: there is none.
  public static func named(_ name: String) -> [CheckTest] { all.filter { $0.name == name || $0.name.hasPrefix(name + ".") } }
}
