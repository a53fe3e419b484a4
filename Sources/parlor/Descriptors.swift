import Glibc
import System

/// Waits until one of the descriptors can be read (or has ended), and says which.
///
/// Returns nothing when the time is over; `nil` waits for ever. A signal ends the wait early.
func waitForInput(_ descriptors: [Int32], for limit: Duration? = nil) -> [Int32] {
  var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  // Rounded up, so that a wait for 0.4 ms is not a busy loop.
  let milliseconds = limit.map { Int32(clamping: max(0, ($0 + .nanoseconds(999_999)).milliseconds)) } ?? -1
  guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return [] }
  return entries.filter { $0.revents != 0 }.map(\.fd)
}

extension Duration {
  /// Whole milliseconds, rounded down.
  var milliseconds: Int { Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000) }
}

/// Reads what is there, at most 64 KiB; empty at the end of the stream, `nil` when nothing is there after all.
///
/// - Throws: the error number.
func readSome(_ descriptor: Int32) throws(Errno) -> [UInt8]? {
  var failure: Int32 = 0
  let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
    let n = read(descriptor, buffer.baseAddress, buffer.count)
    failure = n < 0 ? errno : 0
    count = max(0, n)
  }
  switch failure {
  case 0: return bytes
  case EINTR, EAGAIN: return nil
  default: throw Errno(number: failure)
  }
}

/// Standard output or standard error, written at once and without a buffer.
struct Output {
  let descriptor: Int32
  static let answer = Output(descriptor: 1)
  static let diagnostics = Output(descriptor: 2)

  /// Writes it all. A reader who has left (`parlor personas | head -1`) has had enough: a trouble without words that exits 0.
  func write(_ text: String) throws(CLIError) {
    var text = text
    var failure: Int32 = 0
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let n = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if n >= 0 {
          done += n
        } else if errno == EAGAIN {
          var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          poll(&entry, 1, -1)
        } else if errno != EINTR {
          failure = errno
          return
        }
      }
    }
    if failure == EPIPE { throw CLIError(.ok, "") }
    if failure != 0 { throw CLIError(.failed, "cannot write the output: \(Errno(number: failure))") }
  }

  func line(_ text: String) throws(CLIError) { try write(text + "\n") }
}
