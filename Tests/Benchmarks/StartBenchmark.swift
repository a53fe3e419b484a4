import Foundation

/// The kernel with the repository's own personas.toml: how soon it listens, how soon all of them run, what it takes at rest.
struct StartBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(rounds: Int) throws {
    var listening: [Double] = []
    var running: [Double] = []
    var memory: [Double] = []
    var ended: [Double] = []
    for round in 1...rounds {
      let folder = "\(house.folder)/start-\(round)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
      let kernel = try KernelProcess(house, configuration: house.repository + "/personas.toml", folder: folder)
      let connection = try kernel.connect()
      listening.append(Double(now() - kernel.began) / 1e6)
      try kernel.waitUntilRunning(4)
      running.append(Double(now() - kernel.began) / 1e6)
      try connection.line("CONTROL")
      _ = try connection.ask("KERNEL", "ping")
      usleep(200_000)
      memory.append(kernel.memory() / 1024)
      let stopping = now()
      try kernel.stop()
      ended.append(Double(now() - stopping) / 1e6)
    }
    let listen = Figures(listening)
    show("exec to listening", listen.text("ms"), target: "p50 < 100 ms", met: listen.percentile(0.5) < 100)
    show("exec to four running", Figures(running).text("ms"))
    show("memory at rest", Figures(memory).text("MiB"))
    show("SIGTERM to the end", Figures(ended).text("ms"))
  }
}
