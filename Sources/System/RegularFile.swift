import Glibc

/// A file of a disk, read as a whole: never a pipe, a device or a folder, which may have no end or never begin.
public enum RegularFile {
  public enum Trouble: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no file of that name.
    case missing
    case notRegular
    case tooLong(limit: Int)
    case failed(Errno)

    /// Without the file's name.
    public var description: String {
      switch self {
      case .missing: "it cannot be opened: there is no such file"
      case .notRegular: "it is no file, but a folder, a pipe or a device"
      case .tooLong(let limit): "it has more than \(limit) bytes"
      case .failed(let error): "it cannot be read: \(error)"
      }
    }
  }

  /// All of it, if it has no more than `limit` bytes.
  public static func read(_ path: String, atMost limit: Int) throws(Trouble) -> [UInt8] {
    // Without waiting: a pipe that nobody writes to would never open.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    if descriptor < 0 { throw errno == ENOENT ? .missing : .failed(.last) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .failed(.last) }
    if status.st_mode & S_IFMT != S_IFREG { throw .notRegular }
    if status.st_size > limit { throw .tooLong(limit: limit) }
    var bytes: [UInt8] = []
    while true {
      let piece: [UInt8]?
      do { piece = try readSome(descriptor) } catch { throw .failed(error) }
      guard let piece else { continue }
      if piece.isEmpty { return bytes }
      bytes += piece
      // It may grow while it is read.
      if bytes.count > limit { throw .tooLong(limit: limit) }
    }
  }
}
