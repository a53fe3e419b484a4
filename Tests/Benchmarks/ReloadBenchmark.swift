import Foundation

/// One persona is replaced again and again while a hundred clients talk to it, and keeps its count by save and load.
struct ReloadBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run(rounds: Int) throws {
    let builds = try house.echoes()
    let kernel = try KernelProcess(house, [("ECHO", builds[0])], watch: false)
    let control = try kernel.connect()
    try control.hello("CONTROL")
    let load = try Load(kernel, clients: 100, window: 4)
    // The first second grows queues and pools; what is kept for each generation shows after it.
    sleep(1)
    let before = kernel.memory()
    let cpu = kernel.cpu()
    let began = now()
    var receipts: [Receipt] = []
    for round in 1...rounds {
      try house.install(builds[round % 2], as: "ECHO", in: kernel.folder)
      let receipt = try control.reload("ECHO")
      if receipt.version != ["A", "B"][round % 2] { throw Broken("reload \(round) brought version \(receipt.version)") }
      receipts.append(receipt)
    }
    let seconds = Double(now() - began) / 1e9
    let after = kernel.memory()
    let used = kernel.cpu() - cpu
    let outcome = load.finish()
    let count = try control.ask("ECHO", "count")["count"] as? Int ?? -1
    let generation = receipts.last?.to ?? 0
    try kernel.stop()

    show("reloads", "\(rounds) in \(number(seconds)) s, \(number(Double(rounds) / seconds))/s; generation \(generation)")
    show("messages", "\(outcome.messages), \(number(Double(outcome.messages) / outcome.seconds))/s, 100 clients, 4 open requests each")
    show("lost", "\(outcome.lost)", target: "0", met: outcome.lost == 0)
    show("repeated", "\(outcome.repeated)", target: "0", met: outcome.repeated == 0)
    show("out of order", "\(outcome.disordered)", target: "0", met: outcome.disordered == 0)
    show("connections closed", "\(outcome.closed)", target: "0", met: outcome.closed == 0)
    show("answered with an error", "\(outcome.errors)", target: "0", met: outcome.errors == 0)
    show("the persona's own count", "\(count)", target: "\(outcome.messages + 1)", met: count == outcome.messages + 1)
    show("pause", Figures(receipts.map(\.pause)).text("µs"))
    show("held", Figures(receipts.map { Double($0.held) }).text("messages"))
    show("rehearsal", Figures(receipts.map(\.rehearsal)).text("ms"))
    show("reload, total", Figures(receipts.map(\.total)).text("ms"))
    show(
      "kernel's memory",
      "\(number(before / 1024)) → \(number(after / 1024)) MiB, \(number((after - before) / Double(rounds))) KiB for each kept generation")
    show("kernel's CPU", "\(number(used / seconds)) cores")
    if let error = outcome.firstError { show("first fault", error) }
    guard outcome.isClean, count == outcome.messages + 1 else { throw Broken("a claim of reload under load is broken") }
  }
}
