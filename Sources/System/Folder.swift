import Glibc

/// An error number of a system call, in words.
public struct Errno: Error, Sendable, Equatable, CustomStringConvertible {
  public let number: Int32
  public init(number: Int32) { self.number = number }
  /// That of this thread's last failed call.
  public static var last: Errno { Errno(number: errno) }
  public var description: String { String(cString: strerror(number)) }
}

/// The folders of the disk.
public enum Folder {
  /// The names in a folder, without "." and "..", sorted. Bytes that are no UTF-8 are replaced by U+FFFD.
  ///
  /// - Throws: also for what breaks off in the middle: an incomplete list is never returned.
  public static func names(in path: String) throws(Errno) -> [String] {
    guard let stream = opendir(path) else { throw .last }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw .last }
        return names.sorted()
      }
      // The name ends in a zero, and may lie shorter in memory than its type says.
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }
}
