import Glibc
import Protocol
import System
import Wire
import Workbench

/// `parlor replay`: recorded messages, played to a library.
struct ReplayCommand: Command {
  let name = "replay"
  let usage = "parlor replay FILE… [--library LIBRARY.so] [--persona NAME] [--deadline SECONDS] [--wait] [--json]"
  let summary = "play recorded messages to a library, with no kernel and a recorded model"
  let help = """
    Runs the persona of each recording in a process of its own, gives it the messages, and answers what it asks of the
    model and of others from the recording. Tells what came of them then and now. Exit status 0: all the same, 1: not, or
    it crashed. A recording that is written by hand is a test (docs/REPLAY.md).

      --library LIBRARY.so  what to run, else what the recording names
      --persona NAME        the name that it goes by, else the recorded one
      --deadline SECONDS    how long one message may take; else 30
      --wait                when the persona is loaded, wait for a debugger to be attached to its process, and for Enter
      --json                a line of JSON for each recording
    """
  let flags: Set = ["--json", "--wait"]
  let values: Set = ["--library", "--persona", "--deadline"]
  let operands = 1...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    let host = ReplayHost(command: ["/proc/self/exe", "stage"], limitMilliseconds: try arguments.deadline()?.milliseconds ?? 30_000)
    let wait: ((pid_t) -> Void)? = arguments.has("--wait") ? { waitForDebugger(at: $0) } : nil
    var same = true
    for file in arguments.operands {
      var recording = try recording(in: file)
      guard let library = arguments.value("--library") ?? recording.library.map({ $0.hasPrefix("/") ? $0 : parent(of: file) + "/" + $0 })
      else { throw CLIError(.usage, "\(file) names no library: say which one, with --library") }
      guard let path = PersonaSource.real(library) else { throw CLIError(.failed, "\(library): there is no such library") }
      recording.library = path
      if let name = arguments.value("--persona") { recording.persona = name }
      let play: ReplayHost.Play
      do throws(Failure) { play = try host.play(recording, library: path, onReady: wait) } catch {
        throw CLIError(.failed, "\(file): \(error.message)")
      }
      let comparison = Comparison(recording.messages, play)
      same = same && comparison.isSame
      if arguments.has("--json") {
        try Output.answer.json(comparison.json.text)
      } else {
        try Output.answer.write(comparison.text(recording.persona.shownName, style: Style(for: .answer)))
      }
    }
    return same ? .ok : .failed
  }

  /// A recording of the kernel has at most some megabytes.
  private static let longest = 1 << 28

  private func recording(in file: String) throws(CLIError) -> Recording {
    do {
      return try Recording(try JSON(parsing: try RegularFile.read(file, atMost: Self.longest)))
    } catch let error as RegularFile.Trouble {
      throw CLIError(.failed, "\(file): \(error.description)")
    } catch let error as JSON.Unreadable {
      throw CLIError(.failed, "\(file): \(error.why)")
    } catch {
      throw CLIError(.failed, "\(file): \(error)")
    }
  }

  /// The child waits until this returns.
  private func waitForDebugger(at child: pid_t) {
    let told = "parlor: the persona is loaded in process \(child): attach to it (gdb -p \(child)), let it continue, and press Enter here"
    try? Output.diagnostics.line(told)
    var byte: UInt8 = 0
    while true {
      let count = read(0, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 || byte == 0x0a { return }
    }
  }

  private func parent(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "." }
}

/// The hidden word by which parlor starts itself for a replay.
struct StageCommand: Command {
  let name = "stage"
  let usage = "parlor stage"
  let summary = ""
  let help = "parlor starts itself so, for a replay."
  let isHidden = true

  func run(_ arguments: Arguments) throws -> ExitCode {
    _exit(ReplayHost.perform())
  }
}
