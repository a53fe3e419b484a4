import CPlatform
import Glibc

/// One command of a build, running. Its output is polled; it can be ended with all that it has started. For one thread.
public final class BuildProcess {
  /// Readable when there is output, or at its end. Owned by this.
  public let descriptor: Int32
  private let pid: pid_t
  private var text: [UInt8] = []
  private var hasEnded = false
  /// More than a person reads; what comes after it is dropped. In bytes.
  private static let longest = 1 << 20

  public struct Failed: Error, CustomStringConvertible {
    public let description: String
  }
  public struct Outcome: Sendable, Equatable {
    /// Nil: it was ended by a signal.
    public var status: Int32?
    public var output: String
  }

  public init(_ step: BuildPlan.Step) throws(Failed) {
    var ends: [Int32] = [0, 0]
    guard bat_pipe(&ends) == 0 else { throw Failed(description: "no pipe could be made: \(String(cString: strerror(errno)))") }
    defer { close(ends[1]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID, which Glibc's module does not show.
    let setSession: Int32 = 0x80
    // A session of its own: a terminal's Ctrl-C is ours, and whatever a compiler starts can be found and ended.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(setSession | POSIX_SPAWN_SETSIGMASK))
    let words = ["env", "-C", step.folder] + step.environment.map { "\($0)=\($1)" } + step.words
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for word in arguments { free(word) } }
    var child: pid_t = 0
    let result = posix_spawnp(&child, words[0], &actions, &attributes, &arguments, bat_environment())
    guard result == 0 else {
      close(ends[0])
      throw Failed(description: "\(step.words[0]) cannot be started: \(String(cString: strerror(result)))")
    }
    pid = child
    descriptor = ends[0]
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  }

  deinit {
    if !hasEnded {
      endSession()
      // Only now: until then nobody else can have its number.
      while waitpid(pid, nil, 0) < 0, errno == EINTR {}
    }
    close(descriptor)
  }

  /// Ends everything that it has started. SwiftPM and swiftc put each child in a group of its own, so the group is not enough.
  private func endSession() {
    kill(pid, SIGKILL)
    // What is about to be ended cannot start anything: when a look finds nobody new, nobody is left.
    var ended: Set<pid_t> = [pid]
    while true {
      let found = Self.members(ofSession: pid).filter { ended.insert($0).inserted }
      if found.isEmpty { return }
      for process in found { kill(process, SIGKILL) }
    }
  }

  private static func members(ofSession session: pid_t) -> [pid_t] {
    guard let listing = opendir("/proc") else { return [] }
    defer { closedir(listing) }
    var members: [pid_t] = []
    while let entry = readdir(listing) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard let process = pid_t(name) else { continue }
      let file = open("/proc/\(name)/stat", O_RDONLY | O_CLOEXEC)
      if file < 0 { continue }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 512)
      let count = read(file, &bytes, bytes.count)
      // proc(5): pid (name) state parent group session …; the name may hold anything.
      guard count > 0, let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { continue }
      let fields = String(decoding: bytes[(end + 1)..<count], as: UTF8.self).split(separator: " ")
      if fields.count > 3, pid_t(fields[3]) == session { members.append(process) }
    }
    return members
  }

  /// Reads what is there; at the end says how it ended.
  public func advance() -> Outcome? {
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      if count > 0 {
        if text.count < Self.longest { text += chunk[..<count] }
        continue
      }
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return nil }
      break
    }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    hasEnded = true
    return Outcome(status: status & 0x7f == 0 ? status >> 8 & 0xff : nil, output: String(decoding: text, as: UTF8.self))
  }

  /// Reads until it has ended.
  public func wait() -> Outcome {
    while true {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, -1)
      if let outcome = advance() { return outcome }
    }
  }
}
