import Foundation

/// Routing is measured by a load generator that drives other brokers beside this kernel in one run; this only starts it.
struct RoutingBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(bench: String?, rounds: Int) throws {
    let configuration = house.folder + "/routing.toml"
    try "[log]\nlevel = \"warning\"\n".write(toFile: configuration, atomically: false, encoding: .utf8)
    guard let bench else {
      print(
        """
          Routing is compared with other brokers by a load generator outside of this repository. With a built copy of it (the
          folder that holds run_all.py), and nats-server and redis-server installed but not running:
              benchmarks routing --bench FOLDER
        """)
      return
    }
    let runner = bench + "/run_all.py"
    guard FileManager.default.isReadableFile(atPath: runner) else { throw Broken("there is no \(runner)") }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.currentDirectoryURL = URL(filePath: bench)
    process.arguments = [
      "python3", runner, "--kernel", "\(house.kernelPath) --config \(configuration) --socket {sock}", "--kernel-bcast", "*", "--peers",
      "kernel,nats,redis,c-scan", "--only", "cost,hop,slow,trap,idle", "--rounds", "\(rounds)",
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    if process.terminationStatus != 0 { throw Broken("the load generator found a fault: status \(process.terminationStatus)") }
  }
}
