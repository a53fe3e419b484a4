import CPlatform
import Glibc
import Kernel
import PersonaABI
import System

/// Tests of what lives and grams leave behind.
enum LeakChecks {
  static let tests: [CheckTest] = [
    CheckTest(
      name: "leaks.lives", shows: "a thousand lives leave no memory, descriptors or threads behind", limitSeconds: 60,
      body: { context throws(Halt) in
        let all = try growth("lives", context) { _ throws(Halt) in try life(Trial(context)) }
        let lives = all.rounds
        // What the host itself leaves behind is not the persona's fault.
        let own = try growth("lives of ours", context, rounds: lives) { _ throws(Halt) in
          try life(Trial(context, entry: NobodyPersona.entry, vtable: NobodyPersona.vtable))
        }
        let allocated = Double(all.allocated - own.allocated) / Double(lives)
        let resident = Double(all.resident - own.resident) / Double(lives)
        context.log.measure(
          "a life leaves \(max(0, Int(allocated.rounded()))) bytes of malloc's memory behind, \(max(0, Int(resident.rounded()))) of the process's; after \(lives): \(all.descriptors) descriptors, \(all.threads) threads more"
        )
        if allocated > 256 {
          context.log.fail(
            "each life leaves \(Int(allocated)) bytes of memory behind (256 are let pass): free in destroy() what create() has made")
        } else if resident > 8192 {
          context.log.fail("each life leaves \(Int(resident)) bytes of the process's memory behind (8192 are let pass)")
        }
        if all.descriptors > 10 {
          context.log.fail("\(lives) lives leave \(all.descriptors) open descriptors behind (10 are let pass): close them in destroy()")
        }
        if all.threads > 10 {
          context.log.fail("\(lives) lives leave \(all.threads) threads behind (10 are let pass): end them in stop(), and wait for them")
        }
      }),
    CheckTest(
      name: "leaks.grams", shows: "a thousand grams leave no descriptors or threads behind, and little memory", limitSeconds: 60,
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        let grams = context.usualGrams()
        let growth = try growth("grams", context) { round throws(Halt) in
          try trial.ask(grams[round % grams.count])
          trial.host.record.withLock { record in
            record.tokens.removeAll(keepingCapacity: true)
            record.words.removeAll(keepingCapacity: true)
          }
        }
        let count = growth.rounds
        context.log.measure(
          "\(count) grams leave \(growth.allocated) bytes of memory, \(growth.descriptors) descriptors, \(growth.threads) threads behind")
        if growth.allocated > 1 << 20 {
          context.log.warn(
            "\(count) grams leave \(growth.allocated >> 10) KiB of memory behind (1024 are let pass): is there something that grows without a limit?"
          )
        }
        if growth.descriptors > 10 {
          context.log.fail("\(count) grams leave \(growth.descriptors) open descriptors behind (10 are let pass)")
        }
        if growth.threads > 10 { context.log.fail("\(count) grams leave \(growth.threads) threads behind (10 are let pass)") }
        try trial.end()
      }),
  ]

  private static func life(_ trial: Trial) throws(Halt) {
    try trial.begin()
    try trial.end()
  }

  private struct Growth {
    var rounds = 0
    /// In bytes.
    var allocated = 0
    var resident = 0
    var descriptors = 0
    var threads = 0
  }

  /// Runs the rounds, after some that warm up, and measures what they leave behind.
  private static func growth(
    _ what: String, _ context: CheckContext, rounds: Int = 1000, _ round: (Int) throws(Halt) -> Void
  ) throws(Halt) -> Growth {
    for warm in 0..<min(100, rounds) where warm == 0 || ContinuousClock.now < context.enough - .seconds(15) { try round(warm) }
    let before = usage()
    var done = 0
    try context.times(rounds, what) { number throws(Halt) in
      try round(number)
      done += 1
    }
    let after = usage()
    return Growth(
      rounds: done, allocated: after.allocated - before.allocated, resident: after.resident - before.resident,
      descriptors: after.descriptors - before.descriptors, threads: after.threads - before.threads)
  }

  /// What is used now. Waits until the number of threads no longer falls, since lanes end in their own time.
  private static func usage() -> Growth {
    var threads = entries(of: "/proc/self/task")
    for _ in 0..<50 {
      usleep(20_000)
      let now = entries(of: "/proc/self/task")
      if now >= threads { break }
      threads = now
    }
    bat_trim()
    return Growth(
      allocated: bat_allocated(), resident: residentBytes(), descriptors: entries(of: "/proc/self/fd"),
      threads: entries(of: "/proc/self/task"))
  }

  private static func entries(of folder: String) -> Int { (try? Folder.names(in: folder))?.count ?? 0 }

  private static func residentBytes() -> Int {
    var text = [UInt8](repeating: 0, count: 128)
    let file = open("/proc/self/statm", O_RDONLY)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    let count = read(file, &text, text.count)
    let words = String(decoding: text[..<max(0, count)], as: UTF8.self).split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
  }
}

/// A persona that does nothing: what its lives leave behind is the host's.
private enum NobodyPersona {
  static let vtable = persona_vtable(
    size: UInt32(MemoryLayout<persona_vtable>.size), destroy: { _ in }, receive: { _, _ in 0 }, start: { _ in 0 }, stop: { _ in },
    config_changed: nil, save: nil, load: nil, health: nil, extension: nil, cancelled: nil)

  nonisolated(unsafe) static let entry: UnsafePointer<persona_entry> = {
    let table = UnsafeMutablePointer<persona_vtable>.allocate(capacity: 1)
    table.initialize(to: vtable)
    let about = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    about.initialize(to: 0)
    let entry = UnsafeMutablePointer<persona_entry>.allocate(capacity: 1)
    entry.initialize(
      to: persona_entry(
        magic: UInt32(PERSONA_MAGIC), size: UInt32(MemoryLayout<persona_entry>.size), abi_major: 1, abi_minor: 0, reserved: 0, about: about,
        vtable: table,
        create: { _, _, made in
          made.pointee = OpaquePointer(bitPattern: 8)
          return 0
        }))
    return UnsafePointer(entry)
  }()
}
