import CPlatform
import Glibc

/// The text of a PDF, by the program `pdftotext`.
enum PDFText {
  struct Failed: Error { let why: String }

  static func read(_ path: String) throws(Failed) -> [UInt8] {
    var ends: [Int32] = [0, 0]
    guard bat_pipe(&ends) == 0 else { throw Failed(why: "no pipe could be made: \(Errno(number: errno))") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    let words = ["pdftotext", "-q", "-enc", "UTF-8", path, "-"]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let result = posix_spawnp(&child, "pdftotext", &actions, nil, &arguments, bat_environment())
    close(ends[1])
    guard result == 0 else {
      throw Failed(
        why: result == ENOENT
          ? "pdftotext is not installed: `apt install poppler-utils`, and ingest again"
          : "pdftotext cannot be started: \(Errno(number: result))")
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(ends[0], &chunk, chunk.count)
      if count > 0 { bytes += chunk[..<count] } else if count == 0 || errno != EINTR { break }
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { throw Failed(why: "pdftotext cannot read it: it is damaged, or locked by a password") }
    return bytes
  }
}
