import Foundation

/// What one gram costs the kernel: allocations on the short way from client to client, and CPU time to a C persona and back.
struct GramBenchmark {
  let house: House
  init(_ house: House) { self.house = house }

  /// So many grams are on their way at a time.
  private static let window = 64

  func run(rounds: Int) throws {
    try countAllocations(rounds)
    try askPersona(rounds)
  }

  /// The common gram: no `id`, its source true, from one client to another. Anything but none breaks a claim.
  private func countAllocations(_ rounds: Int) throws {
    let counter = try AllocationCounter(house)
    let kernel = try KernelProcess(house, [], watch: false, environment: counter.environment)
    let (sender, receiver) = (try kernel.connect(), try kernel.connect())
    try sender.line("SENDER")
    try receiver.line("RECEIVER")
    _ = try sender.ask("KERNEL", "ping")
    _ = try receiver.ask("KERNEL", "ping")
    // A kernel that has started has allocated: else nothing is counted.
    if counter.count == 0 { throw Broken("no allocation is counted; is LD_PRELOAD not obeyed?") }
    for size in [100, 1024, 16384] {
      let head = #"{"source":"SENDER","target":"RECEIVER","method":"note","payload":""#
      let line = head + String(repeating: "a", count: size - head.utf8.count - 2) + "\"}"
      // At most 128 KiB at a time, which a socket takes without a reader.
      let window = min(Self.window, max(1, (128 << 10) / size))
      let batch = Array(repeating: line, count: window).joined(separator: "\n")
      // Buffers reach their sizes first.
      try pass(4096 / window, of: batch, window, from: sender, to: receiver)
      let before = counter.count
      try pass(rounds / window, of: batch, window, from: sender, to: receiver)
      let made = counter.count - before
      // A thousandth is for what has to do with time and not with grams.
      let isNone = made * 1000 < rounds
      show("allocations, \(size) B", "\(made) in \(rounds) grams", target: "0 per gram", met: isNone)
      if !isNone { throw Broken("the short way allocates: \(made) times in \(rounds) grams of \(size) bytes") }
    }
    try kernel.stop()
  }

  private func askPersona(_ rounds: Int) throws {
    let kernel = try KernelProcess(house, [("ECHO", try house.echoes()[0])], watch: false)
    let client = try kernel.connect()
    try client.hello("CLIENT")
    for window in [1, Self.window] {
      let batch = (0..<window).map { #"{"target":"ECHO","method":"count","id":\#($0)}"# }.joined(separator: "\n")
      try pass(4096 / window, of: batch, window, from: client, to: client)
      let (cpu, began) = (kernel.cpu(), now())
      try pass(rounds / window, of: batch, window, from: client, to: client)
      let (used, elapsed) = (kernel.cpu() - cpu, Double(now() - began) / 1e9)
      let micro = used * 1e6 / Double(rounds / window * window)
      show(
        "C persona, \(window) open", "\(number(micro)) µs of CPU each, \(number(elapsed * 1e6 / Double(rounds))) µs from one to the next",
        target: window == 1 ? nil : "at most 5 µs of CPU", met: window == 1 ? nil : micro <= 5)
    }
    try kernel.stop()
  }

  /// Sends a batch and waits until as many lines have come as it has, again and again.
  private func pass(_ count: Int, of batch: String, _ window: Int, from sender: Connection, to receiver: Connection) throws {
    for _ in 0..<count {
      try sender.line(batch)
      var missing = window
      while missing > 0 {
        while missing > 0, receiver.nextLine({ $0.count }) != nil { missing -= 1 }
        if missing > 0 { _ = try receiver.receive(wait: true) }
      }
    }
  }
}
