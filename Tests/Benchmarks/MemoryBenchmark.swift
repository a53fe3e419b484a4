import Foundation

/// What one kept generation costs: code is never unmapped, so each reload leaves its library behind.
struct MemoryBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(rounds: Int) throws {
    let families = [("C persona", "ECHO", "count", try house.echoes()), ("Swift persona", "BABS", "observations", try house.pair("BABS"))]
    for (kind, name, method, builds) in families {
      let kernel = try KernelProcess(house, [(name, builds[0])], watch: false)
      let control = try kernel.connect()
      try control.hello("CONTROL")
      _ = try control.ask(name, method)
      let empty = kernel.memory()
      var marks: [(round: Int, memory: Double, own: Double)] = []
      var firstUse: [Double] = []
      for round in 1...rounds {
        try house.install(builds[round % 2], as: name, in: kernel.folder)
        _ = try control.reload(name)
        let asked = now()
        _ = try control.ask(name, method)
        firstUse.append(Double(now() - asked) / 1e6)
        if round == min(20, rounds) || round == rounds { marks.append((round, kernel.memory(), kernel.ownMemory())) }
      }
      let (first, last) = (marks[0], marks[marks.count - 1])
      let more = Double(max(1, last.round - first.round))
      let (kept, own) = ((last.memory - first.memory) / more, (last.own - first.own) / more)
      show("\(kind), 1 generation", "\(number(empty / 1024)) MiB")
      show(
        "\(kind), \(rounds + 1)",
        "\(number(last.memory / 1024)) MiB; for each kept one \(number(kept)) KiB, \(number(own)) without file pages")
      show("first answer of a generation", Figures(firstUse).text("ms"))
      try kernel.stop()
    }
  }
}
