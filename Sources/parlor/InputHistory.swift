import Glibc
import System
import Wire

/// The lines that a person has sent, kept over starts in a file of their own (mode 0600): one JSON string a line, the oldest first.
///
/// Each change reads the file again, under a lock of its folder, and puts a new file in its place: so several parlors may write, and a
/// crash leaves the old file or the new one.
struct InputHistory {
  /// Why lines are not kept, for people.
  struct Trouble: Error, Equatable {
    let message: String
  }

  /// So many lines are kept, and none of more than so many bytes.
  static let mostLines = 1000
  private static let longestLine = 16 << 10
  private static let longestFile = 8 << 20
  private static let name = "parlor-history"

  let folder: String
  private var path: String { folder + "/" + Self.name }

  init(folder: String) { self.folder = folder }

  /// In $XDG_STATE_HOME, else in ~/.local/state. Nil: there is no place for the user's files.
  static var usual: InputHistory? {
    if let state = Terminal.environment("XDG_STATE_HOME"), state.hasPrefix("/") { return InputHistory(folder: state + "/bat") }
    // A user without a home has one in the environment that is not there, and does not want it made.
    guard let home = Terminal.environment("HOME"), home.hasPrefix("/"), access(home, W_OK | X_OK) == 0 else { return nil }
    return InputHistory(folder: home + "/.local/state/bat")
  }

  /// The oldest first; none if there is no file yet. Lines that cannot be read are passed over.
  func lines() throws(Trouble) -> [String] {
    let bytes: [UInt8]
    do throws(RegularFile.Trouble) { bytes = try RegularFile.read(path, atMost: Self.longestFile) } catch {
      if error == .missing { return [] }
      throw Trouble(message: "\(path): \(error.description)")
    }
    return bytes.split(separator: 0x0A).compactMap { (try? JSON(parsing: $0))?.string }.suffix(Self.mostLines)
  }

  /// Adds a line as the newest. Where it stood before, it stands no more.
  func add(_ line: String) throws(Trouble) {
    if line.utf8.count > Self.longestLine { return }
    try change { lines in
      lines.removeAll { $0 == line }
      lines.append(line)
    }
  }

  /// Removes a line.
  func forget(_ line: String) throws(Trouble) { try change { lines in lines.removeAll { $0 == line } } }

  private func change(_ body: (inout [String]) -> Void) throws(Trouble) {
    try makeFolder()
    let lock = try lockFolder()
    defer { close(lock) }
    var lines = try lines()
    body(&lines)
    var bytes: [UInt8] = []
    for line in lines.suffix(Self.mostLines) {
      bytes.appendJSON(line)
      bytes.append(0x0A)
    }
    try replace(with: bytes)
  }

  private func makeFolder() throws(Trouble) {
    var path = ""
    for part in folder.split(separator: "/") {
      path += "/" + part
      if mkdir(path, 0o700) != 0, errno != EEXIST { throw Trouble(message: "\(path) cannot be made: \(Errno.last)") }
    }
  }

  /// The lock lives as long as the descriptor. Nobody holds it for longer than it takes to write a small file.
  private func lockFolder() throws(Trouble) -> Int32 {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw Trouble(message: "\(folder) cannot be opened: \(Errno.last)") }
    let end = ContinuousClock.now + .seconds(2)
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let error = Errno.last
      guard error.number == EWOULDBLOCK || error.number == EINTR, .now < end else {
        close(descriptor)
        throw Trouble(message: "\(folder) is locked by another parlor: \(error)")
      }
      _ = poll(nil, 0, 5)
    }
    return descriptor
  }

  private func replace(with bytes: [UInt8]) throws(Trouble) {
    let new = "\(path).new"
    // What a crash has left there; nobody else writes while the folder is locked.
    unlink(new)
    let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw Trouble(message: "\(new) cannot be made: \(Errno.last)") }
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let n = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, bytes.count - done) }
      if n < 0, errno == EINTR { continue }
      guard n > 0 else {
        let error = Errno.last
        unlink(new)
        throw Trouble(message: "\(new) cannot be written: \(error)")
      }
      done += n
    }
    if rename(new, path) != 0 { throw Trouble(message: "\(path) cannot be written: \(Errno.last)") }
  }
}
