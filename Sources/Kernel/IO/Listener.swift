import CPlatform
import Glibc
import Protocol
import System

/// The Unix socket that clients connect to. Event loop only.
///
/// Mode 0600, and the peer must be our own user: a socket file that was copied or passed on does not
/// let others in.
final class Listener: EventSource {
  private let descriptor: Int32
  private let path: String
  /// Held while we live: the proof that the socket file is ours.
  private var lock: ProcessLock?
  private unowned let loop: EventLoop
  private let log: Log
  private let accepted: (Int32, _ pid: Int32, _ isSpare: Bool) -> Void
  private var tag: UInt64 = 0
  private var closed = false

  /// Takes the socket over when its owner is gone; refuses when another kernel answers there.
  ///
  /// - Parameter accepted: gets each client's socket. `isSpare` is false when the last descriptors are reached, which no client gets.
  init(path: String, loop: EventLoop, log: Log, accepted: @escaping (Int32, Int32, Bool) -> Void) throws(Failure) {
    self.path = path
    self.loop = loop
    self.log = log
    self.accepted = accepted
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    if !folder.isEmpty { Self.makeFolder(folder) }
    lock = try Self.lock(path + ".lock", socket: path)
    unlink(path)  // whoever made it is gone: we hold its lock
    descriptor = bat_unix_socket(path, 1)
    if descriptor < 0 {
      let error = String(cString: strerror(bat_errno()))
      throw Failure(.failed, "cannot listen on \(path): \(error); check the folder, or give another --socket")
    }
    do throws(Errno) { tag = try loop.add(descriptor, EPOLLIN.rawValue, self) } catch {
      throw Failure(.failed, "cannot listen on \(path): \(error)")
    }
  }

  /// Descriptors that no client gets: for libraries, models, memory and children.
  private static let reserve = 64

  /// A client with this descriptor would leave too few.
  private static func isReserved(_ descriptor: Int32) -> Bool {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return false }
    let all = Int(clamping: limit.rlim_cur)
    // The lowest free number is given first, so a high one says how many are in use.
    return Int(descriptor) >= all - min(reserve, all / 2)
  }

  private static func lock(_ path: String, socket: String) throws(Failure) -> ProcessLock {
    do throws(ProcessLock.Refusal) { return try ProcessLock(path) } catch {
      switch error {
      case .held(let pid):
        throw Failure(
          .failed, "another kernel (pid \(pid)) listens on \(socket): stop it first (kill \(pid)), or give this one another --socket")
      case .unusable(let error):
        throw Failure(.failed, "cannot open \(path): \(error); check the folder, or give another --socket")
      }
    }
  }

  static func makeFolder(_ path: String) {
    var at = path.startIndex
    while let slash = path[path.index(after: at)...].firstIndex(of: "/") {
      mkdir(String(path[..<slash]), 0o755)
      at = slash
    }
    mkdir(path, 0o700)
  }

  func ready(_ events: UInt32) {
    while true {
      let client = bat_accept(descriptor)
      if client < 0 {
        let error = bat_errno()
        if error == EMFILE || error == ENFILE {
          // It would stay readable and spin: look again a little later.
          log.error("no descriptor is left for a new client: close some, or raise ulimit -n")
          loop.change(descriptor, 0, tag: tag)
          loop.after(milliseconds: 100) { [self] in if !closed { loop.change(descriptor, EPOLLIN.rawValue, tag: tag) } }
        } else if error != EAGAIN && error != EINTR && error != ECONNABORTED {
          log.error("accept failed", ["error": String(cString: strerror(error))])
        }
        return
      }
      var pid: Int32 = 0
      var uid: UInt32 = 0
      if bat_peer(client, &pid, &uid) != 0 || (uid != getuid() && uid != 0) {
        log.warning("refused a client of another user", ["pid": pid, "uid": uid])
        Glibc.close(client)
        continue
      }
      accepted(client, pid, !Self.isReserved(client))
    }
  }

  /// No new clients; the file goes.
  func close() {
    closed = true
    loop.remove(descriptor, tag: tag)
    Glibc.close(descriptor)
    unlink(path)
    lock = nil
  }
}
