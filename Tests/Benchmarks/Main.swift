import Foundation

/// Measures the kernel that stands in the same build folder, by its socket alone, and prints figures beside their targets.
@main enum Main {
  static let help = """
    Usage: benchmarks NAME… [--rounds N] [--bench PATH]

    Drives the real batkernel of the same build folder over its socket, and prints what it measured.
    Build everything first: swift build -c release

      reload   1,000 reloads of one persona while 100 clients talk to it: nothing lost, repeated, reordered or closed
      pause    how long a lane stands still in 200 reloads of an idle kernel
      live     from the rename of a new library to the first answer of it, with the watcher, 30 rounds, C and Swift
      idle     memory with 0, 1,000 and 5,000 silent connections, and connections per second
      start    from exec to the open socket, and to four running personas, 20 rounds
      memory   what a kept generation costs, 200 reloads, C and Swift
      gram     allocations of a gram from client to client, which must be none, and CPU time of one to a C persona and back; 100,000 of each
      routing  tables of the load generator in the folder that --bench names; without it, how to run that
      all      all of them but routing

      --rounds N    instead of the number above
      --bench PATH  a built copy of the load generator (it has run_all.py)
      --help        show this and exit

    Exit status: 0 every claim held (figures are never a reason to fail), 1 something was lost, repeated, out of order,
    closed or refused, the short way allocated, or a benchmark could not be run, 2 wrong usage.

    """

  static func main() {
    signal(SIGPIPE, SIG_IGN)
    var names: [String] = []
    var rounds: Int?
    var bench: String?
    var rest = CommandLine.arguments.dropFirst()
    while let word = rest.popFirst() {
      switch word {
      case "--help", "-h":
        print(help, terminator: "")
        return
      case "--rounds":
        guard let number = rest.popFirst().flatMap(Int.init), number > 0 else { usage("--rounds needs a number above 0 after it") }
        rounds = number
      case "--bench":
        guard let path = rest.popFirst() else { usage("--bench needs a folder after it") }
        bench = path
      case "reload", "pause", "live", "idle", "start", "memory", "gram", "routing": names.append(word)
      case "all": names += ["start", "pause", "live", "idle", "memory", "gram", "reload"]
      default: usage("there is no benchmark \(word)")
      }
    }
    if names.isEmpty { usage("name one") }
    do {
      let house = try House()
      print("kernel: \(house.kernelPath)\(house.kernelPath.contains("/release/") ? "" : " (not a release build: its figures say little)")")
      for name in names {
        print("\n\(name)")
        fflush(nil)
        switch name {
        case "reload": try ReloadBenchmark(house).run(rounds: rounds ?? 1000)
        case "pause": try PauseBenchmark(house).run(rounds: rounds ?? 200)
        case "live": try LiveBenchmark(house).run(rounds: rounds ?? 30)
        case "idle": try IdleBenchmark(house).run()
        case "start": try StartBenchmark(house).run(rounds: rounds ?? 20)
        case "memory": try MemoryBenchmark(house).run(rounds: rounds ?? 200)
        case "gram": try GramBenchmark(house).run(rounds: rounds ?? 100_000)
        default: try RoutingBenchmark(house).run(bench: bench, rounds: rounds ?? 3)
        }
        fflush(nil)
      }
    } catch {
      complain("benchmarks: \(error)")
      exit(1)
    }
  }

  private static func complain(_ what: String) {
    fflush(nil)
    FileHandle.standardError.write(Data((what + "\n").utf8))
  }

  private static func usage(_ what: String) -> Never {
    complain("benchmarks: \(what)\nTry benchmarks --help.")
    exit(2)
  }
}

/// What broke a claim, or kept a benchmark from running.
struct Broken: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
