import CPlatform
import Glibc

/// A child process that is given some bytes and says something before it ends.
package struct Child {
  private let pid: pid_t
  private let stdout: Int32

  package struct Output {
    package var bytes: [UInt8] = []
    package var status: Int32 = 0
    package var signal: Int32?
    package var timedOut = false
  }

  /// Starts it; its standard error is ours. The input must fit a memory file, so it can be of any size.
  package init(_ command: [String], input: [UInt8]) throws(Failure) {
    let source = bat_memfd("bat-input")
    var ends: [Int32] = [0, 0]
    guard source >= 0, bat_pipe(&ends) == 0 else {
      throw Failure(.failed, "cannot start \(command[0]): \(String(cString: strerror(errno)))")
    }
    defer {
      close(source)
      close(ends[1])
    }
    input.withUnsafeBytes { raw in
      var at = 0
      while at < raw.count {
        let n = write(source, raw.baseAddress! + at, raw.count - at)
        if n <= 0 { break }
        at += n
      }
    }
    lseek(source, 0, SEEK_SET)
    do throws(Failure) { pid = try Self.spawn(command, input: source, output: ends[1]) } catch {
      close(ends[0])
      throw error
    }
    stdout = ends[0]
  }

  /// Starts it with one end of a stream socket for its standard input and output, and returns it with the other end, which is the caller's.
  static func talking(_ command: [String]) throws(Failure) -> (pid: pid_t, socket: Int32) {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Failure(.failed, "cannot start \(command[0]): \(String(cString: strerror(errno)))")
    }
    defer { close(ends[1]) }
    do throws(Failure) { return (try spawn(command, input: ends[1], output: ends[1]), ends[0]) } catch {
      close(ends[0])
      throw error
    }
  }

  private static func spawn(_ command: [String], input: Int32, output: Int32) throws(Failure) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    // Signals that the kernel reads from a descriptor are blocked here; a child must not inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    // A crash is told by its signal; a backtrace would only take its time.
    var environment: [UnsafeMutablePointer<CChar>?] = [strdup("SWIFT_BACKTRACE=enable=no")]
    var at = bat_environment()
    while let entry = at?.pointee {
      if strncmp(entry, "SWIFT_BACKTRACE=", 16) != 0 { environment.append(strdup(entry)) }
      at = at?.advanced(by: 1)
    }
    environment.append(nil)
    defer { for text in arguments + environment { free(text) } }
    var child: pid_t = 0
    let result = posix_spawn(&child, command[0], &actions, &attributes, arguments, environment)
    guard result == 0 else { throw Failure(.failed, "cannot start \(command[0]): \(String(cString: strerror(result)))") }
    return child
  }

  /// Waits for its end, and kills it when the time is over.
  package func output(limitMilliseconds: Int) -> Output {
    var output = Output()
    let deadline = EventLoop.now() + UInt64(limitMilliseconds) * 1_000_000
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let now = EventLoop.now()
      if now >= deadline {
        output.timedOut = true
        kill(pid, SIGKILL)
        break
      }
      var poll = pollfd(fd: stdout, events: Int16(POLLIN), revents: 0)
      if Glibc.poll(&poll, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1)) <= 0 { continue }
      let n = read(stdout, &chunk, chunk.count)
      if n <= 0 { break }
      output.bytes.append(contentsOf: chunk[..<n])
    }
    close(stdout)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    if status & 0x7f != 0 { output.signal = output.timedOut ? nil : status & 0x7f } else { output.status = status >> 8 & 0xff }
    return output
  }
}
