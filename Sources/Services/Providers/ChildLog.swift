import Glibc

/// A child's output in a file that is appended to and stays under twice `limit` bytes: a full one becomes
/// `path.1`. It also remembers the last lines, to show them when the child does not come up.
struct ChildLog {
  static let limit = 4 << 20

  let path: String
  private var descriptor: Int32 = -1
  private var size = 0
  private var tail: [UInt8] = []

  init(path: String) { self.path = path }

  /// - Returns: why the file cannot be written, the first time that it cannot.
  mutating func append(_ bytes: [UInt8]) -> String? {
    tail = (tail + bytes).suffix(2048)
    var problem: String?
    if size > Self.limit {
      close()
      rename(path, path + ".1")
    }
    if descriptor == -1 {
      descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
      if descriptor < 0 {
        problem = "\(path): \(String(cString: strerror(errno)))"
        descriptor = -2  // said once
      } else {
        size = Int(lseek(descriptor, 0, SEEK_END))
      }
    }
    if descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count { size += bytes.count }
    return problem
  }

  /// The last lines, joined for one line of text; without the C server's time stamps it would be no shorter.
  var lastLines: String {
    let lines = String(decoding: tail, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(3)
    return lines.isEmpty ? "it said nothing" : lines.joined(separator: " | ")
  }

  /// Forgets the last lines: a new child begins.
  mutating func begin() { tail = [] }

  mutating func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
    size = 0
  }
}
