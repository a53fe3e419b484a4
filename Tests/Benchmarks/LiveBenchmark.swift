import Foundation

/// From the rename of a new library to the first answer of it: the watcher, 100 ms of settling, rehearsal, and the switch.
struct LiveBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(rounds: Int) throws {
    let families = [("C persona", "ECHO", "count", try house.echoes()), ("Swift persona", "BABS", "observations", try house.pair("BABS"))]
    for (kind, name, method, builds) in families {
      let kernel = try KernelProcess(house, [(name, builds[0])], watch: true)
      let control = try kernel.connect()
      try control.hello("CONTROL")
      var times: [Double] = []
      for round in 1...rounds {
        let renamed = try house.install(builds[round % 2], as: name, in: kernel.folder)
        let gram = try control.gram { $0["method"] as? String == "receipt" }
        let receipt = try Receipt(gram["payload"] as? [String: Any] ?? [:])
        // The receipt comes after the switch, so whoever answers now is the new one.
        let answer = try control.ask(name, method)
        times.append(Double(now() - renamed) / 1e6)
        let letter = ["A", "B"][round % 2]
        if receipt.version.prefix(1) != letter { throw Broken("round \(round) brought version \(receipt.version)") }
        if let version = answer["version"] as? String, version != letter {
          throw Broken("round \(round) was answered by version \(version)")
        }
      }
      try kernel.stop()
      let figures = Figures(times)
      show("rename to answer, \(kind)", figures.text("ms"), target: "p50 < 500 ms", met: figures.percentile(0.5) < 500)
    }
  }
}
