import CPlatform
import Glibc
import Passages
import System

/// Tells that something in some folders has changed. Not for several threads at a time.
///
/// It also watches the folders that the given paths are in: a folder that was away is noticed when it is back.
final class FolderWatcher {
  /// Readable when `takeChanges` has something to tell. Owned by the watcher.
  let descriptor: Int32
  /// For each watch the names that count in it; nil: all.
  private var watches: [Int32: Set<[UInt8]>?] = [:]

  init() throws(CLIError) {
    descriptor = bat_inotify()
    guard descriptor >= 0 else { throw CLIError(.failed, "changes of files cannot be watched: \(Errno.last)") }
  }

  deinit { close(descriptor) }

  /// Watches these folders, and where `paths` are or may come; and no longer what was watched before.
  ///
  /// - Returns: the folders that cannot be watched, with the reason.
  func watch(_ folders: [FilePath], paths: [FilePath]) -> [(folder: FilePath, why: Errno)] {
    var new: [Int32: Set<[UInt8]>?] = [:]
    var failed: [(folder: FilePath, why: Errno)] = []
    for folder in folders {
      do throws(Errno) { if let watch = try add(folder) { new[watch] = .some(nil) } } catch { failed.append((folder, error)) }
    }
    for path in paths {
      var child = path
      while let folder = child.parent {
        // One that must not be read tells nothing of what comes and goes in it.
        if let watch = (try? add(folder)) ?? nil {
          // Of a folder that is watched for all its names, one more is nothing.
          if let names = new[watch, default: []] { new[watch] = names.union([child.name]) }
          break
        }
        child = folder
      }
    }
    for watch in watches.keys where new[watch] == nil { inotify_rm_watch(descriptor, watch) }
    watches = new
    return failed
  }

  /// Nil if there is no such folder.
  private func add(_ folder: FilePath) throws(Errno) -> Int32? {
    let watch = folder.withCString { bat_inotify_watch(descriptor, $0) }
    if watch >= 0 { return watch }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw .last
  }

  /// Takes all events that wait; never blocks. Whether one of them matters.
  func takeChanges() -> Bool {
    var hasChanged = false
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return hasChanged }
      // Structs inotify_event, each followed by a name of `len` bytes that is filled up with zeros.
      var start = 0
      while start + 16 <= count {
        func field(_ offset: Int) -> UInt32 { buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start + offset, as: UInt32.self) } }
        let end = min(start + 16 + Int(field(12)), count)
        let name = Array(buffer[(start + 16)..<end].prefix { $0 != 0 })
        hasChanged = matters(Int32(bitPattern: field(0)), field(4), name) || hasChanged
        start = end
      }
    }
  }

  private func matters(_ watch: Int32, _ mask: UInt32, _ name: [UInt8]) -> Bool {
    // Some events were lost.
    if mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
    guard let names = watches[watch] else { return false }
    return name.isEmpty || names?.contains(name) ?? true
  }
}
