import Glibc
import Kernel
import System
import Wire

/// Runs tests of one library, each in a process of its own, and reports.
public struct CheckRunner: Sendable {
  public var tests = CheckTest.all
  /// The same seed gives the same payloads, states and orders.
  public var seed: UInt64
  /// The seed is that of an earlier run: see CheckReport.isRepeat.
  public var isRepeat = false
  /// How long one call of the persona's code may take: the kernel's own limit, when personas.toml says nothing else.
  public var callMilliseconds = 5000
  /// The program that a test's process runs, and its first words: see CheckChild.
  public var command = ["/proc/self/exe", CheckChild.word]
  /// Run the tests in this process instead: for a debugger. A crash ends everything.
  public var inProcess = false
  /// How many tests run at a time.
  public var width = max(1, min(4, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  public init(seed: UInt64) { self.seed = seed }

  /// Runs the tests and blocks until all have ended.
  ///
  /// - Parameter each: called with every outcome in the order of the tests, as soon as those before it are known; on any thread, one
  ///   call at a time.
  public func run(
    library path: String, parts: [CheckPart] = [], each: @escaping @Sendable (CheckOutcome) -> Void = { _ in }
  ) -> CheckReport {
    let began = ContinuousClock.now
    var report = CheckReport(library: path, seed: seed)
    report.isRepeat = isRepeat
    let image: LibraryImage
    let store: LibraryStore
    do throws(LibraryError) {
      store = try LibraryStore(in: Self.folder)
      image = try store.image(of: LibraryFile(reading: path), services: HostTables.services)
    } catch {
      let refusal = CheckFinding(.failure, error.message)
      for test in tests {
        let finding = test.name == CheckTest.file.name ? refusal : CheckFinding(.skipped, "the kernel would not load the file")
        report.add(test, [finding], each)
      }
      // Also when other tests were asked for: this is why they could not run.
      if !tests.contains(where: { $0.name == CheckTest.file.name }) { report.add(CheckTest.file, [refusal], each) }
      return report
    }
    defer { store.remove() }
    report.hash = image.hash
    report.about = image.about
    report.part = Self.part(of: image, among: parts)
    let job = CheckJob(image: image, part: report.part, seed: seed, callMilliseconds: callMilliseconds)

    let results = Results(tests, each)
    // The tests of a stage build on those of the stage before it.
    var reason: String?
    for stage in CheckTest.Stage.allCases {
      let tests = tests.filter { $0.stage == stage }
      if let reason { for test in tests { results.put(test, [CheckFinding(.skipped, reason)]) } } else { run(tests, job, results) }
      if reason == nil, let failed = tests.first(where: { results.hasFailed($0.name) }) { reason = stage.reason(failed.name) }
    }
    report.outcomes = results.all
    report.seconds = (ContinuousClock.now - began) / .seconds(1)
    return report
  }

  /// Collects outcomes as they come, and reports them in the order of the tests.
  private final class Results: Sendable {
    private struct Contents {
      var outcomes: [String: CheckOutcome] = [:]
      var told = 0
    }
    private let contents = Monitor(Contents())
    private let tests: [CheckTest]
    private let each: @Sendable (CheckOutcome) -> Void

    init(_ tests: [CheckTest], _ each: @escaping @Sendable (CheckOutcome) -> Void) {
      self.tests = tests
      self.each = each
    }

    func put(_ test: CheckTest, _ findings: [CheckFinding], seconds: Double = 0) {
      contents.withLock { contents in
        contents.outcomes[test.name] = CheckOutcome(name: test.name, shows: test.shows, findings: findings, seconds: seconds)
        while contents.told < tests.count, let next = contents.outcomes[tests[contents.told].name] {
          each(next)
          contents.told += 1
        }
      }
    }
    func hasFailed(_ name: String) -> Bool { contents.withLock { $0.outcomes[name]?.verdict == .failed } }
    func wait(for tests: [CheckTest]) {
      contents.wait { contents in tests.allSatisfy { contents.outcomes[$0.name] != nil } ? () : nil }
    }
    var all: [CheckOutcome] { contents.withLock { contents in tests.compactMap { contents.outcomes[$0.name] } } }
  }

  private func run(_ tests: [CheckTest], _ job: CheckJob, _ results: Results) {
    if inProcess {
      for test in tests { play(test, job, results) }
      return
    }
    let left = Monitor(tests[...])
    for _ in 0..<min(width, tests.count) {
      let work: @Sendable () -> Void = { while let test = left.withLock({ $0.popFirst() }) { play(test, job, results) } }
      do throws(Errno) { try startThread(name: "check", work) } catch { work() }
    }
    results.wait(for: tests)
  }

  private func play(_ test: CheckTest, _ job: CheckJob, _ results: Results) {
    let began = ContinuousClock.now
    let findings: [CheckFinding]
    if test.name == CheckTest.file.name {
      findings = job.image.warnings.map { CheckFinding(.warning, $0) }
    } else {
      findings = inProcess ? job.playHere(test) : playInChild(test, job)
    }
    results.put(test, findings, seconds: (ContinuousClock.now - began) / .seconds(1))
  }

  private func playInChild(_ test: CheckTest, _ job: CheckJob) -> [CheckFinding] {
    do throws(Subprocess.Failed) {
      var plan = Subprocess.Plan(command + [test.name])
      plan.input = .bytes(job.json.bytes)
      // The signal tells of a crash; a backtrace would only take time.
      plan.environment = environmentLines().filter { !$0.hasPrefix("SWIFT_BACKTRACE=") } + ["SWIFT_BACKTRACE=enable=no"]
      let child = try Subprocess(plan)
      let output = child.readAll(milliseconds: test.limitSeconds * 1000)
      let (lines, printed) = CheckOutcome.lines(output.bytes)
      var end = CheckOutcome.End(timedOut: !output.isWhole)
      switch child.wait() {
      case .status(let status): end.status = status
      case .signal(let signal): end.signal = end.timedOut ? nil : signal
      }
      return CheckOutcome.judge(lines, printed: printed, end: end, limitSeconds: test.limitSeconds)
    } catch {
      return [CheckFinding(.failure, "the test could not be run: \(error)")]
    }
  }

  /// The part that loads this very file, else the one with the persona's name.
  private static func part(of image: LibraryImage, among parts: [CheckPart]) -> CheckPart? {
    let real = PersonaSource.real(image.originalPath)
    let loading = parts.filter { $0.library.flatMap(PersonaSource.real) == real }
    return loading.first { $0.name == image.about.name } ?? loading.first ?? parts.first { $0.name == image.about.name }
  }

  /// The folder of the private copy that is opened, since a build may overwrite the file meanwhile.
  private static var folder: String {
    let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    return "\(temporary)/bat-check-\(getuid())"
  }
}
