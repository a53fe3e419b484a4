import Glibc

/// Waits until one of the descriptors can be read (or has ended), and says which can be.
///
/// Returns nothing when the time is over; nil waits for ever. A signal ends the wait early.
///
/// - Parameter writing: descriptors that are also waited for until they can be written; they are not among those returned for that.
public func waitForInput(_ descriptors: [Int32], writing: [Int32] = [], for limit: Duration? = nil) -> [Int32] {
  var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  entries += writing.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
  // Rounded up, so that a wait for 0.4 ms is not a busy loop.
  let milliseconds = limit.map { Int32(clamping: max(0, ($0 + .nanoseconds(999_999)).milliseconds)) } ?? -1
  guard poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return [] }
  return entries.prefix(descriptors.count).filter { $0.revents != 0 }.map(\.fd)
}

extension Duration {
  /// Whole milliseconds, rounded down; the nearest that an `Int` holds.
  public var milliseconds: Int {
    let (whole, overflow) = Int(clamping: components.seconds).multipliedReportingOverflow(by: 1000)
    if overflow { return components.seconds < 0 ? .min : .max }
    let (sum, isTooLarge) = whole.addingReportingOverflow(Int(components.attoseconds / 1_000_000_000_000_000))
    return isTooLarge ? (whole < 0 ? .min : .max) : sum
  }
}

/// Reads what is there, at most 64 KiB; empty at the end of the stream, nil when nothing is there after all.
///
/// - Throws: the error number.
public func readSome(_ descriptor: Int32) throws(Errno) -> [UInt8]? {
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
