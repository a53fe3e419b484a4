import Client
import Glibc
import Protocol
import System
import Workbench

/// Performs what the `DevMachine` of each persona decides: one loop over sources, builds, the kernel and the signals. One thread.
final class DevLoop {
  /// One persona that is worked on.
  private final class Subject {
    let name: String
    let source: PersonaSource
    var machine = DevMachine(isConnected: true)
    var build: Build?
    /// The request that has not been answered yet; a question to the persona, or a request to the kernel.
    var request: (id: Int, isQuestion: Bool)?
    var folders: Set<String> = []
    var files: [String: PersonaSource.Stamp] = [:]
    /// The last switch that has not been told, whoever wanted it.
    var receipt: Receipt?
    /// The kernel was started since the last request: what it runs by now may be what was built.
    var hasNewKernel = false
    /// Whether a generation of it runs.
    var runs: Bool
    /// It does not come back from a call: force would replace it.
    var isStuck = false
    /// The request under way is a reload by force, which somebody has pressed a key for.
    var isForced = false
    /// Somebody has pressed the key while another reload was under way.
    var wantsForce = false
    /// What was built last.
    var library: String?
    /// For the end of a line.
    var change: String { receipt.map { " · \($0.change)" } ?? "" }
    init(_ name: String, _ source: PersonaSource, runs: Bool) {
      self.name = name
      self.source = source
      self.runs = runs
    }
  }

  private let subjects: [Subject]
  private let question: String?
  private let link: KernelLink
  private let watcher: LibraryWatcher
  /// Keys are read one by one; nil: there is no terminal, or we are not in its foreground.
  private let keys: RawMode?
  private let socket: String

  init(
    _ connection: KernelConnection, name: String?, socket: String, sources: [(name: String, source: PersonaSource, runs: Bool)],
    question: String?
  ) throws {
    self.socket = socket
    keys = tcgetpgrp(0) == getpgrp() ? try? RawMode(0, keepsSignals: true) : nil
    link = KernelLink(connection, name: name, pauses: (.milliseconds(250), .milliseconds(500)))
    self.question = question
    subjects = sources.map { Subject($0.name, $0.source, runs: $0.runs) }
    watcher = try LibraryWatcher()
  }

  func run() throws -> ExitCode {
    for subject in subjects {
      _ = try look(subject)
      try say("watching \(subject.source.folder) for \(subject.name); Ctrl-C ends that, and nothing else")
      try perform(subject, subject.machine.handle(.saved(at: Self.now, written: .infinity), now: Self.now))
    }
    while true {
      try wait()
      if Signals.takeInterrupt() {
        try say("\nthe personas go on as they are")
        return .interrupted
      }
      try readKeys()
      try readSources()
      for subject in subjects {
        if let outcome = subject.build?.advance() { try built(subject, outcome) }
        try perform(subject, subject.machine.handle(.time, now: Self.now))
      }
      for event in try link.advance(.now) { try handle(event) }
    }
  }

  private static var now: Double {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }

  private func say(_ line: String) throws(CLIError) { try Output.answer.line(line) }

  private func wait() throws(CLIError) {
    var descriptors = [Signals.descriptor, watcher.descriptor]
    if keys != nil { descriptors.append(0) }
    if let descriptor = link.descriptor { descriptors.append(descriptor) }
    var until = link.timeout(.now).map { Self.now + $0 / .seconds(1) } ?? .infinity
    for subject in subjects {
      if let build = subject.build {
        if let descriptor = build.descriptor { descriptors.append(descriptor) } else { until = 0 }
      }
      until = min(until, subject.machine.due ?? .infinity)
    }
    let writing = link.wantsToWrite ? [link.descriptor].compactMap(\.self) : []
    _ = waitForInput(descriptors, writing: writing, for: until.isFinite ? .seconds(max(0, until - Self.now)) : nil)
  }

  // MARK: Sources

  /// Watches the folders that a source has now, and tells which files have been written, have come or have gone; of the last, nil.
  private func look(_ subject: Subject) throws -> [PersonaSource.Stamp?] {
    let root = subject.source.folder
    // What comes into a new folder before its watch is there causes no event: look until nothing is new.
    while true {
      let folders = Set(PersonaSource.folders(in: root)).union([root])
      if folders == subject.folders { break }
      for folder in folders.subtracting(subject.folders) { try watcher.watch(folder: folder) }
      for folder in subject.folders.subtracting(folders) { watcher.ignore(folder: folder) }
      subject.folders = folders
    }
    let files = PersonaSource.stamps(in: root)
    defer { subject.files = files }
    return Set(files.keys).union(subject.files.keys).filter { files[$0] != subject.files[$0] }.map { files[$0] }
  }

