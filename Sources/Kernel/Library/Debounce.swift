import Glibc

/// Decides when a file that is being written can be taken for whole: when nothing about it has changed
/// for a while, and it is complete.
///
/// A value: the caller looks and tells the time, in milliseconds of any clock that only goes forward.
public struct Debounce: Sendable {
  /// What one look at the file showed.
  public struct Look: Sendable, Equatable {
    var stamp: LibraryFile.Stamp
    var isComplete: Bool

    /// Looks at the file; nil if there is none to be looked at just now (as between a linker's unlink and its create).
    public init?(at path: String) {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { return nil }
      defer { close(descriptor) }
      var status = stat()
      guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= LibraryFile.longest,
        let bytes = try? LibraryFile.read(descriptor, count: Int(status.st_size), path)
      else { return nil }
      self.init(stamp: LibraryFile.Stamp(status), isComplete: bytes.count == status.st_size && ELFFile.isComplete(bytes))
    }

    init(stamp: LibraryFile.Stamp, isComplete: Bool) {
      self.stamp = stamp
      self.isComplete = isComplete
    }
  }

  public enum Verdict: Sendable, Equatable {
    /// Look again after so many milliseconds.
    case wait(milliseconds: UInt64)
    /// Take it.
    case settled
    /// Quiet, but cut off or gone: wait for the watcher's next word of it.
    case unfinished
  }

  private let quietMilliseconds: UInt64
  private var last: Look?
  private var quietSince: UInt64?

  public init(quietMilliseconds: UInt64) { self.quietMilliseconds = quietMilliseconds }

  /// Takes one look into account.
  public mutating func observe(_ look: Look?, at now: UInt64) -> Verdict {
    if quietSince == nil || look != last {
      last = look
      quietSince = now
    }
    let quiet = now - min(now, quietSince ?? now)
    guard quiet >= quietMilliseconds else { return .wait(milliseconds: quietMilliseconds - quiet) }
    return look?.isComplete == true ? .settled : .unfinished
  }
}

extension ELFFile {
  /// Whether nothing is missing at the end. Also true for what is no ELF file, as there is nothing to wait for.
  static func isComplete(_ bytes: [UInt8]) -> Bool {
    do throws(Malformed) { _ = try ELFFile(bytes) } catch {
      switch error {
      case .incomplete, .trailing: return false
      case .notELF, .notOurs, .broken: return true
      }
    }
    return true
  }
}
