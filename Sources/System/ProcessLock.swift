import CPlatform
import Glibc

/// A lock on a file that is held until its process ends, or until the lock is freed.
///
/// `flock` alone goes on in a child that was forked and started no program of its own: it would keep the lock of a kernel that is long
/// dead. So the file says which process holds it, by number and start time, and the lock of a process that has ended is taken over.
public final class ProcessLock: Sendable {
  public enum Refusal: Error, Equatable {
    /// By that process; 0: it does not say which.
    case held(by: Int32)
    case unusable(Errno)
  }

  private let descriptor: Int32

  /// Takes the lock, or throws at once. The file stays there afterwards.
  public init(_ path: String) throws(Refusal) {
    while true {
      let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
      if file < 0 { throw .unusable(.last) }
      if flock(file, LOCK_EX | LOCK_NB) == 0 {
        // Another process may have put a new file in the place of this one meanwhile.
        guard Self.isFile(file, at: path) else {
          close(file)
          continue
        }
        ftruncate(file, 0)
        _ = writeAll(Array("\(getpid()) \(Self.start(of: getpid()) ?? 0)\n".utf8), to: file)
        descriptor = file
        bat_own(file, 1)
        return
      }
      let (holder, isAlive) = Self.holder(of: file)
      if !isAlive, Self.isFile(file, at: path) { unlink(path) }
      close(file)
      if isAlive { throw .held(by: holder) }
    }
  }

  deinit {
    bat_own(descriptor, 0)
    close(descriptor)
  }

  /// Whether a living process holds the lock of this file. One that is not there is held by nobody.
  public static func isHeld(_ path: String) -> Bool {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if file < 0 { return false }
    defer { close(file) }
    return flock(file, LOCK_EX | LOCK_NB) != 0 && holder(of: file).isAlive
  }

  /// Of a file that does not say it, somebody is taken to be alive: it may be just about to write.
  private static func holder(of file: Int32) -> (process: Int32, isAlive: Bool) {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = max(0, pread(file, &bytes, bytes.count, 0))
    let words = String(decoding: bytes[..<count], as: UTF8.self).split { $0 == " " || $0 == "\n" }
    guard let process = words.first.flatMap({ Int32($0) }), process > 0 else { return (0, true) }
    guard words.count > 1, let began = UInt64(words[1]) else { return (process, kill(process, 0) == 0 || errno == EPERM) }
    return (process, start(of: process) == began)
  }

  private static func isFile(_ file: Int32, at path: String) -> Bool {
    var (one, other) = (stat(), stat())
    return fstat(file, &one) == 0 && lstat(path, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev
  }

  /// When a process was started, in ticks since the machine was; nil: there is none of that number.
  private static func start(of process: Int32) -> UInt64? {
    let file = open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
    if file < 0 { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1024)
    let text = String(decoding: bytes[..<max(0, read(file, &bytes, bytes.count))], as: UTF8.self)
    // The program's name may hold blanks and brackets: what counts comes behind the last one. A zombie has ended.
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
    return UInt64(fields[19])
  }
}
