import Foundation
import System

@testable import parlor

/// The real `parlor` as a child, behind sockets in place of pipes or behind a terminal. For one thread.
final class ParlorChild {
  let pid: pid_t
  /// Our end of its input and output; for a terminal, the only one.
  let terminal: Int32
  private let errors: Int32
  private(set) var output: [UInt8] = []
  private(set) var diagnostics: [UInt8] = []
  /// Up to where `expect` has read.
  private var expected = 0
  private var ended: Set<Int32> = []
  /// How long to wait for what is expected. Longer for one that compiles.
  var patience: Duration = .seconds(30)

  static let binary = URL(fileURLWithPath: try! FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    .deletingLastPathComponent().appendingPathComponent("parlor").path

  /// - Parameter onTerminal: with a terminal of 80 × 24 for input, output and errors.
  init(_ arguments: [String], kernel: String, onTerminal: Bool = false, environment: [String: String] = [:]) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSIGMASK, to none: the thread that we run on may block signals.
    var flags: Int16 = 0x08
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    var theirs: [Int32] = []
    if onTerminal {
      errors = -1
      // What posix_openpt, unlockpt and ptsname do; Glibc's module does not show them.
      terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
      var (locked, number): (Int32, Int32) = (0, 0)
      guard ioctl(terminal, setLock, &locked) == 0, ioctl(terminal, getNumber, &number) == 0 else { throw Errno(number: errno) }
      var size = winsize(ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0)
      _ = ioctl(terminal, UInt(TIOCSWINSZ), &size)
      // POSIX_SPAWN_SETSID: the terminal that is opened next becomes the child's own.
      flags |= 0x80
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/pts/\(number)", O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
    } else {
      let (main, error) = (try Self.pair(), try Self.pair())
      (terminal, errors) = (main.ours, error.ours)
      theirs = [main.theirs, error.theirs]
      posix_spawn_file_actions_adddup2(&actions, main.theirs, 0)
      posix_spawn_file_actions_adddup2(&actions, main.theirs, 1)
      posix_spawn_file_actions_adddup2(&actions, error.theirs, 2)
    }
    posix_spawnattr_setflags(&attributes, flags)
    var variables = ["PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8", "BAT_SOCKET": kernel]
    variables.merge(environment) { $1 }
    var argv = ([Self.binary] + arguments).map { strdup($0) } + [nil]
    var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, Self.binary, &actions, &attributes, &argv, &envp)
    theirs.forEach { close($0) }
    guard status == 0 else { throw Errno(number: status) }
    pid = child
  }

  deinit {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
    close(terminal)
    if errors >= 0 { close(errors) }
  }

  private static func pair() throws -> (ours: Int32, theirs: Int32) {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { throw Errno(number: errno) }
    return (ends[0], ends[1])
  }

  var text: String { String(decoding: output, as: UTF8.self) }
  var errorText: String { String(decoding: diagnostics, as: UTF8.self) }
  /// What a person sees, if it is a terminal.
  var screen: [String] { Screen(text).lines }

  func type(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { write(terminal, $0.baseAddress, $0.count) }
  }

  /// Ends its standard input.
  func endInput() { shutdown(terminal, Int32(SHUT_WR)) }

  /// Reads its output until the text comes, after what was expected before.
  func expect(_ wanted: String) throws {
    let wanted = Array(wanted.utf8)
    try read(until: "\(String(decoding: wanted, as: UTF8.self).debugDescription)") {
      guard let place = output[min(expected, output.count)...].firstRange(of: wanted) else { return false }
      expected = place.upperBound
      return true
    }
  }

  /// The same for the standard error, from its beginning.
  func expectDiagnostics(_ wanted: String) throws {
    try read(until: wanted.debugDescription) { diagnostics.firstRange(of: Array(wanted.utf8)) != nil }
  }

  /// Reads until what a person sees fits.
  func expectScreen(_ what: String, _ fits: ([String]) -> Bool) throws {
    try read(until: what) { fits(screen) }
    expected = output.count
  }

  /// Reads until it has ended, and says its exit status.
  func wait() throws -> Int32 {
    let streams: Set = errors < 0 ? [terminal] : [terminal, errors]
    try read(until: "end of the output") { ended == streams }
    var status: Int32 = 0
    while waitpid(pid, &status, WNOHANG | 0) == 0 { sched_yield() }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
  }

  private func read(until what: String, _ done: () -> Bool) throws {
    let limit = ContinuousClock.now + patience
    while !done() {
      let open = [terminal, errors].filter { $0 >= 0 && !ended.contains($0) }
      guard !open.isEmpty, limit > .now else { throw Missing(what: what, instead: text + "\n--- errors\n" + errorText) }
      for descriptor in waitForInput(open, for: limit - .now) {
        // A terminal whose other side is closed answers EIO.
        let bytes = (try? readSome(descriptor)) ?? []
        if bytes.isEmpty { ended.insert(descriptor) }
        if descriptor == terminal { output += bytes } else { diagnostics += bytes }
      }
    }
  }
}

/// A terminal of 80 columns that never scrolls: just enough to say what a person sees.
struct Screen {
  private(set) var lines: [String] = [""]

  init(_ output: String) {
    var cells: [[Character]] = [[]]
    var (row, column) = (0, 0)
    var rest = output[...]
    func put(_ character: Character) {
      while cells.count <= row { cells.append([]) }
      while cells[row].count <= column { cells[row].append(" ") }
      cells[row][column] = character
      column += 1
    }
    while let character = rest.popFirst() {
      switch character {
      case "\r": column = 0
      // A terminal's line discipline makes CR LF of every newline.
      case "\n", "\r\n":
        row += 1
        column = 0
      case "\u{1B}":
        guard rest.first == "[", let end = rest.dropFirst().firstIndex(where: { $0.isLetter || $0 == "~" }) else { continue }
        let number = Int(rest[rest.index(after: rest.startIndex)..<end]) ?? 1
        switch rest[end] {
        case "A": row = max(0, row - number)
        case "C": column += number
        case "D": column = max(0, column - number)
        case "H": (row, column) = (0, 0)
        case "K", "J":
          if row < cells.count {
            cells[row] = Array(cells[row].prefix(column))
            if rest[end] == "J" { cells = Array(cells.prefix(row + 1)) }
          }
        default: break
        }
        rest = rest[rest.index(after: end)...]
      default: put(character)
      }
    }
    lines = cells.map { String($0) }
  }
}
