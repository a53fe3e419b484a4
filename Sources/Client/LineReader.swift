/// Cuts a stream of bytes into lines; a line cut anywhere waits for its rest.
public struct LineReader: Sendable {
  private var buffer: [UInt8] = []
  /// Where the next line begins.
  private var start = 0
  /// Up to where there is no newline after `start`.
  private var searched = 0

  public init() {}

  /// How many bytes wait for the end of their line.
  public var pending: Int { buffer.count - start }

  public mutating func append(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      buffer.removeSubrange(..<start)
      searched -= start
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole line, without its newline.
  public mutating func next() -> ArraySlice<UInt8>? {
    guard let end = buffer[searched...].firstIndex(of: 0x0A) else {
      searched = buffer.count
      return nil
    }
    defer {
      start = end + 1
      searched = start
    }
    return buffer[start..<end]
  }

  /// What follows the last newline, when nothing more will come.
  public mutating func rest() -> ArraySlice<UInt8>? {
    guard start < buffer.count else { return nil }
    defer {
      start = buffer.count
      searched = start
    }
    return buffer[start...]
  }
}
