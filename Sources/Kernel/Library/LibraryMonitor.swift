import CPlatform
import Glibc
import System

/// Brings what the watcher sees to the event loop, and waits for each changed file to come to rest: libraries, and others that are
/// named. Event loop only.
final class LibraryMonitor: EventSource {
  private unowned let loop: EventLoop
  private let inbox: LoopInbox
  private let log: Log
  private let watcher: LibraryWatcher
  private let quiet: Int
  private let settled: (String?) -> Void
  private var tag: UInt64 = 0
  /// The files that have changed and have not come to rest, by path.
  private var pending: [String: Debounce] = [:]
  private var isClosed = false
  /// Files that are told although their names do not end in .so: where links to libraries end, and personas.toml.
  var others: Set<String> = []

  /// `settled` gets the path of a file that is whole again, or nil: anything may have changed.
  init?(loop: EventLoop, inbox: LoopInbox, log: Log, quietMilliseconds: Int, settled: @escaping (String?) -> Void) {
    do throws(LibraryError) { watcher = try LibraryWatcher() } catch {
      log.error("libraries are not watched; reload by hand", ["error": error.message])
      return nil
    }
    self.loop = loop
    self.inbox = inbox
    self.log = log
    quiet = quietMilliseconds
    self.settled = settled
    do throws(Errno) { tag = try loop.add(watcher.descriptor, EPOLLIN.rawValue, self) } catch {
      log.error("libraries are not watched; reload by hand", ["error": "\(error)"])
    }
  }

  /// Watched already is no error.
  func watch(folder: String) {
    do throws(LibraryError) { try watcher.watch(folder: folder) } catch {
      log.error("this folder is not watched; reload by hand", ["folder": folder, "error": error.message])
    }
  }

  func ignore(folder: String) { watcher.ignore(folder: folder) }

  func ready(_ events: UInt32) {
    for change in watcher.readEvents() {
      switch change {
      case .file(let path):
        // Looking at it begins with its first event; later ones are seen by what they have changed.
        if path.hasSuffix(".so") || others.contains(path), pending[path] == nil {
          pending[path] = Debounce(quietMilliseconds: UInt64(quiet))
          look(path)
        }
      case .everything: settled(nil)
      case .failed(let error): log.error("a folder is not watched any more; reload by hand", ["error": error.message])
      }
    }
  }

  /// Reads the file on a thread of its own: a library may be large and its disk slow.
  private func look(_ path: String) {
    let (box, inbox) = (LoopOnly(self), inbox)
    do throws(Errno) {
      try startThread(name: "library") {
        let look = Debounce.Look(at: path)
        inbox.post { _ in box.value.judge(look, of: path) }
      }
    } catch {
      log.warning("no thread to look at a changed library with; trying again", ["path": path, "error": "\(error)"])
      loop.after(milliseconds: 1000) { [weak self] in self?.look(path) }
    }
  }

  private func judge(_ look: Debounce.Look?, of path: String) {
    guard !isClosed, var debounce = pending[path] else { return }
    let verdict = debounce.observe(look, at: MachineClock.now() / 1_000_000)
    pending[path] = debounce
    switch verdict {
    case .wait(let milliseconds): loop.after(milliseconds: Int(milliseconds)) { [weak self] in self?.look(path) }
    case .settled:
      pending[path] = nil
      settled(path)
    case .unfinished: pending[path] = nil
    }
  }

  func close() {
    isClosed = true
    loop.remove(watcher.descriptor, tag: tag)
  }
}
