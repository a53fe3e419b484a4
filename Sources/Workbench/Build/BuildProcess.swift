import Glibc
import System

/// One command of a build, running. Its output is polled; it can be ended with all that it has started. For one thread.
public final class BuildProcess {
  /// Readable when there is output, or at its end. Owned by this.
  public let descriptor: Int32
  private let child: Subprocess
  private var text: [UInt8] = []
  private var hasEnded = false
  /// More than a person reads; what comes after it is dropped. In bytes.
  private static let longest = 1 << 20

  public struct Outcome: Sendable, Equatable {
    /// Nil: it was ended by a signal.
    public var status: Int32?
    public var output: String
  }

  public init(_ step: BuildPlan.Step) throws(Subprocess.Failed) {
    var plan = Subprocess.Plan(["env", "-C", step.folder] + step.environment.map { "\($0)=\($1)" } + step.words)
    plan.errors = nil
    // A session of its own: a terminal's Ctrl-C is ours, and whatever a compiler starts can be found and ended.
    plan.group = .session
    child = try Subprocess(plan)
    guard let output = child.output else { preconditionFailure("a build's output is a pipe") }
    descriptor = output
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  }

  deinit { if !hasEnded { endSession() } }

  /// Ends everything that it has started. SwiftPM and swiftc put each child in a group of its own, so the group is not enough.
  private func endSession() {
    let pid = child.pid
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
    var members: [pid_t] = []
    for name in (try? Folder.names(in: "/proc")) ?? [] {
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
    while true {
      var piece: [UInt8] = []
      let count = readMore(from: descriptor, into: &piece)
      if count > 0 {
        if text.count < Self.longest { text += piece }
        continue
      }
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return nil }
      break
    }
    hasEnded = true
    let status: Int32? = if case .status(let status) = child.wait() { status } else { nil }
    return Outcome(status: status, output: String(decoding: text, as: UTF8.self))
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
