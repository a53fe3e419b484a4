import CCurl
import Glibc

/// One child process in its own process group, with a pipe from its output and a pipe to its input.
///
/// The input is never written to: its end tells the child that the kernel has gone, however it went.
/// For one thread.
final class ChildProcess {
  let pid: pid_t
  /// Readable when it has said something, and at its end. Does not block.
  let output: Int32
  private var input: Int32?
  private var isReaped = false

  /// - Throws: the reason as a text.
  init(_ command: [String], environment: [String]) throws(ChildError) {
    guard let toChild = Self.pipe() else { throw ChildError(message: "pipe: \(String(cString: strerror(errno)))") }
    guard let fromChild = Self.pipe() else {
      let reason = String(cString: strerror(errno))
      close(toChild.read)
      close(toChild.write)
      throw ChildError(message: "pipe: \(reason)")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild.read, 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild.write, 1)
    posix_spawn_file_actions_adddup2(&actions, fromChild.write, 2)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    // Our thread blocks every signal; the child must not. Its own group keeps the terminal's Ctrl-C from it.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    var arguments = command.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    var child: pid_t = 0
    let code = posix_spawnp(&child, command[0], &actions, &attributes, &arguments, &variables)
    for text in arguments + variables { free(text) }
    posix_spawn_file_actions_destroy(&actions)
    posix_spawnattr_destroy(&attributes)
    close(toChild.read)
    close(fromChild.write)
    guard code == 0 else {
      close(toChild.write)
      close(fromChild.read)
      throw ChildError(message: "\(command[0]): \(String(cString: strerror(code)))")
    }
    pid = child
    input = toChild.write
    output = fromChild.read
    _ = fcntl(output, F_SETFL, O_NONBLOCK)
  }

  /// What it has said, at most 64 KiB at a time. Empty: nothing now. Nil: it has closed its output.
  func read() -> [UInt8]? {
    var isEnd = false
    let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
      let read = Glibc.read(output, buffer.baseAddress, buffer.count)
      isEnd = read == 0 || (read < 0 && errno != EAGAIN && errno != EINTR)
      count = max(0, read)
    }
    return isEnd ? nil : bytes
  }

  func signal(_ number: Int32) { if !isReaped { kill(-pid, number) } }

  /// Kills what is left of it and waits for it, which is short then.
  /// - Returns: how it ended, for people.
  func reap() -> String {
    precondition(!isReaped, "a child is reaped once")
    kill(-pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    isReaped = true
    let signal = status & 0x7F
    return signal == 0 ? "exit \((status >> 8) & 0xFF)" : "signal \(signal)"
  }

  /// Ends its input, as the kernel's death would.
  func hangUp() {
    if let input { close(input) }
    input = nil
  }

  /// Asks it to end, and after the patience kills it. Returns when it is gone.
  func stop(patience: Milliseconds) {
    guard !isReaped else { return }
    hangUp()
    kill(-pid, SIGTERM)
    let deadline = now() + patience
    var poll = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
    // The output ends when it has gone.
    while now() < deadline {
      let ready = Glibc.poll(&poll, 1, Int32(max(0, deadline - now())))
      if ready > 0, read() == nil { break }
    }
    _ = reap()
  }

  private static func pipe() -> (read: Int32, write: Int32)? {
    var ends: [Int32] = [-1, -1]
    return pipe2(&ends, O_CLOEXEC) == 0 ? (ends[0], ends[1]) : nil
  }

  deinit {
    if !isReaped { _ = reap() }
    hangUp()
    close(output)
  }
}

struct ChildError: Error {
  var message: String
}
