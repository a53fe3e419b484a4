import Glibc

/// The folders in which libraries are looked for and watched, and which persona a changed file is for. Event loop only.
///
/// Links are followed: a library may be a link to a file elsewhere, and a folder a link to another. Each is watched where it stands and
/// where it leads.
final class LibraryFolders {
  private let folders: [String]
  private let makeMonitor: (@escaping (String?) -> Void) -> LibraryMonitor?
  /// Nil until something is watched, and where the system lets nothing be watched.
  private var monitor: LibraryMonitor?
  private var watched: Set<String> = []

  /// - Parameters:
  ///   - folders: where a library is looked for that is given by its name.
  ///   - makeMonitor: called when something is to be watched for the first time, with what is to be told.
  init(_ folders: [String], makeMonitor: @escaping (@escaping (String?) -> Void) -> LibraryMonitor?) {
    self.folders = folders
    self.makeMonitor = makeMonitor
  }

  /// Watches the folders, and those of libraries and files that are given by a path or lie behind a link; those of an earlier call that
  /// are none of these no more.
  ///
  /// - Parameters:
  ///   - files: others that are told, whatever their names.
  ///   - changed: told the path of a file that is new or has been written, and has come to rest; nil: look at all of them.
  func watch(_ libraries: [String], files: [String] = [], changed: @escaping (String?) -> Void) {
    if monitor == nil { monitor = makeMonitor(changed) }
    guard let monitor else { return }
    var wanted = Set(folders)
    var others = Set(files)
    for path in files + libraries.compactMap({ $0.contains("/") ? $0 : try? LibraryFile.resolve($0, in: folders) }) {
      if let slash = path.lastIndex(of: "/") { wanted.insert(slash == path.startIndex ? "/" : String(path[..<slash])) }
      let trail = LinkTrail(of: path)
      // Of a file that is no link itself, the folder has been named already.
      guard Self.isLink(path) else { continue }
      for place in trail.links + [trail.end] {
        wanted.insert(place.folder)
        others.insert(place.path)
      }
    }
    monitor.others = others
    for folder in wanted.subtracting(watched) { monitor.watch(folder: folder) }
    for folder in watched.subtracting(wanted) { monitor.ignore(folder: folder) }
    watched = wanted
  }

  /// Whether a persona's `library` is the file at the path.
  func isFile(of library: String, at path: String) -> Bool {
    guard let found = try? LibraryFile.resolve(library, in: folders) else { return false }
    return Self.isSame(found, path)
  }

  /// Whether two paths lead to one file.
  static func isSame(_ a: String, _ b: String) -> Bool { a == b || canonical(a) == canonical(b) }

  func close() { monitor?.close() }

  private static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// Without links, doubled slashes and dots; as it is if it does not exist.
  private static func canonical(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}
