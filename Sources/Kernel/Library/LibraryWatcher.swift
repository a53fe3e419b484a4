import CPlatform
import Glibc
import System

/// Tells which files in some folders have changed.
///
/// It watches folders, not files: a linker removes a file and makes a new one, and a watch would go with the old one. While a folder
/// is missing, the nearest existing folder above it is watched. Where symbolic links lead to a folder, the links are watched too.
/// Not for several threads at a time: it belongs to the event loop that polls its descriptor.
public final class LibraryWatcher {
  public enum Change: Sendable, Equatable {
    /// The file of this path was written, created or removed.
    case file(String)
    /// Events were lost, or a folder has appeared: look at every file.
    case everything
    /// A folder is no longer watched, for this reason.
    case failed(LibraryError)
  }

  /// Readable when readEvents() has something to tell. Owned by the watcher.
  public let descriptor: Int32

  /// The folders that exist, each with its watch. Several paths of one folder have one watch.
  private var folders: [String: Int32] = [:]
  /// The folders that do not exist yet.
  private var missing: Set<String> = []
  /// The links on the way to each folder, by the watch of where they stand.
  private var links: [String: [(watch: Int32, name: String)]] = [:]
  /// All watches: of folders, of those above missing ones, and of those in which links stand.
  private var watches: Set<Int32> = []

  public init() throws(LibraryError) {
    descriptor = bat_inotify()
    guard descriptor >= 0 else { throw Self.failure("libraries cannot be watched", errno) }
  }

  deinit { close(descriptor) }

  /// Watches the files of a folder, which need not exist yet. Twice is not an error.
  public func watch(folder: String) throws(LibraryError) {
    if folders[folder] == nil && !missing.contains(folder) { try arm(folder) }
  }

  /// Stops watching the folder. An unknown one is not an error.
  public func ignore(folder: String) {
    folders[folder] = nil
    links[folder] = nil
    missing.remove(folder)
    removeUnusedWatches()
  }

  /// Takes all events that are waiting; never blocks. Returns each change once, in the order of their first events.
  public func readEvents() -> [Change] {
    var changes: [Change] = []
    func add(_ change: Change) { if !changes.contains(change) { changes.append(change) } }
    var mustArm = false
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno != EAGAIN { add(.failed(Self.failure("libraries are not watched any more", errno))) }
      if count <= 0 { break }
      for event in Self.events(buffer[..<count]) {
        if event.mask & Mask.overflow != 0 {
          // The end of a folder may be among the lost events: make every watch again.
          missing.formUnion(folders.keys)
          folders = [:]
          mustArm = true
        } else if !watches.contains(event.watch) {
          continue
        } else if event.mask & Mask.folderGone != 0 {
          drop(event.watch, isAlive: event.mask & Mask.folderMoved != 0)
          mustArm = true
        } else {
          if event.mask & Mask.isFolder == 0 {
            for (folder, watch) in folders where watch == event.watch { add(.file(Self.join(folder, event.name))) }
          }
          if event.mask & Mask.nameCame != 0 { mustArm = true }
          // The link leads elsewhere now.
          for (folder, places) in links where folders[folder] != nil && places.contains(where: { $0 == (event.watch, event.name) }) {
            folders[folder] = nil
            missing.insert(folder)
            mustArm = true
          }
        }
      }
    }
    if mustArm && !missing.isEmpty {
      for folder in missing.sorted() {
        do throws(LibraryError) { try arm(folder) } catch { add(.failed(error)) }
        // Files that were put into it before it was watched have caused no event.
        if folders[folder] != nil { add(.everything) }
      }
      removeUnusedWatches()
    }
    return changes
  }

  // ── Watches ──

  /// Watches the folder, or, while it is missing, the nearest one above it.
  private func arm(_ folder: String) throws(LibraryError) {
    missing.remove(folder)
    // Before the folder itself: what changes from now on is heard.
    links[folder] = LinkTrail(of: folder).links.compactMap { place in
      // Not everything above a folder may be read.
      ((try? add(place.folder)) ?? nil).map { ($0, place.name) }
    }
    // The folder may appear between the two calls: repeat until nothing has changed.
    while true {
      if let watch = try add(folder) {
        folders[folder] = watch
        return
      }
      var above = folder
      repeat { above = Self.parent(of: above) } while try add(above) == nil && above != "/" && above != "."
      var status = stat()
      // If it exists now and is not a folder, the folder above it has an event when it becomes one.
      if stat(folder, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
        missing.insert(folder)
        return
      }
    }
  }

  /// nil when there is no such folder.
  private func add(_ path: String) throws(LibraryError) -> Int32? {
    let watch = bat_inotify_watch(descriptor, path)
    if watch < 0 {
      let code = errno
      if code == ENOENT || code == ENOTDIR { return nil }
      throw Self.failure("\(path) cannot be watched", code)
    }
    watches.insert(watch)
    return watch
  }

  private func drop(_ watch: Int32, isAlive: Bool) {
    if isAlive { inotify_rm_watch(descriptor, watch) }
    watches.remove(watch)
    for (folder, its) in folders where its == watch {
      folders[folder] = nil
      missing.insert(folder)
    }
  }

  /// Ends the watches above folders that exist again.
  private func removeUnusedWatches() {
    guard missing.isEmpty else { return }
    let used = Set(folders.values).union(links.values.flatMap { $0.map(\.watch) })
    for watch in watches where !used.contains(watch) {
      inotify_rm_watch(descriptor, watch)
      watches.remove(watch)
    }
  }

  // ── Events ──

  /// The bits of inotify(7) that are looked at, by what they mean here.
  private enum Mask {
    static let folderMoved = UInt32(IN_MOVE_SELF)
    static let folderGone = UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
    static let nameCame = UInt32(IN_CREATE | IN_MOVED_TO)
    static let overflow = UInt32(IN_Q_OVERFLOW)
    static let isFolder = UInt32(IN_ISDIR)
  }

  /// Structs inotify_event, each followed by a name of `len` bytes that is filled up with zeros.
  private static func events(_ bytes: ArraySlice<UInt8>) -> [(watch: Int32, mask: UInt32, name: String)] {
    var events: [(watch: Int32, mask: UInt32, name: String)] = []
    let size = MemoryLayout<inotify_event>.size
    bytes.withUnsafeBytes { bytes in
      func field<T: FixedWidthInteger & BitwiseCopyable>(_ path: KeyPath<inotify_event, T>, of start: Int) -> T {
        // Every member of a C struct has an offset.
        bytes.loadUnaligned(fromByteOffset: start + MemoryLayout<inotify_event>.offset(of: path)!, as: T.self)
      }
      var start = 0
      while start + size <= bytes.count {
        let nameEnd = min(start + size + Int(field(\.len, of: start)), bytes.count)
        let name = bytes[(start + size)..<nameEnd].prefix { $0 != 0 }
        events.append((field(\.wd, of: start), field(\.mask, of: start), String(decoding: name, as: UTF8.self)))
        start = nameEnd
      }
    }
    return events
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The path of a file in a folder, as changes name it.
  static func join(_ folder: String, _ name: String) -> String { folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)" }

  private static func failure(_ what: String, _ code: Int32) -> LibraryError {
    let advice =
      switch code {
      case ENOSPC: "; the limit fs.inotify.max_user_watches is used up: raise it, or set watch = false in [reload]"
      case EMFILE: "; the limit fs.inotify.max_user_instances or of open files is used up: raise it, or set watch = false in [reload]"
      default: ""
      }
    return LibraryError(.unreadable, "\(what): \(Errno(number: code))\(advice)")
  }
}
