import CPlatform
import Glibc
import Protocol
import System

/// Plays a library's life in a child process before it is let into the kernel: a crash or hang there costs nothing.
///
/// The child is our own executable, called with `--rehearse`. It says on standard output which step it
/// begins, one word a line, and at the end `ok`, or `error STATUS TEXT`. On standard input it gets the
/// configuration's length, the state's schema and length in one line, and then both.
public struct Rehearsal: Sendable {
  /// The executable and what stands before the library's path.
  let command: [String]
  let limitMilliseconds: Int

  /// `command` is run with the library's path appended.
  public init(command: [String], limitMilliseconds: Int) {
    self.command = command
    self.limitMilliseconds = limitMilliseconds
  }

  func play(image: LibraryImage, configuration: PersonaConfiguration, state: (UInt32, [UInt8])?) throws(Failure) {
    var input = Array("\(configuration.json.count) \(state?.0 ?? 0) \(state.map { $0.1.count } ?? -1)\n".utf8)
    input += configuration.json
    if let state { input += state.1 }
    var plan = Subprocess.Plan(command + [image.path])
    plan.input = .bytes(input)
    let child = try Subprocess.started(plan)
    let output = child.readAll(milliseconds: limitMilliseconds)
    let end = child.wait()
    let lines = String(decoding: output.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    let step = lines.last { !$0.hasPrefix("error ") && $0 != "ok" } ?? "open"
    if let error = lines.last, error.hasPrefix("error ") {
      let parts = error.split(separator: " ", maxSplits: 2)
      let status = parts.count > 1 ? Int32(parts[1]) ?? -1 : -1
      throw Failure(.init(status: status), "refused in rehearsal, in \(step): \(parts.count > 2 ? String(parts[2]) : "no reason given")")
    }
    if !output.isWhole { throw Failure(.deadline, "hung in rehearsal: \(step) did not return within \(limitMilliseconds) ms") }
    if case .signal(let signal) = end {
      throw Failure(.failed, "crashed in rehearsal, in \(step): \(String(cString: strsignal(signal))) (signal \(signal))")
    }
    if lines.last != "ok" || end != .status(0) {
      throw Failure(.failed, "ended itself in rehearsal, in \(step), with \(end)")
    }
  }

  /// The child's side: returns the exit status.
  public static func perform(library path: String) -> Int32 {
    @Sendable func say(_ line: String) {
      let bytes = Array((line.split(separator: "\n").joined(separator: " ") + "\n").utf8)
      _ = write(3, bytes, bytes.count)
    }
    // Whatever the persona prints goes to standard error; our words keep their own way.
    dup2(1, 3)
    dup2(2, 1)
    bat_die_with_parent()
    var input: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let n = read(0, &chunk, chunk.count)
      if n <= 0 { break }
      input.append(contentsOf: chunk[..<n])
    }
    guard let newline = input.firstIndex(of: 0x0a) else { return 2 }
    let numbers = String(decoding: input[..<newline], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
    guard numbers.count == 3, input.count >= newline + 1 + numbers[0] + max(0, numbers[2]) else { return 2 }
    let configuration = Array(input[(newline + 1)...].prefix(numbers[0]))
    let state = Array(input[(newline + 1 + numbers[0])...].prefix(max(0, numbers[2])))
    let answer = Promise<Int32>()
    do throws(Failure) {
      say("open")
      let library: LoadedLibrary
      do throws(LibraryError) {
        let file = try LibraryFile(reading: path)
        let (about, _) = try file.check(services: HostTables.services)
        library = try LoadedLibrary.open(LibraryImage(path: path, originalPath: path, hash: file.hash, about: about))
      } catch {
        throw Failure(error)
      }
      let inbox = LoopInbox()
      let log = Logger(LogConfiguration()).part("rehearsal")
      @Sendable func instance() -> ThreadInstance {
        ThreadInstance(
          persona: library.image.about.name, number: 0, library: library, configuration: configuration, state: StateStore(), inbox: inbox,
          log: log)
      }
      let generation = instance()
      // A second one reads what the first has saved: a state that only its writer understands would be lost at the next reload.
      let successor = instance()
      @Sendable func play(_ generation: ThreadInstance, _ steps: @escaping @Sendable () throws(Failure) -> Void) {
        generation.lane.lane.run {
          do throws(Failure) { try steps() } catch {
            say("error \(error.code.status) \(error.message)")
            answer.fulfill(1)
          }
        }
      }
      play(generation) { () throws(Failure) in
        say("create")
        try generation.create()
        if numbers[2] >= 0 {
          say("load")
          try generation.load(schema: UInt32(numbers[1]), state: state)
        }
        say("start")
        try generation.start()
        say("save")
        let saved = try generation.save()
        say("stop")
        generation.end()
        play(successor) { () throws(Failure) in
          if let saved, let schema = library.image.about.state?.writes {
            say("create")
            try successor.create()
            say("load (of what it has saved itself)")
            try successor.load(schema: schema, state: saved)
            say("destroy")
            successor.end()
          }
          say("ok")
          answer.fulfill(0)
        }
      }
    } catch {
      say("error \(error.code.status) \(error.message)")
      return 1
    }
    return answer.wait(milliseconds: 3_600_000) ?? 1
  }
}
