import Glibc
import Kernel
import Protocol
import Wire
import Workbench

/// Performs what the `DevMachine` of each persona decides: one loop over sources, builds, the kernel and the signals. One thread.
final class DevLoop {
  /// One persona that is worked on.
  private final class Subject {
    let name: String
    let source: PersonaSource
    var machine = DevMachine(isConnected: true)
    var build: Build?
    /// The request that has not been answered yet; a question to the persona, or an order to the kernel.
    var request: (id: Int, isQuestion: Bool)?
    var folders: Set<String> = []
    var files: [String: PersonaSource.Stamp] = [:]
    /// The last switch that has not been told, whoever wanted it.
    var receipt: Receipt?
    /// The kernel was started since the last order: what it runs by now may be what was built.
    var hasNewKernel = false
    /// Whether a generation of it runs.
    var runs: Bool
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
  private let path: String
  private let name: String?
  private var connection: KernelConnection?
  private let watcher: LibraryWatcher
  /// When to look for the kernel, if it is gone.
  private var callAt = 0.0

  init(
    _ connection: KernelConnection, name: String?, sources: [(name: String, source: PersonaSource, runs: Bool)], question: String?
  ) throws(CLIError) {
    self.connection = connection
    self.name = name
    self.question = question
    path = connection.path
    subjects = sources.map { Subject($0.name, $0.source, runs: $0.runs) }
    do throws(LibraryError) { watcher = try LibraryWatcher() } catch { throw CLIError(.failed, error.message) }
  }

  func run() throws(CLIError) -> ExitCode {
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
      try readSources()
      for subject in subjects {
        if let outcome = subject.build?.advance() { try built(subject, outcome) }
        try perform(subject, subject.machine.handle(.time, now: Self.now))
      }
      try readKernel()
      try callKernel()
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
    if let connection { descriptors.append(connection.descriptor) }
    var until = connection == nil ? callAt : .infinity
    for subject in subjects {
      if let build = subject.build {
        if let descriptor = build.descriptor { descriptors.append(descriptor) } else { until = 0 }
      }
      until = min(until, subject.machine.due ?? .infinity)
    }
    _ = waitForInput(descriptors, for: until.isFinite ? .seconds(max(0, until - Self.now)) : nil)
  }

  // MARK: Sources

  /// Watches the folders that a source has now, and tells which files have been written, have come or have gone; of the last, nil.
  private func look(_ subject: Subject) throws(CLIError) -> [PersonaSource.Stamp?] {
    let root = subject.source.folder
    // What comes into a new folder before its watch is there causes no event: look until nothing is new.
    while true {
      let folders = Set(PersonaSource.folders(in: root)).union([root])
      if folders == subject.folders { break }
      for folder in folders.subtracting(subject.folders) {
        do throws(LibraryError) { try watcher.watch(folder: folder) } catch { throw CLIError(.failed, error.message) }
      }
      for folder in subject.folders.subtracting(folders) { watcher.ignore(folder: folder) }
      subject.folders = folders
    }
    let files = PersonaSource.stamps(in: root)
    defer { subject.files = files }
    return Set(files.keys).union(subject.files.keys).filter { files[$0] != subject.files[$0] }.map { files[$0] }
  }

