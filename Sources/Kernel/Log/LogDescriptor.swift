import CPlatform
import Glibc

/// Where log lines go: a descriptor that is written to without waiting.
///
/// Its flags are left alone, because other processes share them. A pipe or terminal is opened a second time instead, without blocking,
/// and belongs to us alone in that form.
final class LogDescriptor: Sendable {
  private enum Way {
    /// A file: it takes everything at once.
    case file
    /// A pipe or terminal of which we have opened our own end.
    case own
    case socket
    /// Anything else is asked first whether it takes something, and given no more than a pipe takes then.
    case polled
  }

  private let descriptor: Int32
  private let way: Way

  /// `borrowed` stays the caller's and must stay open.
  init(_ borrowed: Int32) {
    var status = stat()
    fstat(borrowed, &status)
    switch status.st_mode & S_IFMT {
    case S_IFREG: (descriptor, way) = (borrowed, .file)
    case S_IFSOCK: (descriptor, way) = (borrowed, .socket)
    case S_IFIFO, S_IFCHR:
      let own = open("/proc/self/fd/\(borrowed)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
      (descriptor, way) = own >= 0 ? (own, .own) : (borrowed, .polled)
    default: (descriptor, way) = (borrowed, .polled)
    }
  }

  deinit { if way == .own { close(descriptor) } }

  /// How many bytes it has taken, up to the first that it cannot take at once. Nil: nothing more can be written to it.
  func write(_ bytes: some Collection<UInt8>) -> Int? {
    bytes.withContiguousStorageIfAvailable { bytes in
      let bytes = UnsafeRawBufferPointer(bytes)
      var written = 0
      while written < bytes.count {
        let n = writeSome(UnsafeRawBufferPointer(rebasing: bytes[written...]))
        if n > 0 {
          written += n
        } else if n == 0 || errno == EAGAIN {
          break
        } else if errno != EINTR {
          return nil
        }
      }
      return written
    } ?? nil
  }

  /// Waits until it takes something; false: it does not, after so many milliseconds.
  func waitUntilReady(milliseconds: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&request, 1, milliseconds) > 0
  }

  /// One system call. 0: it takes nothing at the moment.
  private func writeSome(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch way {
    case .file, .own: return Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    case .socket: return bat_send(descriptor, bytes.baseAddress, bytes.count)
    case .polled:
      guard waitUntilReady(milliseconds: 0) else { return 0 }
      return Glibc.write(descriptor, bytes.baseAddress, min(bytes.count, Int(PIPE_BUF)))
    }
  }
}
