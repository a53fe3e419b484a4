import Glibc

/// Files that are the user's alone.
enum PrivateFile {
  /// Makes a folder, 0700, and those above it where they are missing.
  static func makeFolder(_ folder: String) throws(MemoryError) {
    var path = ""
    for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
      path += part + "/"
      if mkdir(path, 0o700) != 0, errno != EEXIST, access(path, X_OK) != 0 {
        throw MemoryError(.storage, "the folder \(folder) cannot be made: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Makes an empty file, 0600, where there is none. SQLite's companions of it get the same mode.
  static func make(_ path: String) throws(MemoryError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw MemoryError(.storage, "\(path) cannot be opened: \(String(cString: strerror(errno)))") }
    close(descriptor)
  }
}
