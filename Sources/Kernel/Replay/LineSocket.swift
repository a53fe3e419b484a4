import Glibc
import Synchronization
import Wire

/// Lines of JSON over a socket, in both directions. One thread reads; any may write.
final class LineSocket: Sendable {
  private let descriptor: Int32
  private struct Reading {
    /// What is no whole line yet.
    var bytes: [UInt8] = []
    /// Up to where there is no newline.
    var searched = 0
    var hasTimedOut = false
  }
  private let reading = Mutex(Reading())
  private let isOpen = Mutex(true)

  /// Takes the socket over; `close` closes it.
  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// The last `next` ended because its time was over.
  var hasTimedOut: Bool { reading.withLock { $0.hasTimedOut } }

  /// The other end may be gone: then nobody needs it.
  func say(_ line: JSON) {
    let bytes = line.bytes + [0x0a]
    isOpen.withLock { isOpen in
      var at = 0
      while isOpen, at < bytes.count {
        let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + at, $0.count - at, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        at += count
      }
    }
  }

  /// The next line; nil at the end, or when nothing has come within the time (nil: there is no limit).
  func next(within milliseconds: Int?) -> JSON? {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let line = reading.withLock { reading -> [UInt8]? in
        guard let end = reading.bytes[reading.searched...].firstIndex(of: 0x0a) else {
          reading.searched = reading.bytes.count
          return nil
        }
        defer {
          reading.bytes.removeFirst(end + 1)
          reading.searched = 0
        }
        return Array(reading.bytes[..<end])
      }
      if let line { return try? JSON(parsing: line) }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&entry, 1, milliseconds.map { Int32(clamping: $0) } ?? -1)
      if ready < 0, errno == EINTR { continue }
      if ready == 0 {
        reading.withLock { $0.hasTimedOut = true }
        return nil
      }
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return nil }
      reading.withLock { $0.bytes += chunk[..<count] }
    }
  }

  /// Nothing is said any more.
  func close() {
    isOpen.withLock { isOpen in
      if isOpen { Glibc.close(descriptor) }
      isOpen = false
    }
  }
}
