import Foundation
import TestSupport
import Testing
import Wire

@testable import Workbench

@Suite("parlor check") struct CheckTests {
  /// Only so many checks at a time, and on threads of their own: others have tests, too.
  private static let turns = DispatchSemaphore(value: 2)

  /// Runs tests of a fixture or a file, and what they build on, each in a process of parlor's.
  private func check(
    _ library: @autoclosure @escaping @Sendable () throws -> String, only name: String? = nil, fault: String? = nil,
    parts: [CheckPart] = [], seed: UInt64 = 7, isRepeat: Bool = false
  ) async throws -> CheckReport {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        Self.turns.wait()
        defer { Self.turns.signal() }
        var runner = CheckRunner(seed: seed)
        runner.isRepeat = isRepeat
        runner.command = [Products.folder + "/parlor", CheckChild.word]
        runner.callMilliseconds = 2000
        if let name {
          runner.tests = CheckTest.all.filter {
            $0.stage != .all || $0.name == name || name == "grams" && $0.name.hasPrefix("grams.")
          }
        }
        continuation.resume(
          with: Result {
            let path = try library()
            let faulty = fault.map {
              CheckPart(
                file: "personas.toml", name: "FRAGILE", library: path,
                config: ["name": "FRAGILE", "prompt": "Break.", "fault": .string($0)])
            }
            return runner.run(library: path, parts: faulty.map { [$0] } ?? parts)
          })
      }
    }
  }

  /// A fault, the test that must find it, and words that must be in what it says.
  struct Planted: Sendable, CustomTestStringConvertible {
    var fixture: String
    var fault: String
    var test: String
    var words: String
    var level = CheckFinding.Level.failure
    var testDescription: String { "\(fixture) \(fault): \(test)" }

    init(_ fixture: String, _ test: String, _ words: String) { self.init(fixture, "", test, words) }
    init(_ fixture: String, _ fault: String, _ test: String, _ words: String, _ level: CheckFinding.Level = .failure) {
      (self.fixture, self.fault, self.test, self.words, self.level) = (fixture, fault, test, words, level)
    }
  }

  static let planted: [Planted] = [
    Planted("bad_about", "file", "no about text"), Planted("no_about", "file", "no about text"),
    Planted("two_abouts", "file", "2 about texts"), Planted("own_swift_runtime", "file", "-static-stdlib"),
    Planted("missing_symbol", "file", "does not export"), Planted("needs_absent_service", "file", "teleport/1"),
    Planted("undefined_symbol", "entry", "undefined symbol"), Planted("bad_magic", "entry", "PERSONA_MAGIC"),
    Planted("wrong_major", "entry", "major version 99"), Planted("crashes_on_open", "entry", "crashes in opening the library: SIGABRT"),
    Planted("bad_entry", "other_about", "entry", "not the about text"), Planted("bad_entry", "null_entry", "entry", "returned NULL"),
    Planted("bad_entry", "null_vtable", "entry", "vtable is NULL"), Planted("bad_entry", "null_create", "entry", "create is NULL"),
    Planted("bad_entry", "small_entry", "entry", "sizeof(persona_entry)"), Planted("bad_entry", "no_receive", "entry", "no receive()"),
    Planted("crashes_in_create", "life", "crashes in create(): SIGABRT"), Planted("refuses_create", "life", "no key for the observatory"),
    Planted("wants_key", "life", "--config"), Planted("hangs_in_start", "life", "start() has not returned"),
    Planted("hangs_in_stop", "life", "stop() or destroy() has not returned"),
    Planted("hangs_in_health", "life.health", "health() has not returned"), Planted("fails_health", "life.health", "library card"),
    Planted("hangs_in_receive", "grams.methods", "has not returned"), Planted("never_replies", "grams.unknown", "still open"),
    Planted("leaks_token", "grams.unknown", "still open"), Planted("replies_twice", "grams.unknown", "answers a gram twice"),
    Planted("calls_after_retirement", "threads.after", "after destroy() has returned"),
    Planted("crashes_in_load", "state.round", "crashes in load() of 1 bytes in schema 1"),
    Planted("refuses_load", "state.round", "does not like that state"),
    Planted("unreadable_state", "state.round", "load() refuses what save()"),

    Planted("fragile", "many_lives", "life.repeated", "in its life 5"),
    Planted("fragile", "unstarted", "life.unstarted", "crashes in stop()"),
    Planted("fragile", "one_instance", "life.two", "crashes in create()"), Planted("fragile", "ill_when_busy", "life.health", "it is busy"),
    Planted("fragile", "config", "life.config", "crashes in config_changed()"),
    Planted("fragile", "beyond_tables", "host.exact", "SIGSEGV"), Planted("fragile", "unterminated", "host.exact", "SIGSEGV"),
    Planted("fragile", "keeps_text", "host.exact", "SIGSEGV"), Planted("fragile", "later_kernel", "host.larger", "crashes in create()"),
    Planted("fragile", "null_service", "host.absent", "without llm/1"),
    Planted("fragile", "any_extension", "host.extension", "returns a table"),
    Planted("fragile", "foreign_explain", "threads", "explain() on a thread of its own"),
    Planted("fragile", "unanswered_error", "requests.errors", "still open"),
    Planted("fragile", "refused_later", "requests.refused", "still open"),
    Planted("fragile", "expects_null", "requests.odd", "crashes in done() of ask BRICK talk"),
    Planted("fragile", "mixes_up", "requests.order", "which it was never given"),
    Planted("fragile", "cancelled", "requests.cancelled", "crashes in done() of ask BRICK talk, with status -4"),
    Planted("fragile", "retired", "requests.late", "crashes in done() of timer, with status -3"),
    Planted("fragile", "own_method", "grams.methods", "does not know its own method wait"),
    Planted("fragile", "unknown_method", "grams.unknown", "crashes in receive() of \"check.unknown\""),
    Planted("fragile", "exits", "grams.unknown", "exit status 3"), Planted("fragile", "no_json", "grams.unknown", "no JSON: \"{oops\""),
    Planted("fragile", "no_explain", "grams.unknown", "no text", .warning),
    Planted("fragile", "replies_and_fails", "grams.unknown", "after it has ended the gram itself", .warning),
    Planted("fragile", "deep_json", "grams.payloads", "crashes in receive()"), Planted("fragile", "huge_text", "grams.payloads", "bytes"),
    Planted("fragile", "published", "grams.envelopes", "crashes in receive()"),
    Planted("fragile", "saves_differently", "state.again", "number 1"),
    Planted("fragile", "forgets", "state.round", "is saved as", .warning),
    Planted("fragile", "swallows_sink", "state.full", "although its sink had refused"),
    Planted("fragile", "empty_state", "state.empty", "crashes in load() of 0 bytes"),
    Planted("fragile", "long_state", "state.random", "crashes in load() of 1048576 bytes"),
    Planted("fragile", "binary_state", "state.random", "crashes in load()"),
    Planted("fragile", "hangs_on_damage", "state.damaged", "load() of"), Planted("fragile", "older_state", "state.older", "as schema 1"),
    Planted("fragile", "leaks_memory", "leaks.lives", "bytes of memory behind"),
    Planted("fragile", "leaks_descriptors", "leaks.lives", "open descriptors behind"),
    Planted("fragile", "leaks_threads", "leaks.lives", "threads behind"),
  ]

  @Test("the fault of each faulty persona is found by the test that is for it", arguments: planted)
  func finds(_ planted: Planted) async throws {
    let isFragile = planted.fixture == "fragile"
    let defines =
      planted.fixture == "bad_about" ? ["TEXT": "bat-persona 2\n"] : isFragile || planted.fault.isEmpty ? [:] : ["FAULT": planted.fault]
    let report = try await check(
      try Fixtures.build(planted.fixture, defines: defines), only: planted.test, fault: isFragile ? planted.fault : nil)
    let outcome = try #require(report.outcomes.first { $0.name == planted.test })
    #expect(
      outcome.findings.contains { $0.level == planted.level && $0.message.contains(planted.words) },
      "\(outcome.verdict): \(outcome.findings)")
    // The tests before it let it pass: the fault is where it is said to be.
    for other in report.outcomes where other.name != planted.test { #expect(other.verdict != .failed, "\(other)") }
  }

  @Test(
    "a persona with no fault passes, and so does one that uses every service",
    arguments: ["fragile", "echo", "small_vtable", "subscriber", "newer_state", "sends_in_start"])
  func passes(fixture: String) async throws {
    let report = try await check(try Fixtures.build(fixture))
    #expect(report.outcomes.count == CheckTest.all.count)
    for outcome in report.outcomes { #expect(outcome.verdict != .failed, "\(outcome)") }
    #expect(!report.hasFailed)
  }

  @Test("each persona that comes with the house passes", arguments: ["BRICK", "ROBIN", "BABS", "ALFRED", "Prompt"])
  func shipped(name: String) async throws {
    let parts = try NearbyConfiguration.parts(of: Products.repository + "/personas.toml", kernel: Products.folder + "/batkernel")
    let report = try await check("\(Products.folder)/lib\(name).so", parts: parts)
    for outcome in report.outcomes { #expect(outcome.verdict != .failed && outcome.verdict != .warning, "\(outcome)") }
    #expect(report.part?.name == (name == "Prompt" ? nil : name))
  }

  @Test("a crash of one test leaves the others their turn, and says what was being called")
  func others() async throws {
    let report = try await check(try Fixtures.build("fragile"), only: "grams", fault: "unknown_method")
    let verdicts = Dictionary(uniqueKeysWithValues: report.outcomes.map { ($0.name, $0.verdict) })
    #expect(verdicts["grams.unknown"] == .failed && verdicts["grams.methods"] == .ok && verdicts["grams.payloads"] == .ok)
    #expect(report.hasFailed && report.json["failed"] == true)
  }

  @Test("when a plain life fails, the rest is skipped and says so; when the file is refused, nothing of it is run")
  func stages() async throws {
    let dead = try await check(try Fixtures.build("crashes_in_create"))
    #expect(dead.count(.failed) == 1 && dead.outcomes.last?.findings.first?.message == "a plain life fails: see life")
    let refused = try await check("/etc/passwd")
    #expect(refused.count(.failed) == 1 && refused.hash == nil && refused.count(.skipped) == CheckTest.all.count - 1)
    let missing = try await check("/nowhere/libNOBODY.so", only: "state")
    #expect(missing.hasFailed && missing.outcomes.contains { $0.name == "file" && $0.verdict == .failed })
  }

  @Test("the part of personas.toml that loads the file is what create() is given, and what differs from the about text is told")
  func configuration() async throws {
    let library = try Fixtures.build("wants_key")
    let folder = TemporaryFolder()
    let file = try folder.write(
      "personas.toml", "[persona.CARETAKER]\nlibrary = \"\(library)\"\nkey = \"brass\"\nneeds = [\"bus/1\", \"llm/1\"]\n[persona.JANITOR]\n"
    )
    let parts = try NearbyConfiguration.parts(of: file, kernel: Products.folder + "/batkernel")
    let report = try await check(library, only: "config", parts: parts)
    #expect(!report.hasFailed && report.part?.name == "CARETAKER")
    let config = try #require(report.outcomes.first { $0.name == "config" })
    #expect(config.verdict == .warning)
    #expect(
      config.findings.contains { $0.message.contains("`needs` is \"bus/1 llm/1\"") && $0.message.contains("\"bus/1\" in the about text") })
    #expect(config.findings.contains { $0.message.contains("goes by the name CARETAKER") })
    let broken = try folder.write("broken.toml", "[persona.A\n")
    let error = #expect(throws: NearbyConfiguration.Unreadable.self) {
      try NearbyConfiguration.parts(of: broken, kernel: Products.folder + "/batkernel")
    }
    #expect(error?.description.contains("broken.toml:1") == true)
  }

  @Test(
    "runs by one seed say the same to the byte, whatever order the persona's requests end in, and name the gram",
    arguments: ["requests.order", "requests.late", "leaks.grams"])
  func repeats(test: String) async throws {
    var reports: Set<String> = []
    for _ in 0..<3 {
      for fault in ["mixes_up", "retired"] {
        let fragile = try await check(try Fixtures.build("fragile"), only: test, fault: fault, seed: 41, isRepeat: true)
        reports.insert(fault + fragile.json.text)
      }
      let brick = try await check("\(Products.folder)/libBRICK.so", only: test, seed: 41, isRepeat: true)
      reports.insert(brick.json.text)
    }
    #expect(reports.count == 3, "\(reports)")
    guard test == "requests.late" else { return }
    let retired = try #require(reports.first { $0.hasPrefix("retired") })
    #expect(retired.contains("crashes in done() of timer, with status -3"), "\(retired)")
  }

  @Test("a request that ends badly is named with the gram that led to it")
  func gram() async throws {
    let report = try await check(try Fixtures.build("fragile"), only: "requests.cancelled", fault: "cancelled")
    let outcome = try #require(report.outcomes.first { $0.name == "requests.cancelled" })
    #expect(outcome.findings.contains { $0.message.contains("with status -4, for the gram \"") }, "\(outcome)")
  }

  @Test("the same seed draws the same, and a test alone draws what it draws among all")
  func seeds() {
    var (one, again, other) = (SeededRandom(seed: 5, for: "x"), SeededRandom(seed: 5, for: "x"), SeededRandom(seed: 6, for: "x"))
    #expect((0..<10).map { _ in one.next() } == (0..<10).map { _ in again.next() })
    #expect(one.next() != other.next())
    func payloads(_ seed: UInt64) -> [[UInt8]] {
      var sample = SamplePayload(SeededRandom(seed: seed))
      return (0..<50).map { _ in sample.odd() }
    }
    #expect(payloads(3) == payloads(3) && payloads(3) != payloads(4))
    // What is sent is what the kernel would let pass.
    for payload in payloads(9) { #expect(payload.withUnsafeBytes(isJSONValue), "\(String(decoding: payload.prefix(80), as: UTF8.self))") }
  }

  @Test(
    "how a process ended is judged with what it had said",
    arguments: [
      (CheckOutcome.End(status: 0), [CheckLog.Line.ended], ""),
      (CheckOutcome.End(signal: 11), [.begins("stop()")], "crashes in stop(): SIGSEGV (Segmentation fault)"),
      (CheckOutcome.End(signal: 6), [.begins("start()"), .returned], "crashes after the return of start(): SIGABRT (Aborted)"),
      (CheckOutcome.End(timedOut: true), [.begins("load()")], "hangs in load(): the test was given up after 9 s"),
      (CheckOutcome.End(timedOut: true), [.ended], "something that it started holds our output open: a child process outlives destroy()"),
      (CheckOutcome.End(status: 0), [.begins("a")], "ends the whole process in a, with exit status 0: a persona never calls exit()"),
    ])
  func judged(end: CheckOutcome.End, lines: [CheckLog.Line], message: String) {
    let said = lines.flatMap(\.bytes)
    let (ours, printed) = CheckOutcome.lines(said)
    #expect(ours == lines && printed.isEmpty)
    let findings = CheckOutcome.judge(ours, printed: [], end: end, limitSeconds: 9)
    #expect(findings == (message.isEmpty ? [] : [CheckFinding(.failure, message)]))
  }

  @Test("silence is counted when nothing is heard and the lane rests; while the lane works, that is counted instead")
  func silence() {
    let start = ContinuousClock.now
    var silence = Silence(limit: .milliseconds(20))
    var clock = start
    func wait(_ milliseconds: Int, heard: ContinuousClock.Instant, isBusy: Bool) -> Bool {
      for _ in 0..<milliseconds {
        clock += .milliseconds(1)
        if silence.goesOn(heard: heard, isBusy: isBusy, now: clock) { return true }
      }
      return false
    }
    #expect(!wait(15, heard: start, isBusy: false) && !wait(100, heard: start, isBusy: true))
    #expect(silence.busy >= .milliseconds(100))
    #expect(!wait(15, heard: clock, isBusy: false) && silence.busy == .zero)
    // A pause of our own is not the persona's silence.
    clock += .seconds(3600)
    #expect(!silence.goesOn(heard: start, isBusy: false, now: clock) && wait(30, heard: start, isBusy: false))
  }

  @Test("what a persona prints is told apart from what its test says, and shown when it crashes")
  func printed() {
    let output = Array("hello\n".utf8) + CheckLog.Line.begins("start()").bytes + Array("Fatal error: no".utf8)
    let (lines, printed) = CheckOutcome.lines(output)
    #expect(lines == [.begins("start()")] && printed == ["hello", "Fatal error: no"])
    let findings = CheckOutcome.judge(lines, printed: printed, end: .init(signal: SIGTRAP), limitSeconds: 9)
    #expect(findings.first?.message.hasSuffix("the last that it printed: hello · Fatal error: no") == true)
  }
}
