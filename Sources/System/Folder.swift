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
    try rawNames(in: path).map { String(decoding: $0, as: UTF8.self) }.sorted()
  }

  /// The names as the disk has them, in no order. A path that is no Swift string can be given as C has it.
  public static func rawNames(in path: UnsafePointer<CChar>) throws(Errno) -> [[UInt8]] {
    guard let stream = opendir(path) else { throw .last }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw .last }
        return names
      }
      // The name ends in a zero, and may lie shorter in memory than its type says.
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
      }
      if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
    }
  }
}
