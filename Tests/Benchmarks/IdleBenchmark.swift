import Foundation

/// What connections cost that said their name, have received one gram, and are silent.
struct IdleBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  func run() throws {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let kernel = try KernelProcess(house, [], watch: false)
    let control = try kernel.connect()
    try control.line("CONTROL")
    _ = try control.ask("KERNEL", "ping")
    let empty = kernel.memory()
    show("memory, 0 connections", "\(number(empty / 1024)) MiB")
    var connections: [Connection] = []
    for wanted in [1000, 5000] {
      let began = now()
      let more = wanted - connections.count
      while connections.count < wanted {
        let connection = try kernel.connect()
        try connection.line("IDLE\(connections.count)")
        connections.append(connection)
      }
      // The kernel reads in turn: when it counts them all and has answered, it has heard them all.
      while try control.ask("KERNEL", "stats")["connections"] as? Int ?? 0 < wanted + 1 { usleep(1000) }
      let seconds = Double(now() - began) / 1e9
      // With its true source the line is passed on as it is, which is what a connection has its memory for.
      try control.line(#"{"source":"CONTROL","target":"*","method":"note"}"#)
      for connection in connections { _ = try connection.gram { $0["method"] as? String == "note" } }
      let memory = kernel.memory()
      show(
        "memory, \(wanted) connections",
        "\(number(memory / 1024)) MiB, \(number((memory - empty) / 1024)) above empty, \(number((memory - empty) / Double(wanted))) KiB each",
        target: wanted == 5000 ? "at most 40 MB above empty" : nil, met: wanted == 5000 ? (memory - empty) * 1024 <= 40e6 : nil)
      show("connections per second", "\(number(Double(more) / seconds))")
    }
    for connection in connections where try connection.receive(wait: false) { throw Broken("an idle connection got something") }
    try kernel.stop()
  }
}
