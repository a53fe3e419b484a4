import CPlatform
import Glibc

/// Tells which files in some folders have changed.
///
/// It watches folders, never files: a linker unlinks and makes anew, and a watch would die with the file. A
/// folder that is missing, goes or is replaced is waited for in the nearest folder above it that is there. (A
/// symbolic link on the way that comes to point elsewhere goes unseen.)
/// Not for several threads at a time: it belongs to the event loop that polls its descriptor.
public final class LibraryWatcher {
  public enum Change: Sendable, Equatable {
    /// Something of this path was written, came or went.
    case file(String)
    /// Events were lost, or a folder has come (back): look at every file.
    case everything
    /// A folder is not watched any more, for this reason.
    case failed(LibraryError)
  }

  /// Readable when readEvents() has something to tell. Owned by the watcher.
  public let descriptor: Int32

  /// The folders that are there, each with its watch; several paths of one folder have one watch.
  private var folders: [String: Int32] = [:]
  /// The folders that are waited for.
  private var missing: Set<String> = []
  /// Every watch that was made: of folders, and of what is above missing ones.
  private var watches: Set<Int32> = []

  public init() throws(LibraryError) {
    descriptor = bat_inotify()
    guard descriptor >= 0 else { throw Self.failure("libraries cannot be watched", errno) }
  }

  deinit { close(descriptor) }

  /// Watches the files of a folder, which need not be there yet. Twice is no error.
  public func watch(folder: String) throws(LibraryError) {
    if folders[folder] == nil && !missing.contains(folder) { try arm(folder) }
  }

  /// Watches the folder no more. An unknown one is no error.
  public func ignore(folder: String) {
    folders[folder] = nil
    missing.remove(folder)
    removeUnusedWatches()
  }

  /// Takes all events that are waiting; never blocks. Each change is told once, in the order in which it was seen first.
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
          // The end of a folder may be among what was lost: make every watch again.
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
        }
      }
    }
    if mustArm && !missing.isEmpty {
      for folder in missing.sorted() {
        do throws(LibraryError) { try arm(folder) } catch { add(.failed(error)) }
        // What was put into it before the watch was there has caused no event.
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
    // Between two looks the folder may have come: begin again until nothing has changed.
    while true {
      if let watch = try add(folder) {
        folders[folder] = watch
        return
      }
      var above = folder
      repeat { above = Self.parent(of: above) } while try add(above) == nil && above != "/" && above != "."
      var status = stat()
      // If it is there now and is no folder, a change above it will tell when it has become one.
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

  /// Ends the watches above folders that are there again.
  private func removeUnusedWatches() {
    guard missing.isEmpty else { return }
    for watch in watches where !folders.values.contains(watch) {
      inotify_rm_watch(descriptor, watch)
      watches.remove(watch)
    }
  }

  // ── Events ──

  /// inotify(7). IN_Q_OVERFLOW and its like are enumerators of <sys/inotify.h>, and never change.
  private enum Mask {
    static let folderMoved: UInt32 = 0x800
    /// IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_IGNORED.
    static let folderGone: UInt32 = 0x400 | 0x800 | 0x2000 | 0x8000
    /// IN_CREATE, IN_MOVED_TO.
    static let nameCame: UInt32 = 0x100 | 0x80
    static let overflow: UInt32 = 0x4000
    static let isFolder: UInt32 = 0x4000_0000
  }

  /// struct inotify_event: int wd; uint32_t mask, cookie, len; char name[len], filled up with zeros.
  private static func events(_ bytes: ArraySlice<UInt8>) -> [(watch: Int32, mask: UInt32, name: String)] {
    var events: [(watch: Int32, mask: UInt32, name: String)] = []
    bytes.withUnsafeBytes { bytes in
      var start = 0
      while start + 16 <= bytes.count {
        let length = Int(bytes.loadUnaligned(fromByteOffset: start + 12, as: UInt32.self))
        let name = bytes[(start + 16)..<min(start + 16 + length, bytes.count)].prefix { $0 != 0 }
        events.append(
          (
            bytes.loadUnaligned(fromByteOffset: start, as: Int32.self), bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self),
            String(decoding: name, as: UTF8.self)
          ))
        start += 16 + length
      }
    }
    return events
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// A file of a folder, written as its changes are told.
  static func join(_ folder: String, _ name: String) -> String { folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)" }

  private static func failure(_ what: String, _ code: Int32) -> LibraryError {
    let advice =
      switch code {
      case ENOSPC: "; the limit fs.inotify.max_user_watches is used up: raise it, or set watch = false in [reload]"
      case EMFILE: "; the limit fs.inotify.max_user_instances or of open files is used up: raise it, or set watch = false in [reload]"
      default: ""
      }
    return LibraryError(.unreadable, "\(what): \(LibraryFile.text(of: code))\(advice)")
  }
}
