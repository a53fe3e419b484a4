import Glibc
import Protocol
import System

/// Plays a library's life in a child process before it is let into the kernel: a crash or hang there costs nothing.
///
/// The child is our own executable, called with `--rehearse`; its side is `RehearsalChild`. It says on standard output which step it
/// begins, one word a line, and at the end `ok`, or `error STATUS TEXT`. On standard input it gets the configuration's length, the
/// state's schema and length (-1: no state) in one line, and then both.
public struct Rehearsal: Sendable {
  /// The longest that the child may say, in bytes.
  static let outputLimit = 1 << 20

  /// The executable and what stands before the library's path.
  let command: [String]
  let limitMilliseconds: Int

  /// `command` is run with the library's path appended.
  public init(command: [String], limitMilliseconds: Int) {
    self.command = command
    self.limitMilliseconds = limitMilliseconds
  }

  /// Waits for its end. Throws what is wrong with the library.
  func play(image: LibraryImage, configuration: PersonaConfiguration, state: SavedState?) throws(Failure) {
    var plan = Subprocess.Plan(command + [image.path])
    plan.input = .bytes(RehearsalChild.input(configuration: configuration.json, state: state))
    let child = try Subprocess.started(plan)
    let output = child.readAll(milliseconds: limitMilliseconds, limit: Self.outputLimit)
    try judge(String(decoding: output.bytes, as: UTF8.self).split(separator: "\n").map(String.init), output.isWhole, child.wait())
  }

  /// What its last words and its end mean.
  private func judge(_ lines: [String], _ isWhole: Bool, _ end: Subprocess.Exit) throws(Failure) {
    let step = lines.last { !$0.hasPrefix("error ") && $0 != "ok" } ?? "open"
    if let error = lines.last, error.hasPrefix("error ") {
      let parts = error.split(separator: " ", maxSplits: 2)
      let status = parts.count > 1 ? Int32(parts[1]) ?? -1 : -1
      throw Failure(.init(status: status), "refused in rehearsal, in \(step): \(parts.count > 2 ? String(parts[2]) : "no reason given")")
    }
    if !isWhole { throw Failure(.deadline, "hung in rehearsal: \(step) did not return within \(limitMilliseconds) ms") }
    if case .signal(let signal) = end {
      throw Failure(.failed, "crashed in rehearsal, in \(step): \(String(cString: strsignal(signal))) (signal \(signal))")
    }
    if lines.last != "ok" || end != .status(0) {
      throw Failure(.failed, "ended itself in rehearsal, in \(step), with \(end)")
    }
  }

  /// The child's side: returns the exit status.
  public static func perform(library path: String) -> Int32 { RehearsalChild.perform(library: path) }
}
