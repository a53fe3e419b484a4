import Kernel
import PersonaABI
import Wire

/// Tests of the state that one generation hands to the next.
enum StateChecks {
  static let tests: [CheckTest] = [
    CheckTest(
      name: "state.again", shows: "save() called twice writes the same",
      body: { context throws(Halt) in
        let trial = try lived(context)
        let (first, second) = (try saved(trial), try saved(trial))
        if first != second {
          context.log.fail(
            "save() writes \(CheckText.short(first)), and then, with nothing between, \(CheckText.short(second)): a state must not depend on when it is asked for"
          )
        }
        context.log.note("its state has \(first.count) bytes")
        try trial.end()
      }),
    CheckTest(
      name: "state.round", shows: "what it saves, another instance loads, and saves again",
      body: { context throws(Halt) in
        let trial = try lived(context)
        let state = try saved(trial)
        try trial.end()
        let successor = Trial(context)
        _ = try successor.create()
        let answer = try successor.load(state, schema: try schema(context).writes)
        if answer.isRefusal {
          throw Halt(
            .failure, "load() refuses what save() has written, \(CheckText.short(state)): \(answer.words). No reload would ever succeed")
        }
        if try successor.start().isRefusal { context.log.fail("start() refuses after load()") }
        let again = try saved(successor)
        if again != state {
          context.log.warn(
            "what was saved, \(CheckText.short(state)), is saved as \(CheckText.short(again)) after load() and start(): something is lost or added at each reload"
          )
        }
        for gram in context.usualGrams() { try successor.ask(gram) }
        try successor.end()
      }),
    CheckTest(
      name: "state.full", shows: "a sink that is full is told on: save() returns its error",
      body: { context throws(Halt) in
        let trial = try lived(context)
        let count = try saved(trial).count
        for limit in Set([0, 1, count / 2, count - 1]).sorted() where limit >= 0 && limit < count {
          let (answer, sink) = try trial.save(limit: limit)
          guard sink.overflow else {
            context.log.fail("save() writes \(sink.bytes.count) bytes this time, \(count) before")
            continue
          }
          if !answer.isRefusal {
            context.log.fail(
              "save() returns \(StatusText.name(answer.status)) although its sink had refused after \(limit) of \(count) bytes: return what write() returned, or half a state is taken for a whole one"
            )
          } else if answer.status != Int32(PERSONA_E_TOO_LONG) {
            context.log.warn(
              "save() returns \(StatusText.name(answer.status)) when its sink is full; return what write() returned, PERSONA_E_TOO_LONG")
          }
        }
        if try saved(trial).count != count { context.log.fail("after a full sink, save() writes another number of bytes") }
        try trial.end()
      }),
    CheckTest(
      name: "state.empty", shows: "a state of 0 bytes is loaded, or refused in words",
      body: { context throws(Halt) in try load([], context) }),
    CheckTest(
      name: "state.random", shows: "random bytes, up to 1 MiB, are loaded or refused in words",
      body: { context throws(Halt) in
        var random = context.random("state")
        for count in [1000, 100_003, 1 << 20] { try load(random.bytes(count), context) }
      }),
    CheckTest(
      name: "state.damaged", shows: "its own state, cut short or with a byte changed, is loaded or refused in words",
      body: { context throws(Halt) in
        let trial = try lived(context)
        let state = try saved(trial)
        try trial.end()
        var random = context.random("damage")
        if state.isEmpty { throw Halt(.skipped, "its state is empty") }
        try context.times(60, "damaged states") { _ throws(Halt) in
          var copy = state
          let at = Int.random(in: 0..<copy.count, using: &random)
          switch Int.random(in: 0..<3, using: &random) {
          case 0: copy.removeLast(copy.count - at)
          case 1: copy[at] = UInt8.random(in: 0...255, using: &random)
          default: copy.insert(contentsOf: random.bytes(3), at: at)
          }
          try load(copy, context)
        }
      }),
    CheckTest(
      name: "state.older", shows: "each older schema that it says it reads is loaded, or refused in words",
      body: { context throws(Halt) in
        let schema = try schema(context)
        if schema.reads == schema.writes { throw Halt(.skipped, "it reads schema \(schema.writes) alone") }
        let trial = try lived(context)
        let state = try saved(trial)
        try trial.end()
        for older in schema.reads..<schema.writes {
          context.log.scene = "as schema \(older)"
          for state in [state, Array("{}".utf8), Array("null".utf8), []] { try load(state, context, schema: older) }
        }
      }),
  ]

  private static func schema(_ context: CheckContext) throws(Halt) -> About.StateSchema {
    guard let schema = context.about.state else { throw Halt(.skipped, "it keeps no state") }
    guard context.library.vtable.save != nil, context.library.vtable.load != nil else {
      throw Halt(.skipped, "it has no save() or no load(); see the test entry")
    }
    return schema
  }

  /// Starts an instance and gives it the usual grams, so that it has something to save.
  private static func lived(_ context: CheckContext) throws(Halt) -> Trial {
    _ = try schema(context)
    let trial = Trial(context)
    try trial.begin()
    for gram in context.usualGrams() { try trial.ask(gram) }
    return trial
  }

  private static func saved(_ trial: Trial) throws(Halt) -> [UInt8] {
    let (answer, sink) = try trial.save()
    if answer.isRefusal { throw Halt(.failure, "save() refuses: \(answer.words). No reload would ever succeed") }
    if sink.overflow { throw Halt(.failure, "save() writes more than 64 MiB") }
    return sink.bytes
  }

  /// Loads a state into a new instance. If load() takes it, the instance must work.
  private static func load(_ state: [UInt8], _ context: CheckContext, schema: UInt32? = nil) throws(Halt) {
    let writes = try self.schema(context).writes
    let trial = Trial(context)
    _ = try trial.create()
    let answer = try trial.load(state, schema: schema ?? writes)
    if !answer.isRefusal, !(try trial.start()).isRefusal {
      for gram in context.usualGrams() { try trial.ask(gram) }
      _ = try trial.save()
    }
    try trial.end()
  }
}
