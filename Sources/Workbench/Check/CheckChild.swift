import CPlatform
import Glibc
import Wire

/// A test's process: the program that checks, started by itself with a word that stands in no help.
///
/// It gets the job on standard input and the test's name as its last word, and says on standard output what it does and
/// finds. Whatever the persona prints goes the same way, and is told apart by its first byte.
public enum CheckChild {
  /// The first word of its command line.
  public static let word = "--check-child"

  /// `words` come after that word. Does not return.
  public static func perform(_ words: [String]) -> Never {
    bat_die_with_parent()
    var none = rlimit()
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    let output = fcntl(1, F_DUPFD_CLOEXEC, 3)
    dup2(1, 2)
    var input: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(0, &chunk, chunk.count)
      if count <= 0 { break }
      input += chunk[..<count]
    }
    guard let test = CheckTest.all.first(where: { $0.name == words.last }), let json = try? JSON(parsing: input), let job = CheckJob(json)
    else { _exit(2) }
    job.play(
      test,
      CheckLog { line in
        let bytes = line.bytes
        _ = write(output, bytes, bytes.count)
      })
    // Without exit handlers: a lane may still be in a call that hangs, and the rest was judged already.
    _exit(0)
  }
}
