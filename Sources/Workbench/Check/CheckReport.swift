import Kernel
import Wire

/// The result of a run of tests of one library.
public struct CheckReport: Sendable {
  /// The path of the file, as the user gave it.
  public var library: String
  public var seed: UInt64
  /// SHA-256 of the file; nil if the kernel would not load it.
  public var hash: String?
  public var about: About?
  /// The part of personas.toml that it was configured by; nil: by a plain configuration.
  public var part: CheckPart?
  /// In the order of the tests.
  public var outcomes: [CheckOutcome] = []
  public var seconds = 0.0
  /// It repeats a run by its seed: what is measured is left out, so that two of them are the same to the byte.
  public var isRepeat = false

  init(library: String, seed: UInt64) {
    self.library = library
    self.seed = seed
  }

  mutating func add(_ test: CheckTest, _ findings: [CheckFinding], _ each: (CheckOutcome) -> Void) {
    let outcome = CheckOutcome(name: test.name, shows: test.shows, findings: findings, seconds: 0)
    outcomes.append(outcome)
    each(outcome)
  }

  /// Warnings and skipped tests are no failures.
  public var hasFailed: Bool { outcomes.contains { $0.verdict == .failed } }

  public func count(_ verdict: CheckOutcome.Verdict) -> Int { outcomes.count { $0.verdict == verdict } }

  /// For machines: "library", "hash", "name", "version", "config", "seed", "failed", "seconds", and "tests"
  /// [{"name", "shows", "verdict", "seconds", "findings": [{"level", "message"}]}]. "seconds" is null
  /// in a repeat.
  public var json: JSON {
    [
      "library": .string(library), "hash": hash.map { .string($0) } ?? .null, "name": about.map { .string($0.name) } ?? .null,
      "version": about.map { .string($0.version) } ?? .null, "config": part.map { .string("\($0.file) [persona.\($0.name)]") } ?? .null,
      // As text: a reader of JSON may keep no more than 53 bits of a number.
      "seed": .string("\(seed)"), "failed": .bool(hasFailed),
      "seconds": isRepeat ? .null : .double(Self.rounded(seconds)),
      "tests": .array(
        outcomes.map { outcome in
          [
            "name": .string(outcome.name), "shows": .string(outcome.shows), "verdict": .string(outcome.verdict.rawValue),
            "seconds": isRepeat ? .null : .double(Self.rounded(outcome.seconds)),
            "findings": .array(
              outcome.findings.filter { !(isRepeat && $0.isMeasured) }.map {
                ["level": .string($0.level.rawValue), "message": .string($0.message)]
              }),
          ]
        }),
    ]
  }

  private static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
