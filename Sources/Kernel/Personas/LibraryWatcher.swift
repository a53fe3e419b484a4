import CPlatform
import Glibc

/// Watches folders for libraries that change, and tells when one has come to rest. Event loop only.
///
/// The folder is watched, never the file, whose inode dies with every build. A save is many events; a
/// file counts as whole when its size and time have been quiet for the settle time and it ends where
/// its section table says.
final class LibraryWatcher: EventSource {
  private unowned let loop: EventLoop
  private let log: Log
  private let settle: Int
  private let settled: (String?) -> Void
  private let descriptor: Int32
  private var tag: UInt64 = 0
  private var folders: [Int32: String] = [:]
  private var settling: [String: Settling] = [:]

  /// A file on its way to rest: values in, decision out.
  struct Settling {
    struct Look: Equatable {
      var size: Int
      var modified: Int
      var inode: UInt64
    }
    private var last: Look?
    private var since: UInt64 = 0

    /// True when the file has looked the same for so long. Nanoseconds.
    mutating func isQuiet(_ look: Look, now: UInt64, settle: UInt64) -> Bool {
      if look != last {
        last = look
        since = now
        return false
      }
      return now - since >= settle
    }
  }

  /// `settled` gets the path of a file that is whole again, or nil when anything may have changed.
  init?(loop: EventLoop, log: Log, settleMilliseconds: Int, settled: @escaping (String?) -> Void) {
    descriptor = bat_inotify()
    if descriptor < 0 {
      log.error("files are not watched, reload by hand", ["error": String(cString: strerror(bat_errno()))])
      return nil
    }
    self.loop = loop
    self.log = log
    settle = settleMilliseconds
    self.settled = settled
    tag = loop.add(descriptor, EPOLLIN.rawValue, self)
  }

  /// A folder that is watched already is no error. One that does not exist (yet) is looked for again every second.
  func watch(folder: String) {
    let watch = bat_inotify_watch(descriptor, folder)
    if watch >= 0 {
      folders[watch] = folder
    } else {
      if bat_errno() != ENOENT { return log.error("this folder is not watched, reload by hand", ["folder": folder, "error": String(cString: strerror(bat_errno()))]) }
      loop.after(milliseconds: 1000) { [weak self] in
        guard let self, !isClosed else { return }
        self.watch(folder: folder)
        if folders.values.contains(folder) { settled(nil) }
      }
    }
  }

  private var isClosed = false

  func close() {
    isClosed = true
    loop.remove(descriptor, tag: tag)
    Glibc.close(descriptor)
  }

  func ready(_ events: UInt32) {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let n = read(descriptor, &buffer, buffer.count)
      if n <= 0 { return }
      var at = 0
      buffer.withUnsafeBytes { raw in
        while at + 16 <= n {
          let watch = raw.loadUnaligned(fromByteOffset: at, as: Int32.self)
          let mask = raw.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)
          let length = Int(raw.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
          let name = String(decoding: raw[(at + 16)..<(at + 16 + length)].prefix { $0 != 0 }, as: UTF8.self)
          at += 16 + length
          event(watch, mask, name)
        }
      }
    }
  }

  private func event(_ watch: Int32, _ mask: UInt32, _ name: String) {
    if mask & UInt32(BAT_IN_OVERFLOW) != 0 { return settled(nil) }
    guard let folder = folders[watch] else { return }
    if mask & UInt32(BAT_IN_GONE) != 0 {
      folders[watch] = nil
      self.watch(folder: folder)
    } else if name.hasSuffix(".so") {
      let path = "\(folder)/\(name)"
      if settling[path] == nil {
        settling[path] = Settling()
        look(path)
      }
    }
  }

  private func look(_ path: String) {
    guard !isClosed, settling[path] != nil else { return }
    var info = stat()
    if stat(path, &info) != 0 {
      settling[path] = nil  // it has gone again; its return is a new event
      return
    }
    let look = Settling.Look(
      size: Int(info.st_size), modified: info.st_mtim.tv_sec * 1_000_000_000 + info.st_mtim.tv_nsec, inode: UInt64(info.st_ino))
    if settling[path]!.isQuiet(look, now: EventLoop.now(), settle: UInt64(settle) * 1_000_000) {
      settling[path] = nil
      settled(path)
    } else {
      loop.after(milliseconds: max(5, settle / 5)) { [weak self] in self?.look(path) }
    }
  }
}