  private func readSources() throws {
    guard waitForInput([watcher.descriptor], for: .zero).contains(watcher.descriptor) else { return }
    for case .failed(let error) in watcher.readEvents() { throw CLIError(.failed, error.message) }
    // An event says only where to look: who opens a file for writing and closes it again, or whose child does, has saved nothing.
    for subject in subjects {
      let changes = try look(subject)
      if changes.isEmpty { continue }
      let now = Self.now
      let newest = changes.compactMap { $0?.written }.max() ?? 0
      // A file that was moved here may be old; what counts is when it came.
      let saved = newest <= now && newest > now - 2 ? newest : now
      let oldest = changes.map { $0?.written ?? 0 }.min() ?? 0
      try perform(subject, subject.machine.handle(.saved(at: saved, written: oldest), now: now))
    }
  }

  // MARK: Keys

  private func readKeys() throws {
    guard keys != nil, waitForInput([0], for: .zero).contains(0) else { return }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = max(0, read(0, &bytes, bytes.count))
    for key in bytes[..<count] {
      switch key {
      case UInt8(ascii: "f"), UInt8(ascii: "F"): try force()
      case UInt8(ascii: "?"), UInt8(ascii: "h"):
        try say("f replaces a generation that does not come back, without its state; Ctrl-C ends the watching")
      default: break
      }
    }
  }

  /// What hangs is replaced by what was built last, or by the persona's own library.
  private func force() throws {
    let stuck = subjects.filter(\.isStuck)
    if stuck.isEmpty { return try say("nothing hangs, so there is nothing to force") }
    for subject in stuck where link.connection != nil {
      // A reload that is under way ends first.
      if subject.request?.isQuestion == false { subject.wantsForce = true } else { try force(subject) }
    }
  }

  private func force(_ subject: Subject) throws {
    cancelRequest(of: subject)
    (subject.wantsForce, subject.isForced) = (false, true)
    try say("\(subject.name) is replaced by force")
    try start(subject, Request(Personas.Reload(names: [subject.name], force: true, library: subject.library)))
  }

  /// Offers the key that helps where a generation does not come back; tells what came by itself.
  private func offer(_ subject: Subject, _ receipt: Receipt) throws {
    let hangs = receipt.reason?.contains("--force") == true
    let came = subject.request == nil || subject.request?.isQuestion == true
    if came, [.rolledBack, .unwell].contains(receipt.outcome) { try say(receipt.sentence.harmless) }
    if hangs, !subject.isStuck {
      subject.isStuck = true
      if keys != nil { try say("press f to replace \(subject.name) by force; its state is lost") }
    }
  }

  // MARK: Actions

  private func perform(_ subject: Subject, _ actions: [DevMachine.Action]) throws {
    for action in actions {
      switch action {
      case .build(let anew):
        cancelRequest(of: subject)
        let plan = BuildPlan(subject.source, anew: anew)
        for note in plan.steps.compactMap(\.note) { try say("\(subject.name): \(note)") }
        subject.build = Build(plan)
      case .cancelBuild: subject.build = nil
      case .load(let library):
        subject.library = library
        try start(subject, Request(Personas.Reload(names: [subject.name], library: library)))
      case .ask: try ask(subject)
      case .tell(let total, let compiler):
        try say("\(subject.name) live: \(fixed(total, 2)) s after saving, of which compiler \(fixed(compiler, 2)) s\(subject.change)")
        subject.receipt = nil
      case .tellReturn:
        try say("\(subject.name) live again\(subject.change)")
        subject.receipt = nil
      }
    }
  }

  private func built(_ subject: Subject, _ outcome: Build.Outcome) throws {
    subject.build = nil
    switch outcome {
    case .built(let library, let seconds, let warnings):
      try tell(warnings, of: subject)
      try perform(subject, subject.machine.handle(.built(library: library, seconds: seconds), now: Self.now))
    case .failed(let diagnostics, _):
      try say("\(subject.name) does not build; \(subject.runs ? "the running generation goes on" : "no generation of it runs")")
      try tell(diagnostics, of: subject)
      try perform(subject, subject.machine.handle(.failed, now: Self.now))
    }
  }

  private func tell(_ diagnostics: [Diagnostic], of subject: Subject) throws(CLIError) {
    for diagnostic in diagnostics.prefix(20) { try say("  " + diagnostic.text(from: subject.source.folder).harmless) }
    if diagnostics.count > 20 { try say("  … and \(diagnostics.count - 20) more") }
  }

  private func start(_ subject: Subject, isQuestion: Bool = false, _ request: Request) throws(ClientError) {
    if let connection = link.connection { subject.request = (try connection.start(request), isQuestion) }
  }

  private func ask(_ subject: Subject) throws(ClientError) {
    guard let connection = link.connection else { return }
    let request =
      question.map { connection.conversation(with: subject.name, $0, thread: "dev", stream: false, deadline: .seconds(600)) }
      ?? Request(target: subject.name, method: "describe", deadline: .seconds(10))
    try start(subject, isQuestion: true, request)
  }

  /// The answer of an older generation is not waited for.
  private func cancelRequest(of subject: Subject) {
    guard let request = subject.request else { return }
    subject.request = nil
    link.connection?.cancel(request.id)
  }

