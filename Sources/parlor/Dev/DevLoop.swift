import Glibc
import Kernel
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
    /// The request that the kernel or the persona has not answered yet.
    var request: Int?
    var folders: Set<String> = []
    var receipt: Receipt?
    init(_ name: String, _ source: PersonaSource) {
      self.name = name
      self.source = source
    }
  }

  private let subjects: [Subject]
  private let question: String?
  private let path: String
  private let name: String?
  private var connection: KernelConnection?
  private let watcher: LibraryWatcher
  /// When to look for new folders, and for the kernel if it is gone.
  private var lookAt = 0.0
  private var callAt = 0.0

  init(
    _ connection: KernelConnection, name: String?, sources: [(name: String, source: PersonaSource)], question: String?
  ) throws(Trouble) {
    self.connection = connection
    self.name = name
    self.question = question
    path = connection.path
    subjects = sources.map { Subject($0.name, $0.source) }
    do throws(LibraryError) { watcher = try LibraryWatcher() } catch { throw Trouble(.failed, error.message) }
  }

  func run() throws(Trouble) -> ExitCode {
    for subject in subjects {
      try look(subject)
      try say("watching \(subject.source.folder) for \(subject.name); Ctrl-C ends that, and nothing else")
      try perform(subject, subject.machine.handle(.saved(at: Self.now), now: Self.now))
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

  private func say(_ line: String) throws(Trouble) { try Output.answer.line(line) }

  private func wait() throws(Trouble) {
    var descriptors = [Signals.descriptor, watcher.descriptor]
    if let connection { descriptors.append(connection.descriptor) }
    var until = min(lookAt, connection == nil ? callAt : .infinity)
    for subject in subjects {
      if let descriptor = subject.build?.descriptor { descriptors.append(descriptor) }
      until = min(until, subject.machine.due ?? .infinity)
    }
    _ = waitForInput(descriptors, for: .seconds(max(0, until - Self.now)))
  }

  // MARK: Sources

  /// Watches the folders of a source; true if one is new and not empty.
  @discardableResult private func look(_ subject: Subject) throws(Trouble) -> Bool {
    lookAt = Self.now + 1
    let folders = Set(PersonaSource.folders(in: subject.source.folder))
    let new = folders.subtracting(subject.folders)
    let isFirst = subject.folders.isEmpty
    for folder in new {
      do throws(LibraryError) { try watcher.watch(folder: folder) } catch { throw Trouble(.failed, error.message) }
    }
    for folder in subject.folders.subtracting(folders) where folder != subject.source.folder { watcher.ignore(folder: folder) }
    subject.folders = folders.union([subject.source.folder])
    return !isFirst && new.contains { !PersonaSource.files(in: $0).isEmpty }
  }

  private func readSources() throws(Trouble) {
    var changed: [ObjectIdentifier: Double] = [:]
    for change in watcher.readEvents() {
      switch change {
      case .file(let path) where PersonaSource.isSource(path):
        for subject in subjects where path.hasPrefix(subject.source.folder + "/") {
          changed[ObjectIdentifier(subject)] = max(changed[ObjectIdentifier(subject)] ?? 0, PersonaSource.newest(of: [path]))
        }
      case .file: break
      case .everything: for subject in subjects { changed[ObjectIdentifier(subject)] = 0 }
      case .failed(let error): throw Trouble(.failed, error.message)
      }
    }
    let now = Self.now
    if now >= lookAt { for subject in subjects where try look(subject) { changed[ObjectIdentifier(subject)] = 0 } }
    for subject in subjects {
      guard let written = changed[ObjectIdentifier(subject)] else { continue }
      // A file that was moved here may be old; what counts is when it came.
      let saved = written <= now && written > now - 2 ? written : now
      try perform(subject, subject.machine.handle(.saved(at: saved), now: now))
    }
  }

  // MARK: Actions

  private func perform(_ subject: Subject, _ actions: [DevMachine.Action]) throws(Trouble) {
    for action in actions {
      switch action {
      case .build: subject.build = Build(BuildPlan(subject.source))
      case .cancelBuild: subject.build = nil
      case .load(let library):
        try request(subject, Request(method: "personas.reload", payload: ["name": .string(subject.name), "library": .string(library)]))
      case .ask:
        try request(
          subject,
          question.map { .conversation(with: subject.name, $0, thread: "dev", stream: false, deadline: .seconds(600)) }
            ?? Request(target: subject.name, method: "describe", deadline: .seconds(10)))
      case .tell(let total, let compiler):
        let change = subject.receipt.map { " · \($0.change)" } ?? ""
        try say("\(subject.name) live: \(fixed(total, 2)) s after saving, of which compiler \(fixed(compiler, 2)) s\(change)")
      }
    }
  }

  private func built(_ subject: Subject, _ outcome: Build.Outcome) throws(Trouble) {
    subject.build = nil
    switch outcome {
    case .built(let library, let seconds):
      try perform(subject, subject.machine.handle(.built(library: library, seconds: seconds), now: Self.now))
    case .failed(let diagnostics, _):
      try say("\(subject.name) does not build; the running generation goes on")
      for diagnostic in diagnostics.prefix(20) { try say("  " + diagnostic.text(from: subject.source.folder).harmless) }
      if diagnostics.count > 20 { try say("  … and \(diagnostics.count - 20) more") }
      try perform(subject, subject.machine.handle(.failed, now: Self.now))
    }
  }

  private func request(_ subject: Subject, _ request: Request) throws(Trouble) {
    do throws(Trouble) { subject.request = try connection?.start(request) } catch { try lost() }
  }

  // MARK: The kernel

  private func readKernel() throws(Trouble) {
    guard let connection else { return }
    guard waitForInput([connection.descriptor], for: .zero).contains(connection.descriptor) else { return }
    let grams: [Gram]
    do throws(Trouble) { grams = try connection.receive() } catch { return try lost() }
    for gram in grams {
      guard let re = gram.re, let subject = subjects.first(where: { $0.request == re }), gram.method != "delta" else { continue }
      subject.request = nil
      try perform(subject, subject.machine.handle(try event(gram, for: subject), now: Self.now))
    }
  }

  private func event(_ gram: Gram, for subject: Subject) throws(Trouble) -> DevMachine.Event {
    let isError = gram.method == "error"
    if case .asking = subject.machine.phase {
      let code = gram.payload["code"]?.string
      if question != nil || (isError && ["unknown_target", "deadline", "queue_full", "retired"].contains(code)) {
        let text = isError ? gram.payload["message"]?.plain ?? "" : AnswerPrinter.content(of: gram.payload)
        try say("\(subject.name)\(isError ? " could not answer" : ""): \(text.harmless)")
      }
      return .answered
    }
    if isError {
      try say("\(subject.name) not changed: \((gram.payload["message"]?.plain ?? "").harmless)")
      return .refused
    }
    let receipt = Receipt(json: gram.payload["receipts"]?.array?.first ?? gram.payload)
    subject.receipt = receipt
    let live = !receipt.refused && receipt.json["outcome"]?.string != "unchanged"
    if !live { try say(receipt.sentence.harmless) }
    for warning in receipt.json["warnings"]?.array ?? [] { try say("  warning: \(warning.plain.harmless)") }
    return .receipt(live: live)
  }

  private func lost() throws(Trouble) {
    connection = nil
    callAt = Self.now
    try say("the kernel is gone; what is saved meanwhile is built, and loaded when it is back")
    for subject in subjects {
      subject.request = nil
      try perform(subject, subject.machine.handle(.disconnected, now: Self.now))
    }
  }

  private func callKernel() throws(Trouble) {
    guard connection == nil, Self.now >= callAt else { return }
    callAt = Self.now + 0.5
    do throws(Trouble) { connection = try KernelConnection(path: path, name: name, within: .seconds(2)) } catch {
      // Not yet: the next call comes in half a second.
      if error.exit == .interrupted { throw error }
      return
    }
    try say("the kernel is back")
    for subject in subjects { try perform(subject, subject.machine.handle(.connected, now: Self.now)) }
  }
}
