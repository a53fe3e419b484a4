import Synchronization
import Workbench

/// `parlor check`: a persona's library, put to the proof.
struct CheckCommand: Command {
  let name = "check"
  let usage = "parlor check LIBRARY.so [--config FILE] [--only NAME] [--seed N] [--json] [--in-process] | --list"
  let summary = "put a persona's library to the proof"
  let help = """
    Plays a host to a persona's library and tries what a day in the kernel brings, and worse: small and large tables, absent
    services, errors, late answers, damaged states, odd messages, a thousand lives. Each test runs in a process of its own,
    so a crash or a hang is one test's failure, and the others go on. No kernel is needed. docs/CHECK.md says what each shows.

      --config FILE   personas.toml with the persona's part; else the nearest one above the library or this folder
      --only NAME     one test, or a group of them: "state" is every state.…
      --seed N        draw the same payloads, states and orders as the run that printed N. What is measured (times,
                      memory) is left out then, so that two such runs print the same to the byte
      --json          one JSON object
      --in-process    all in this process, for a debugger: a crash ends it
      --list          the tests, and what each shows

    Exit status 0: nothing failed (warnings do not fail); 1: something did.
    """
  let flags: Set = ["--json", "--in-process", "--list"]
  let values: Set = ["--config", "--only", "--seed"]
  let operands = 0...1

  func run(_ arguments: Arguments) throws -> ExitCode {
    let tests = try tests(arguments.value("--only"))
    if arguments.has("--list") {
      for test in tests { try Output.answer.line(test.name.padded(20) + test.shows) }
      return .ok
    }
    guard let library = arguments.operands.first else { throw CLIError(.usage, "no library is named: see `parlor check --help`") }
    var runner = CheckRunner(seed: try seed(arguments.value("--seed")))
    runner.tests = tests
    runner.isRepeat = arguments.value("--seed") != nil
    runner.inProcess = arguments.has("--in-process")
    let parts = try parts(named: arguments.value("--config"), near: library)
    if arguments.has("--json") {
      let report = runner.run(library: library, parts: parts)
      try Output.answer.json(report.json.text)
      return report.hasFailed ? .failed : .ok
    }
    let style = Style(for: .answer)
    let text = CheckReportText(style, isRepeat: runner.isRepeat)
    // A reader who has left has had enough; the end below tells it again.
    let report = runner.run(library: library, parts: parts) { try? Output.answer.write(text.text($0)) }
    try Output.answer.write(CheckReportText.end(of: report, style))
    return report.hasFailed ? .failed : .ok
  }

  private func tests(_ name: String?) throws(CLIError) -> [CheckTest] {
    guard let name else { return CheckTest.all }
    let found = CheckTest.named(name)
    if found.isEmpty { throw CLIError(.usage, "there is no test \(name): see `parlor check --list`") }
    return found
  }

  /// Those of the file that was named, or of the nearest one; that one is only told of when it cannot be read.
  private func parts(named file: String?, near library: String) throws(CLIError) -> [CheckPart] {
    guard let path = file ?? NearbyConfiguration.path(near: library) else { return [] }
    guard let own = PersonaSource.real("/proc/self/exe"), let slash = own.lastIndex(of: "/") else { return [] }
    do throws(NearbyConfiguration.Unreadable) {
      return try NearbyConfiguration.parts(of: path, kernel: own[..<slash] + "/batkernel")
    } catch {
      if file != nil { throw CLIError(.failed, error.description) }
      try Output.diagnostics.line("parlor: \(path) is not used: \(error.description)")
      return []
    }
  }

  private func seed(_ text: String?) throws(CLIError) -> UInt64 {
    guard let text else { return UInt64.random(in: 1...999_999) }
    guard let seed = UInt64(text) else { throw CLIError(.usage, "--seed \(text): a whole number is wanted") }
    return seed
  }
}

/// A report, for people. Any thread.
final class CheckReportText: Sendable {
  private let style: Style
  /// What was said, and of which test: what a persona does wrong everywhere is told once.
  private let said = Mutex<[String: String]>([:])

  private let isRepeat: Bool

  init(_ style: Style, isRepeat: Bool = false) {
    self.style = style
    self.isRepeat = isRepeat
  }

  func text(_ outcome: CheckOutcome) -> String {
    let word = outcome.verdict.rawValue.padded(8)
    let shown = outcome.verdict == .failed ? style.bad(word) : outcome.verdict == .warning ? style.bold(word) : style.dim(word)
    // Of a test that did not apply, only why.
    let reason = outcome.verdict == .skipped ? outcome.findings.first { $0.level == .skipped }?.message : nil
    var text = "\(shown) \(outcome.name.padded(18)) \(style.dim((reason ?? outcome.shows).oneLine(200)))\n"
    for finding in outcome.findings where finding.level != .skipped && !(isRepeat && finding.isMeasured) {
      let lead = finding.level == .failure ? "failure: " : finding.level == .warning ? "warning: " : ""
      let before = said.withLock { said in
        defer { if said[finding.message] == nil { said[finding.message] = outcome.name } }
        return finding.level == .note ? nil : said[finding.message]
      }
      text += "         \(lead)\(before.map { "the same as in \($0)" } ?? finding.message.oneLine(1200))\n"
    }
    return text
  }

  static func end(of report: CheckReport, _ style: Style) -> String {
    let who = report.about.map { "\($0.name.oneLine(64)) \($0.version.oneLine(64))" } ?? report.library.oneLine(200)
    let counts = [
      (report.count(.ok), "ok"), (report.count(.warning), "with warnings"), (report.count(.skipped), "skipped"),
      (report.count(.failed), "failed"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
    let seconds = report.isRepeat ? "" : ", \(fixed(report.seconds, 1)) s"
    let line = "\(who): \(counts.joined(separator: ", ")); seed \(report.seed)\(seconds)"
    var text = (report.hasFailed ? style.bad(line) : style.bold(line)) + "\n"
    if let failed = report.outcomes.first(where: { $0.verdict == .failed }), report.hash != nil {
      text += style.dim("again: parlor check \(report.library.oneLine(300)) --only \(failed.name) --seed \(report.seed)") + "\n"
    }
    return text
  }
}