  // MARK: The kernel

  private func handle(_ event: KernelLink.Event) throws {
    switch event {
    case .lost: try lost()
    case .attached: try returned()
    case .incoming(.receipt(let receipt)): try hear(receipt)
    case .incoming(.reply(let id, let payload)):
      guard let (subject, isQuestion) = take(id) else { return }
      let event = isQuestion ? try answered(subject, payload) : try changed(subject, payload)
      try perform(subject, subject.machine.handle(event, now: Self.now))
      if subject.wantsForce, subject.request == nil { try force(subject) }
    case .incoming(.failure(let id, let report)):
      guard let (subject, isQuestion) = take(id) else { return }
      let event = isQuestion ? try couldNotAnswer(subject, report) : try refused(subject, report)
      try perform(subject, subject.machine.handle(event, now: Self.now))
      if subject.wantsForce, subject.request == nil { try force(subject) }
    case .incoming: break
    }
  }

  /// Whose request has ended.
  private func take(_ id: Int) -> (Subject, isQuestion: Bool)? {
    guard let subject = subjects.first(where: { $0.request?.id == id }), let request = subject.request else { return nil }
    subject.request = nil
    return (subject, request.isQuestion)
  }

  /// A receipt that came by itself.
  private func hear(_ receipt: Receipt) throws {
    note(receipt)
    if let subject = subjects.first(where: { $0.name == receipt.persona }) { try offer(subject, receipt) }
    // A personas.toml that was saved with a mistake.
    if receipt.persona == "personas.toml" { return try say(receipt.sentence.harmless) }
    guard receipt.outcome == .configured, let subject = subjects.first(where: { $0.name == receipt.persona }) else { return }
    try say(receipt.sentence.harmless)
    for warning in receipt.warnings ?? [] { try say("  warning: \(warning.harmless)") }
    // The new prompt's first words; a switch under way asks by itself.
    if question != nil, subject.machine.phase == .resting { try ask(subject) }
  }

  /// Switches are told to everybody, also those that the kernel's own watch of the file, or another client, has caused.
  private func note(_ receipt: Receipt) {
    guard let subject = subjects.first(where: { $0.name == receipt.persona }) else { return }
    switch receipt.outcome {
    case .loaded, .reloaded, .rolledBack:
      subject.receipt = receipt
      subject.runs = true
      subject.isStuck = false
    case .unloaded: subject.runs = false
    default: break
    }
  }

  private func answered(_ subject: Subject, _ payload: Payload) throws(CLIError) -> DevMachine.Event {
    if question != nil { try say("\(subject.name): \(AnswerPrinter.content(of: payload.json).harmless)") }
    return .answered
  }

  private func couldNotAnswer(_ subject: Subject, _ report: ErrorReport) throws(CLIError) -> DevMachine.Event {
    // A persona need not know `describe`; that it said so is an answer.
    if question != nil || report.failure.code != .unknownMethod {
      try say("\(subject.name) could not answer: \(report.message.harmless)")
    }
    return .answered
  }

  private func refused(_ subject: Subject, _ report: ErrorReport) throws(CLIError) -> DevMachine.Event {
    try say("\(subject.name) not changed: \(report.message.harmless)")
    return .refused
  }

  private func changed(_ subject: Subject, _ payload: Payload) throws -> DevMachine.Event {
    guard let receipt = try Receipt.all(in: payload).first else { return .refused }
    note(receipt)
    if subject.isForced {
      subject.isForced = false
      try say(receipt.sentence.harmless)
      for warning in receipt.warnings ?? [] { try say("  warning: \(warning.harmless)") }
      return .receipt(receipt.isRefused ? .refused : .unchanged)
    }
    // The kernel may have loaded it by its own watch of the file or by its start, or it was loaded for a save that another one has
    // overtaken: then there is nothing left to change, and it is live.
    let isUnchanged = receipt.outcome == .unchanged && subject.receipt == nil && !subject.hasNewKernel
    subject.hasNewKernel = false
    let outcome: DevMachine.Switch = receipt.isRefused ? .refused : isUnchanged ? .unchanged : .done
    if outcome != .done { try say(receipt.sentence.harmless) }
    if receipt.isRefused { try offer(subject, receipt) }
    for warning in receipt.warnings ?? [] { try say("  warning: \(warning.harmless)") }
    return .receipt(outcome)
  }

  private func lost() throws {
    for line in CrashNote.lines(besides: socket, names: subjects.map(\.name)) { try say(line.harmless) }
    try say("the kernel is gone; what is saved meanwhile is built, and loaded when it is back")
    for subject in subjects {
      subject.request = nil
      try perform(subject, subject.machine.handle(.disconnected, now: Self.now))
    }
  }

  private func returned() throws {
    try say("the kernel is back")
    for subject in subjects {
      subject.hasNewKernel = true
      subject.receipt = nil
      try perform(subject, subject.machine.handle(.connected, now: Self.now))
    }
  }
}
