import Glibc
import Protocol
import System

/// Plays a library's life in a child process before it is let into the kernel: a crash or hang there costs nothing.
///
/// The child is our own executable, called with `--rehearse`; its side is `RehearsalChild`. It says on standard output which step it
/// begins, one word a line, `warning TEXT` for what is odd, and at the end `ok`, or `error STATUS TEXT`. On standard input it gets the configuration's length, the
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

  /// Waits for its end. Returns what is odd about the library, and throws what is wrong with it.
  func play(image: LibraryImage, configuration: PersonaConfiguration, state: SavedState?) throws(Failure) -> [String] {
    var plan = Subprocess.Plan(command + [image.path])
    plan.input = .bytes(RehearsalChild.input(configuration: configuration.json, state: state))
    let child = try Subprocess.started(plan)
    let output = child.readAll(milliseconds: limitMilliseconds, limit: Self.outputLimit)
    let end = child.wait()
    let lines = String(decoding: output.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    try judge(lines.filter { !$0.hasPrefix("warning ") }, output.isWhole, end) {
      place(of: image, plan)
    }
    return lines.filter { $0.hasPrefix("warning ") }.prefix(20).map { String($0.dropFirst(8)) }
  }

  /// What its last words and its end mean.
  private func judge(_ lines: [String], _ isWhole: Bool, _ end: Subprocess.Exit, place: () -> String?) throws(Failure) {
    let step = lines.last { !$0.hasPrefix("error ") && $0 != "ok" } ?? "open"
    if let error = lines.last, error.hasPrefix("error ") {
      let parts = error.split(separator: " ", maxSplits: 2)
      let status = parts.count > 1 ? Int32(parts[1]) ?? -1 : -1
      throw Failure(.init(status: status), "refused in rehearsal, in \(step): \(parts.count > 2 ? String(parts[2]) : "no reason given")")
    }
    if !isWhole { throw Failure(.deadline, "hung in rehearsal: \(step) did not return within \(limitMilliseconds) ms") }
    if case .signal(let signal) = end {
      let line = place().map { ": \($0)" } ?? ""
      throw Failure(.failed, "crashed in rehearsal, in \(step): \(String(cString: strsignal(signal))) (signal \(signal))\(line)")
    }
    if lines.last != "ok" || end != .status(0) {
      throw Failure(.failed, "ended itself in rehearsal, in \(step), with \(end)")
    }
  }

  /// Plays it once more, with a backtrace, to learn in which line it crashes; nil: that does not become known.
  private func place(of image: LibraryImage, _ plan: Subprocess.Plan) -> String? {
    guard let file = try? LibraryFile(reading: image.path), (try? ELFFile(file.bytes))?.hasLines == true else { return nil }
    let report = image.path + ".crash"
    defer { unlink(report) }
    var plan = plan
    plan.environment = environmentLines().filter { !$0.hasPrefix("SWIFT_BACKTRACE=") } + [CrashReport.environment(writingTo: report)]
    plan.errors = .nothing
    guard let child = try? Subprocess(plan) else { return nil }
    // Reading the lines of large libraries takes a while.
    _ = child.readAll(milliseconds: limitMilliseconds + 20_000, limit: Self.outputLimit)
    _ = child.wait()
    let text = open(report, O_RDONLY | O_CLOEXEC)
    if text < 0 { return nil }
    defer { close(text) }
    var bytes: [UInt8] = []
    while bytes.count < Self.outputLimit, readMore(from: text, into: &bytes) > 0 {}
    return CrashReport(in: String(decoding: bytes, as: UTF8.self))?.place
  }

  /// The child's side: returns the exit status.
  public static func perform(library path: String) -> Int32 { RehearsalChild.perform(library: path) }
}
