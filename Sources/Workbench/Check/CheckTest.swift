/// One test of a persona's library: a claim, and the calls that put it to the proof.
public struct CheckTest: Sendable {
  public let name: String
  /// The claim, in a sentence.
  public let shows: String
  /// How long it may take, in seconds.
  var limitSeconds = 20
  var stage = ReplayHost.all
  let body: @Sendable (CheckContext) throws(Halt) -> Void

  /// What must be well before there is something to learn from a test.
  enum ReplayHost: CaseIterable {
    /// Nothing: the library can be opened.
    case open
    /// It lives and ends.
    case life
    case all

    /// Why the later stages are skipped when a test of this one has failed.
    func reason(_ test: String) -> String {
      self == .open ? "the library cannot be opened as it should be: see \(test)" : "a plain life fails: see \(test)"
    }
  }

  /// All of them, in the order of a report.
  public static let all: [CheckTest] = aboutTests + lifeTests + hostTests + requestTests + gramTests + stateTests + leakTests

  /// Those of a name, or of a group: "state" is every "state.…". Empty: there is none.
  public static func named(_ name: String) -> [CheckTest] { all.filter { $0.name == name || $0.name.hasPrefix(name + ".") } }
}
