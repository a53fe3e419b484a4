/// One test of a persona's library: a claim, and the calls that prove or disprove it.
public struct CheckTest: Sendable {
  public let name: String
  /// The claim, in a sentence.
  public let shows: String
  /// How long it may take, in seconds.
  var limitSeconds = 20
  var stage = Stage.all
  let body: @Sendable (CheckContext) throws(Halt) -> Void

  /// What must work before a test makes sense.
  enum Stage: CaseIterable {
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
  public static let all: [CheckTest] =
    AboutChecks.tests + LifeChecks.tests + HostChecks.tests + RequestChecks.tests + GramChecks.tests + StateChecks.tests + LeakChecks.tests

  /// The test of the file itself, which is done before any code of the library is run: see CheckRunner.
  static let file = CheckTest(
    name: "file", shows: "the file is a library that the kernel would load, and its about text is well formed", stage: .open,
    body: { _ in })

  /// The tests with a name, or of a group: "state" means every "state.…". Empty if there is none.
  public static func named(_ name: String) -> [CheckTest] { all.filter { $0.name == name || $0.name.hasPrefix(name + ".") } }
}
