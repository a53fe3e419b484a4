import Glibc
import Protocol
import System

/// The child's side of `Rehearsal`: leads one instance through its life, and lets a second one load what the first has saved.
struct RehearsalChild {
  private let library: LoadedLibrary
  private let configuration: [UInt8]
  private let state: SavedState?
  /// Where its words go.
  private let output: Int32
  /// How the process was before any of the library's code has run.
  private let process: ProcessState

  /// What it gets on standard input.
  static func input(configuration: [UInt8], state: SavedState?) -> [UInt8] {
    Array("\(configuration.count) \(state?.schema ?? 0) \(state?.bytes.count ?? -1)\n".utf8) + configuration + (state?.bytes ?? [])
  }

  private static func read(_ input: [UInt8]) -> (configuration: [UInt8], state: SavedState?)? {
    guard let newline = input.firstIndex(of: 0x0a) else { return nil }
    let numbers = String(decoding: input[..<newline], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
    let rest = input[(newline + 1)...]
    guard numbers.count == 3, let schema = UInt32(exactly: numbers[1]), numbers[0] >= 0, numbers[0] <= rest.count else { return nil }
    let configuration = Array(rest.prefix(numbers[0]))
    let bytes = Array(rest.dropFirst(numbers[0]))
    guard bytes.count == max(0, numbers[2]) else { return nil }
    return (configuration, numbers[2] < 0 ? nil : SavedState(schema: schema, bytes: bytes))
  }

  /// Returns the exit status.
  static func perform(library path: String) -> Int32 {
    var bytes: [UInt8] = []
    while readMore(from: 0, into: &bytes) > 0 {}
    guard let (configuration, state) = read(bytes), let output = ChildProgram.keep(1) else { return 2 }
    do throws(Failure) {
      say("open", to: output)
      let process = ProcessState()
      let library = try open(path)
      let child = RehearsalChild(library: library, configuration: configuration, state: state, output: output, process: process)
      child.lookAfterProcess("what it runs when it is opened")
      try child.play()
      say("ok", to: output)
      return 0
    } catch {
      say("error \(error.code.status) \(error.message)", to: output)
      return 1
    }
  }

  private static func open(_ path: String) throws(Failure) -> LoadedLibrary {
    do throws(LibraryError) {
      let file = try LibraryFile(reading: path)
      let (about, _) = try file.check(services: HostTables.services)
      return try LoadedLibrary.open(LibraryImage(path: path, originalPath: path, hash: file.hash, about: about))
    } catch {
      throw Failure(error)
    }
  }

  private func play() throws(Failure) {
    let first = try instance()
    try step("create", first.create)
    if let state { try step("load") { first.load(state, then: $0) } }
    try step("start", first.start)
    let saved = try step("save", first.save)
    end("stop", first)
    // A state that only its writer understands would be lost at the next reload.
    guard let saved, let schema = library.image.about.state?.writes else { return }
    let second = try instance()
    try step("create", second.create)
    try step("load (of what it has saved itself)") { second.load(SavedState(schema: schema, bytes: saved), then: $0) }
    end("destroy", second)
  }

  private func instance() throws(Failure) -> any Instance {
    try ThreadInstance(
      persona: library.image.about.name, number: 0, library: library, configuration: configuration, state: StateStore(),
      inbox: LoopInbox(), log: Logger(LogConfiguration()).part("rehearsal"))
  }

  /// Waits for as long as it takes: the parent has the limit.
  private func step<Value: Sendable>(_ word: String, _ begin: (@escaping StepEnd<Value>) -> Void) throws(Failure) -> Value {
    Self.say(word, to: output)
    let end = Promise<Result<Value, Failure>>()
    begin { end.fulfill($0) }
    defer { lookAfterProcess(word) }
    return try end.wait().get()
  }

  private func lookAfterProcess(_ step: String) {
    for change in process.putBack() {
      Self.say("warning \(library.image.about.name) changes in \(step) what belongs to the whole process: \(change)", to: output)
    }
  }

  private func end(_ word: String, _ instance: any Instance) {
    Self.say(word, to: output)
    let end = Promise<Bool>()
    instance.end { end.fulfill(true) }
    _ = end.wait()
    lookAfterProcess(word)
  }

  /// One line. That nobody reads it is no fault of the library's.
  private static func say(_ line: String, to output: Int32) {
    _ = writeAll(Array((line.split(separator: "\n").joined(separator: " ") + "\n").utf8), to: output)
  }
}
