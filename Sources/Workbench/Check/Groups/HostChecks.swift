import Kernel
import PersonaABI
import System
import Wire

/// Tests with kernels that offer less or more, and of the rules about threads.
enum HostChecks {
  static let tests: [CheckTest] = [
    CheckTest(
      name: "host.exact", shows: "it reads nothing behind the kernel's tables, and no text beyond its end or after its call",
      body: { context throws(Halt) in
        context.log.scene = "with tables and texts that end where the memory ends"
        try live(Trial(context, shape: .exact), context)
      }),
    CheckTest(
      name: "host.larger", shows: "it works with a later kernel, whose tables hold more",
      body: { context throws(Halt) in
        context.log.scene = "with larger tables, of minor version \(PERSONA_ABI_MINOR + 1)"
        try live(Trial(context, shape: .larger), context)
      }),
    CheckTest(
      name: "host.absent", shows: "without a service that it does not need it works, or refuses in words",
      body: { context throws(Halt) in
        let optional = HostTables.services.subtracting(context.about.needs).sorted()
        if optional.isEmpty { throw Halt(.skipped, "it needs every service that there is") }
        for service in optional {
          context.log.scene = "without \(service) (look for NULL, or name it under `needs`)"
          try bear(Trial(context, absent: [service]), context)
        }
        if optional.count > 1 {
          context.log.scene = "with no service but those that it needs"
          try bear(Trial(context, absent: Set(optional)), context)
        }
      }),
    CheckTest(
      name: "host.extension", shows: "extension() returns NULL for a name that it does not know",
      body: { context throws(Halt) in
        guard context.library.vtable.extension != nil else { throw Halt(.skipped, "it has no extension()") }
        let trial = Trial(context)
        try trial.begin()
        for name in ["check/unknown/1", "", "bus/1", String(repeating: "x", count: 5000)] where try trial.extended(name) {
          context.log.fail(
            "extension(\(CheckText.short(Array(name.utf8), limit: 20))) returns a table; a name that it cannot know must give NULL")
        }
        try trial.end()
      }),
    CheckTest(
      name: "threads", shows: "what is for the lane alone is called on the lane alone",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        for gram in context.usualGrams() {
          try trial.ask(gram.streamed)
          try trial.ask(CheckGram(gram.method, JSON.array([])))
          try trial.ask(gram.published(on: "#check"))
        }
        try trial.ask(CheckGram("check.unknown", .null))
        if context.about.state != nil { _ = try trial.save() }
        _ = try trial.health()
        try trial.end()
        try listen(to: trial)
      }),
    CheckTest(
      name: "threads.after", shows: "after destroy() its threads have ended: nothing is called, also when work was open",
      body: { context throws(Halt) in
        let trial = Trial(context, answers: .hold)
        try trial.begin()
        for gram in context.usualGrams() { _ = trial.settle(try trial.receive(gram)) }
        try trial.end()
        try listen(to: trial)
      }),
  ]

  /// Runs a whole life with the usual grams, in which create() and start() must not refuse.
  static func live(_ trial: Trial, _ context: CheckContext) throws(Halt) {
    try trial.begin()
    for gram in context.usualGrams() {
      try trial.ask(gram)
      try trial.ask(gram.streamed)
    }
    _ = try trial.configChanged(context.config)
    _ = try trial.health()
    if context.about.state != nil {
      let saved = try trial.save().sink.bytes
      let successor = Trial(context)
      _ = try successor.create()
      _ = try successor.load(saved, schema: context.about.state?.writes ?? 1)
      try successor.end()
    }
    try trial.end()
  }

  /// Runs a life with a service missing: create() and start() may refuse, if they explain why.
  private static func bear(_ trial: Trial, _ context: CheckContext) throws(Halt) {
    guard !(try trial.create()).isRefusal else { return }
    if !(try trial.start()).isRefusal { for gram in context.usualGrams() { try trial.ask(gram) } }
    try trial.end()
  }

  /// How long to listen for calls after destroy(), in milliseconds, and how late a call must be to count as a fault.
  private static let (listening, grace) = (500, Duration.milliseconds(250))

  private static func listen(to trial: Trial) throws(Halt) {
    let call = trial.host.record.wait(milliseconds: listening) { record in record.late.first { $0.after > grace }?.call }
    if let call {
      throw Halt(
        .failure,
        "a thread of its own calls \(call) more than \(grace.components.attoseconds / 1_000_000_000_000_000) ms after destroy() has returned: end it in stop(), and wait for it"
      )
    }
    // A cancelled task learns in this way that the lane has gone; PersonaKit's last tasks do.
    if let late = trial.host.record.withLock({ $0.late.first }) {
      trial.log.measure("just after destroy() a thread of its own called \(late.call), was refused, and nothing more came")
    }
  }
}
