import Foundation

/// Measures the memory store: how fast it is beside others, and how good what it finds.
@main enum Main {
  static let help = """
    Usage: memory-benchmarks NAME [OPTION]

    Measures the memory store in this process's own folder, and prints what it measured. Needs a release build.

      store     inserts and queries of 256 dimensions; beside chromadb, sqlite-vec and numpy if BAT_BENCH_PYTHON is set
                to a Python that has them: python3 -m venv FOLDER && FOLDER/bin/pip install chromadb sqlite-vec numpy
      quality   nDCG@10 of words, vectors and both fused, on the descriptions of Debian's packages and on manual pages; also on
                Chinese and Japanese ones, if they are installed: apt install manpages-zh manpages-ja

      --counts N,N…   store: how many vectors (default 10000,100000; chromadb takes part up to 200000)
      --engines A,B…  store: only these of memory, sqlite-vec, chromadb, numpy
      --tune          quality: other fusions beside it, by which its weights were chosen
      --lists FOLDER  quality: apt's package lists (default /var/lib/apt/lists); whole descriptions need the English translation,
                      as apt-get update -o Acquire::Languages=en -o Dir::State::lists=FOLDER fetches it
      --manuals FOLDER  quality: the folder of manual pages (default /usr/share/man)
      --help          show this and exit

    Exit status: 0 measured, 1 something could not be run or a result was wrong, 2 wrong usage.

    """

  static func main() async {
    var words = Array(CommandLine.arguments.dropFirst())
    func value(of option: String) -> String? {
      guard let at = words.firstIndex(of: option) else { return nil }
      guard at + 1 < words.count else { usage("\(option) needs something after it") }
      defer { words.removeSubrange(at...at + 1) }
      return words[at + 1]
    }
    func flag(_ option: String) -> Bool {
      guard let at = words.firstIndex(of: option) else { return false }
      words.remove(at: at)
      return true
    }
    if flag("--help") || flag("-h") { return print(help, terminator: "") }
    let counts = (value(of: "--counts") ?? "10000,100000").split(separator: ",").map { Int($0) ?? 0 }
    if counts.contains(where: { $0 < 1000 }) { usage("--counts needs numbers from 1000 on, with commas between them") }
    let engines = value(of: "--engines")?.split(separator: ",").map(String.init)
    let tunes = flag("--tune")
    let manuals = value(of: "--manuals") ?? "/usr/share/man"
    let lists = value(of: "--lists") ?? "/var/lib/apt/lists"
    do {
      switch words.first {
      case "store" where words.count == 1: try await StoreBenchmark(counts: counts, engines: engines).run()
      // One engine in a process of its own: what `store` calls.
      case "measure" where words.count == 3: try await StoreMeasurement(Workload(folder: words[2])).run(isWhole: words[1] == "whole")
      case "quality" where words.count == 1: try await QualityBenchmark(lists: lists, manuals: manuals).run(tunes: tunes)
      case nil: usage("name what to measure")
      default: usage("there is no benchmark \(words.joined(separator: " "))")
      }
    } catch {
      FileHandle.standardError.write(Data("memory-benchmarks: \(error)\n".utf8))
      exit(1)
    }
  }

  private static func usage(_ problem: String) -> Never {
    FileHandle.standardError.write(Data("memory-benchmarks: \(problem); see --help\n".utf8))
    exit(2)
  }
}

/// Why a benchmark could not be run.
struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
