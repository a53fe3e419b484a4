import CPlatform
import Glibc
import System
import Wire

/// The process of one test: the program that runs the checks starts itself again with a first word that no help text lists.
///
/// It gets the job on standard input and the test's name as its last word, and reports on standard output what it does and
/// finds. What the persona prints goes there too; the first byte of a line tells the two apart.
public enum CheckChild {
  /// The first word of its command line.
  public static let word = "--check-child"

  /// Runs the test that the `words` after that first word name. Does not return.
  public static func perform(_ words: [String]) -> Never {
    bat_die_with_parent()
    var none = rlimit()
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    let output = fcntl(1, F_DUPFD_CLOEXEC, 3)
    dup2(1, 2)
    var input: [UInt8] = []
    while readMore(from: 0, into: &input) > 0 {}
    guard let test = CheckTest.all.first(where: { $0.name == words.last }), let json = try? JSON(parsing: input), let job = CheckJob(json)
    else { _exit(2) }
    job.play(
      test,
      CheckLog { line in
        // If the parent has gone, so will this process.
        _ = writeAll(line.bytes, to: output)
      })
    // Without exit handlers: a lane may still be in a call that hangs, and the test has reported everything else.
    _exit(0)
  }
}
