import Glibc

/// Damages a corpus, and checks what is made of it: of lines by the wire, of answers of model servers by their decoder, and of documents
/// by what makes passages of them.
///
/// Deterministic: a seed gives the same inputs in every run, so a failing one is found again with `--seed S --inputs N`.
@main enum Main {
  static let help = """
    Usage: fuzz [TARGET…] [--seconds N] [--inputs N] [--seed N]

    Feeds damaged inputs to each target, for 5 seconds unless told otherwise. Targets, all of them if none is named:

      wire         damaged lines to the envelope scanner, the JSON reader and the writer of grams
      answers      damaged answers of model servers to their decoder
      libraries    damaged libraries of personas to what judges them before they are opened
      documents    damaged documents to the readers that make passages of Markdown, HTML, text and code in any encoding

      --seconds N  go on for so long with each
      --inputs N   end after so many inputs of each, however long that takes
      --seed N     the seed of a failing run, which fuzz printed at its start; without it, one of the clock

    Exit status: 0 every claim held, 1 a claim is broken or an input is read outside of its bytes (the input is printed), 2 wrong usage.

    """

  private struct Plan {
    var targets: [FuzzTarget] = []
    var seconds = 5.0
    var inputs = Int.max
    var seed = nanoseconds()
  }

  static func main() {
    var plan = Plan()
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
        plan.seconds = number
      case "--inputs":
        guard let number = rest.popFirst().flatMap(Int.init), number > 0 else { usage("--inputs needs a number after it") }
        plan.inputs = number
        plan.seconds = 1e9
      case "--seed":
        guard let number = rest.popFirst().flatMap(UInt64.init) else { usage("--seed needs a number after it") }
        plan.seed = number
      default:
        guard let target = FuzzTarget.all().first(where: { $0.name == word }) else { usage("there is no option and no target \(word)") }
        plan.targets.append(target)
      }
    }
    if plan.targets.isEmpty { plan.targets = FuzzTarget.all() }
    GuardedMemory.printOnFault()
    for target in plan.targets { run(target, plan) }
  }

  private static func run(_ target: FuzzTarget, _ plan: Plan) {
    if target.corpus.isEmpty { usage("there are no \(target.source)") }
    print("fuzz \(target.name): seed \(plan.seed), \(target.corpus.count) \(target.source)")
    fflush(nil)
    let until = nanoseconds() + UInt64(plan.seconds * 1e9)
    var mutator = Mutator(corpus: target.corpus, pieces: target.pieces, seed: plan.seed)
    let memory = GuardedMemory(capacity: Mutator.longest)
    var count = 0
    var accepted = 0
    while count < plan.inputs, count % 64 != 0 || nanoseconds() < until {
      let input = mutator.next()
      count += 1
      if count % 16 == 1 { alarm(60) }
      do throws(BrokenClaim) { if try target.check(input, memory, &mutator) { accepted += 1 } } catch {
        print(
          "fuzz \(target.name): \(error.claim)\ninput \(count) of seed \(plan.seed): \(String(decoding: input, as: UTF8.self))\nits bytes: \(input)"
        )
        exit(1)
      }
    }
    alarm(0)
    print("fuzz \(target.name): \(count) inputs, \(accepted) of them \(target.taken): every claim held")
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
