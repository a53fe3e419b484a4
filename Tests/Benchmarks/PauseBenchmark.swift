import Foundation

/// How long the lane stands still when nothing else happens.
struct PauseBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(rounds: Int) throws {
    let families = [("C persona", "ECHO", try house.echoes()), ("Swift persona", "BABS", try house.pair("BABS"))]
    for (kind, name, builds) in families {
      let kernel = try KernelProcess(house, [(name, builds[0])], watch: false)
      let control = try kernel.connect()
      try control.hello("CONTROL")
      var receipts: [Receipt] = []
      for round in 1...rounds {
        try house.install(builds[round % 2], as: name, in: kernel.folder)
        receipts.append(try control.reload(name))
      }
      try kernel.stop()
      let pause = Figures(receipts.map(\.pause))
      show("pause, \(kind)", pause.text("µs"), target: "p50 < 1,000 µs", met: pause.percentile(0.5) < 1000)
      show("rehearsal, \(kind)", Figures(receipts.map(\.rehearsal)).text("ms"))
      show("reload, total, \(kind)", Figures(receipts.map(\.total)).text("ms"))
    }
  }
}
