import Foundation

/// How fast the store is, beside others on the same vectors.
struct StoreBenchmark {
  let counts: [Int]
  let engines: [String]?

  func run() async throws {
    let python = ProcessInfo.processInfo.environment["BAT_BENCH_PYTHON"]
    if python == nil {
      print("Only our own figures. For chromadb, sqlite-vec and numpy beside them, in a folder outside the repository:")
      print("    python3 -m venv FOLDER && FOLDER/bin/pip install chromadb sqlite-vec numpy; export BAT_BENCH_PYTHON=FOLDER/bin/python")
    }
    for count in counts {
      let folder = FileManager.default.temporaryDirectory.path + "/bat-memory-benchmark-\(UUID().uuidString)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let workload = try Workload.make(count: count, in: folder)
      let truth = try workload.truth()
      print("\n\(count) vectors × \(workload.dimension), batches of \(workload.batch), k = \(workload.limit); ms as p50 / p95")
      print(row(["", "insert/s", "all", "1 %", "10 %", "50 %", "new 1 %", "new 10 %", "new 50 %", "recall", "disk MB", "RSS MB (anon)"]))
      for (name, engine, arguments) in commands(count, python, folder) {
        if let engines, !engines.contains(engine) { continue }
        let figures = try measure(arguments)
        print(line(name, figures, count, truth))
        if let first = figures.series.first(where: { $0.name == "1 %" })?.first {
          print(String(format: "    its first query with a filter, which reads the key's values: %.1f ms", first))
        }
        fflush(nil)
      }
    }
  }

  private func commands(_ count: Int, _ python: String?, _ folder: String) -> [(name: String, engine: String, arguments: [String])] {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    var commands = [
      ("memory", "memory", [own, "measure", "whole", folder]), ("memory, vectors alone", "memory", [own, "measure", "vectors", folder]),
    ]
    guard let python else { return commands }
    let script = URL(filePath: #filePath).deletingLastPathComponent().path + "/peers.py"
    for engine in ["sqlite-vec", "sqlite-vec-vectors", "numpy"] + (count <= 200_000 ? ["chromadb"] : []) {
      let name = engine == "sqlite-vec-vectors" ? "sqlite-vec, vectors alone" : engine
      commands.append((name, engine.replacingOccurrences(of: "-vectors", with: ""), [python, script, engine, folder]))
    }
    return commands
  }

  private func measure(_ arguments: [String]) throws -> EngineFigures {
    try JSONDecoder().decode(EngineFigures.self, from: Program.output(of: arguments))
  }

  private func line(_ name: String, _ figures: EngineFigures, _ count: Int, _ truth: [[[Int]]]) -> String {
    var cells = [name, "\(Int(Double(count) / figures.insertSeconds))"]
    for name in ["all", "1 %", "10 %", "50 %", "new 1 %", "new 10 %", "new 50 %"] {
      let series = figures.series.first { $0.name == name }
      cells.append(series.map { String(format: "%.2f / %.2f", $0.percentile(0.5), $0.percentile(0.95)) } ?? "–")
    }
    var (found, wanted) = (0, 0)
    for (index, name) in ["all", "1 %", "10 %", "50 %"].enumerated() {
      for (query, numbers) in (figures.series.first { $0.name == name }?.found ?? []).enumerated() {
        found += Set(numbers).intersection(truth[query][index]).count
        wanted += truth[query][index].count
      }
    }
    cells.append(String(format: "%.3f", Double(found) / Double(wanted)))
    cells.append("\(figures.disk / 1_000_000)")
    cells.append("\(figures.resident / 1_000_000) (\(figures.anonymous / 1_000_000))")
    return row(cells)
  }

  private func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
}
