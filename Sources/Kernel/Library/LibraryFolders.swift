import Glibc

/// The folders in which libraries are looked for and watched, and which persona a changed file is for. Event loop only.
final class LibraryFolders {
  private let folders: [String]
  private let makeMonitor: (@escaping (String?) -> Void) -> LibraryMonitor?
  /// Nil until something is watched, and where the system lets nothing be watched.
  private var monitor: LibraryMonitor?

  /// - Parameters:
  ///   - folders: where a library is looked for that is given by its name.
  ///   - makeMonitor: called when something is to be watched for the first time, with what is to be told.
  init(_ folders: [String], makeMonitor: @escaping (@escaping (String?) -> Void) -> LibraryMonitor?) {
    self.folders = folders
    self.makeMonitor = makeMonitor
  }

  /// Watches the folders, and those of the libraries that are given by a path. Those that are watched already stay so.
  ///
  /// - Parameter changed: told the path of a file that is new or has been written, and has come to rest; nil: look at all of them.
  func watch(_ libraries: [String], changed: @escaping (String?) -> Void) {
    if monitor == nil { monitor = makeMonitor(changed) }
    for folder in folders { monitor?.watch(folder: folder) }
    for library in libraries {
      if let slash = library.lastIndex(of: "/") { monitor?.watch(folder: slash == library.startIndex ? "/" : String(library[..<slash])) }
    }
  }

  /// Whether a persona's `library` is the file at the path.
  func isFile(of library: String, at path: String) -> Bool {
    guard let found = try? LibraryFile.resolve(library, in: folders) else { return false }
    return Self.canonical(found) == Self.canonical(path)
  }

  func close() { monitor?.close() }

  /// Without links, doubled slashes and dots; as it is if it does not exist.
  private static func canonical(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}