  private func readSources() throws(CLIError) {
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

  // MARK: Actions

  private func perform(_ subject: Subject, _ actions: [DevMachine.Action]) throws(CLIError) {
    for action in actions {
      switch action {
      case .build(let anew):
        if let request = subject.request { try cancel(request.id, of: subject) }
        let plan = BuildPlan(subject.source, anew: anew)
        for note in plan.steps.compactMap(\.note) { try say("\(subject.name): \(note)") }
        subject.build = Build(plan)
      case .cancelBuild: subject.build = nil
      case .load(let library):
        try request(subject, Request(method: "personas.reload", payload: ["name": .string(subject.name), "library": .string(library)]))
      case .ask:
        try request(
          subject, isQuestion: true,
          question.map { .conversation(with: subject.name, $0, thread: "dev", stream: false, deadline: .seconds(600)) }
            ?? Request(target: subject.name, method: "describe", deadline: .seconds(10)))
      case .tell(let total, let compiler):
        try say("\(subject.name) live: \(fixed(total, 2)) s after saving, of which compiler \(fixed(compiler, 2)) s\(subject.change)")
        subject.receipt = nil
      case .tellReturn:
        try say("\(subject.name) live again\(subject.change)")
        subject.receipt = nil
      }
    }
  }

  private func built(_ subject: Subject, _ outcome: Build.Outcome) throws(CLIError) {
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

  private func request(_ subject: Subject, isQuestion: Bool = false, _ request: Request) throws(CLIError) {
    guard let connection else { return }
    do throws(CLIError) { subject.request = (try connection.start(request), isQuestion) } catch { try lost() }
  }

  /// The answer of an older generation is not waited for.
  private func cancel(_ request: Int, of subject: Subject) throws(CLIError) {
    subject.request = nil
    do throws(CLIError) { try connection?.cancel(request) } catch { try lost() }
  }

  // MARK: The kernel

  private func readKernel() throws(CLIError) {
    guard let connection else { return }
    guard waitForInput([connection.descriptor], for: .zero).contains(connection.descriptor) else { return }
    let grams: [Gram]
    do throws(CLIError) { grams = try connection.receive() } catch { return try lost() }
    for gram in grams {
      if gram.method == "receipt" { note(Receipt(json: gram.payload)) }
      guard let re = gram.re, gram.method != "delta", let subject = subjects.first(where: { $0.request?.id == re }),
        let request = subject.request
      else { continue }
      subject.request = nil
      let event = request.isQuestion ? try answered(gram, subject) : try ordered(gram, subject)
      try perform(subject, subject.machine.handle(event, now: Self.now))
    }
  }

  /// Switches are told to everybody, also those that the kernel's own watch of the file, or another client, has caused.
  private func note(_ receipt: Receipt) {
    guard let subject = subjects.first(where: { $0.name == receipt.persona }) else { return }
    switch receipt.json["outcome"]?.string {
    case "loaded", "reloaded", "rolled_back":
      subject.receipt = receipt
      subject.runs = true
    case "unloaded": subject.runs = false
    default: break
    }
  }

  private func answered(_ gram: Gram, _ subject: Subject) throws(CLIError) -> DevMachine.Event {
    let isError = gram.method == "error"
    // A persona need not know `describe`; that it said so is an answer.
    if question != nil || (isError && gram.payload["code"]?.string != "unknown_method") {
      let text = isError ? gram.payload["message"]?.plain ?? "" : AnswerPrinter.content(of: gram.payload)
      try say("\(subject.name)\(isError ? " could not answer" : ""): \(text.harmless)")
    }
    return .answered
  }

  private func ordered(_ gram: Gram, _ subject: Subject) throws(CLIError) -> DevMachine.Event {
    if gram.method == "error" {
      try say("\(subject.name) not changed: \((gram.payload["message"]?.plain ?? "").harmless)")
      return .refused
    }
    let receipt = Receipt(json: gram.payload["receipts"]?.array?.first ?? gram.payload)
    note(receipt)
    // The kernel may have loaded it by its own watch of the file or by its start, or it was loaded for a save that another one has
    // overtaken: then there is nothing left to change, and it is live.
    let isUnchanged = receipt.json["outcome"]?.string == "unchanged" && subject.receipt == nil && !subject.hasNewKernel
    subject.hasNewKernel = false
    let outcome: DevMachine.Switch = receipt.refused ? .refused : isUnchanged ? .unchanged : .done
    if outcome != .done { try say(receipt.sentence.harmless) }
    for warning in receipt.json["warnings"]?.array ?? [] { try say("  warning: \(warning.plain.harmless)") }
    return .receipt(outcome)
  }

  private func lost() throws(CLIError) {
    connection = nil
    callAt = Self.now
    try say("the kernel is gone; what is saved meanwhile is built, and loaded when it is back")
    for subject in subjects {
      subject.request = nil
      try perform(subject, subject.machine.handle(.disconnected, now: Self.now))
    }
  }

  private func callKernel() throws(CLIError) {
    guard connection == nil, Self.now >= callAt else { return }
    callAt = Self.now + 0.5
    do throws(CLIError) { connection = try KernelConnection(path: path, name: name, within: .seconds(2)) } catch {
      // Not yet: the next call comes in half a second.
      if error.exit == .interrupted { throw error }
      return
    }
    try say("the kernel is back")
    for subject in subjects {
      subject.hasNewKernel = true
      subject.receipt = nil
      try perform(subject, subject.machine.handle(.connected, now: Self.now))
    }
  }
}
