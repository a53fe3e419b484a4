import Glibc
import Wire

/// Damages the lines of a corpus, and checks what the scanner, the reader and the writer of grams make of them.
///
/// Deterministic: a seed gives the same inputs in every run, so a failing one is found again with `--seed S --inputs N`.
@main enum Main {
  static let help = """
    Usage: fuzz [--seconds N] [--inputs N] [--seed N]

    Feeds damaged lines to the envelope scanner, the JSON reader and the writer of grams, for 5 seconds unless told otherwise.

      --seconds N  go on for so long
      --inputs N   end after so many inputs, however long that takes
      --seed N     the seed of a failing run, which fuzz printed at its start; without it, one of the clock

    Exit status: 0 every claim held, 1 a claim is broken or an input is read outside of its bytes (the input is printed), 2 wrong usage.

    """

  static func main() {
    var seconds = 5.0
    var inputs = Int.max
    var seed = nanoseconds()
    var rest = CommandLine.arguments.dropFirst()
    while let word = rest.popFirst() {
      switch word {
      case "--help", "-h":
        print(help, terminator: "")
        return
      case "--seconds":
        guard let number = rest.popFirst().flatMap(Double.init), number > 0, number < 1e9 else {
          usage("--seconds needs a number after it")
        }
        seconds = number
      case "--inputs":
        guard let number = rest.popFirst().flatMap(Int.init), number > 0 else { usage("--inputs needs a number after it") }
        inputs = number
        seconds = 1e9
      case "--seed":
        guard let number = rest.popFirst().flatMap(UInt64.init) else { usage("--seed needs a number after it") }
        seed = number
      default: usage("there is no option \(word)")
      }
    }
    let corpus = Corpus.lines()
    if corpus.isEmpty { usage("the corpus in \(Corpus.folder) is empty") }
    print("fuzz: seed \(seed), \(corpus.count) lines of \(Corpus.folder)")
    fflush(nil)
    run(Mutator(corpus: corpus, seed: seed), seed: seed, limit: inputs, until: nanoseconds() + UInt64(seconds * 1e9))
  }

  private static func run(_ source: Mutator, seed: UInt64, limit: Int, until: UInt64) {
    var mutator = source
    let memory = GuardedMemory(capacity: Mutator.longest)
    GuardedMemory.printOnFault()
    var count = 0
    var accepted = 0
    while count < limit, count % 256 != 0 || nanoseconds() < until {
      let input = mutator.next()
      count += 1
      do throws(BrokenClaim) { if try Claims.check(input, in: memory) { accepted += 1 } } catch {
        print("fuzz: \(error.claim)\ninput \(count) of seed \(seed): \(String(decoding: input, as: UTF8.self))\nits bytes: \(input)")
        exit(1)
      }
    }
    print("fuzz: \(count) inputs, \(accepted) of them grams: every claim held")
  }

  private static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private static func usage(_ what: String) -> Never {
    let text = Array("fuzz: \(what)\nTry fuzz --help.\n".utf8)
    write(2, text, text.count)
    exit(2)
  }
}
