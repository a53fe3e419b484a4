import Glibc
import Synchronization
import System
import Wire

/// Lines of JSON over a socket, in both directions. One thread reads; any may write.
final class LineSocket: Sendable {
  /// Why there is no next line.
  enum Fault: Error, Equatable, CustomStringConvertible {
    /// Nothing has come for so many milliseconds.
    case silent(Int)
    /// A line of more than so many bytes.
    case tooLong(Int)
    case notJSON

    var description: String {
      switch self {
      case .silent(let milliseconds): "there was no sign of life for \(milliseconds / 1000) s"
      case .tooLong(let limit): "it wrote a line of more than \(limit) bytes"
      case .notJSON: "it wrote a line that is no JSON"
      }
    }
  }

  /// A recording with the largest state and values that there can be, in Base64, and room for its messages.
  static let longestLine = 256 << 20

  private let descriptor: Int32
  private let longest: Int
  private struct Reading {
    /// What is no whole line yet.
    var bytes: [UInt8] = []
    /// Up to where there is no newline.
    var searched = 0

    mutating func takeLine() -> [UInt8]? {
      guard let end = bytes[searched...].firstIndex(of: 0x0a) else {
        searched = bytes.count
        return nil
      }
      defer {
        bytes.removeFirst(end + 1)
        searched = 0
      }
      return Array(bytes[..<end])
    }
  }
  private let reading = Mutex(Reading())
  private let isOpen = Mutex(true)

  /// Takes the socket over; `close` closes it.
  init(_ descriptor: Int32, longest: Int = LineSocket.longestLine) {
    self.descriptor = descriptor
    self.longest = longest
  }

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

  /// The next line; nil at the end. `milliseconds` nil: as long as it takes.
  func next(within milliseconds: Int?) throws(Fault) -> JSON? {
    while true {
      let (line, length) = reading.withLock { ($0.takeLine(), $0.bytes.count) }
      if let line {
        guard let json = try? JSON(parsing: line) else { throw .notJSON }
        return json
      }
      if length > longest { throw .tooLong(longest) }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&entry, 1, milliseconds.map { Int32(clamping: $0) } ?? -1)
      if ready < 0, errno == EINTR { continue }
      if ready == 0 { throw .silent(milliseconds ?? 0) }
      let count = reading.withLock { readMore(from: descriptor, into: &$0.bytes) }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return nil }
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
