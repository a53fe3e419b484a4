import Glibc
import Wire

/// Damages what is in a corpus, and checks what the scanner, the reader and the writer of grams make of it, or the readers of documents.
///
/// Deterministic: a seed gives the same inputs in every run, so a failing one is found again with `--seed S --inputs N`.
@main enum Main {
  static let help = """
    Usage: fuzz [SUBJECT] [--seconds N] [--inputs N] [--seed N]

    Feeds damaged inputs for 5 seconds, unless told otherwise, to a SUBJECT:

      wire         the envelope scanner, the JSON reader and the writer of grams; what is meant if nothing is said
      documents    what makes passages of Markdown, HTML, text and code in any encoding

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
    let subject = rest.first.flatMap { Subject(rawValue: $0) }
    if subject != nil { rest.removeFirst() }
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
    let (check, corpus, pieces) = (subject ?? .wire).parts
    if corpus.isEmpty { usage("the corpus in \(Corpus.folder) is empty") }
    print("fuzz: seed \(seed), \(corpus.count) inputs of \(Corpus.folder)")
    fflush(nil)
    let mutator = Mutator(corpus: corpus, pieces: pieces, seed: seed)
    run(mutator, check, seed: seed, limit: inputs, until: nanoseconds() + UInt64(seconds * 1e9))
  }

  /// Checks all claims of one input; true if it was read as what it should be.
  typealias Check = ([UInt8], GuardedMemory) throws(BrokenClaim) -> Bool

  /// What inputs are fed to.
  private enum Subject: String {
    case wire, documents

    var parts: (Check, corpus: [[UInt8]], pieces: [[UInt8]]) {
      switch self {
      case .wire: (Claims.check, Corpus.lines(), Mutator.wire)
      case .documents: (DocumentClaims.check, Corpus.files("documents"), DocumentClaims.pieces)
      }
    }
  }

  private static func run(_ source: Mutator, _ check: Check, seed: UInt64, limit: Int, until: UInt64) {
    var mutator = source
    let memory = GuardedMemory(capacity: Mutator.longest)
    GuardedMemory.printOnFault()
    var count = 0
    var accepted = 0
    while count < limit, count % 256 != 0 || nanoseconds() < until {
      let input = mutator.next()
      count += 1
      do throws(BrokenClaim) { if try check(input, memory) { accepted += 1 } } catch {
        print("fuzz: \(error.claim)\ninput \(count) of seed \(seed): \(String(decoding: input, as: UTF8.self))\nits bytes: \(input)")
        exit(1)
      }
    }
    print("fuzz: \(count) inputs, \(accepted) of them read: every claim held")
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
