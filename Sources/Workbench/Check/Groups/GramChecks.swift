import Kernel
import PersonaABI
import Wire

/// Tests with correct grams, and with grams that nobody would send.
enum GramChecks {
  static let tests: [CheckTest] = [
    CheckTest(
      name: "grams.methods", shows: "each method of the about text answers a payload of its schema, with what its schema promises",
      body: { context throws(Halt) in
        let methods = context.about.methods
        if methods.isEmpty { throw Halt(.skipped, "its about text names no methods: method.NAME, takes.NAME, gives.NAME") }
        let trial = Trial(context)
        try trial.begin()
        var sample = SamplePayload(context.random("payloads"))
        for method in methods {
          let takes = method.takes.flatMap { try? JSON(parsing: $0.utf8) }
          let gives = method.gives.flatMap { try? JSON(parsing: $0.utf8) }
          for round in 0..<4 {
            let payload = takes == nil ? ["content": "Hello"] : sample.fitting(takes)
            let gram = CheckGram(method.name, payload)
            switch try trial.ask(round % 2 == 0 ? gram : gram.streamed) {
            case .failed(let status, let why) where status == Int32(PERSONA_E_UNKNOWN_METHOD):
              context.log.fail("does not know its own method \(method.name): \(why)")
            case .failed(let status, ""):
              context.log.warn(
                "\(method.name) refuses a payload of its own schema, \(payload.text), with \(StatusText.name(status)) and no text; call host->explain() first"
              )
            case .failed(let status, let why):
              context.log.warn("\(method.name) refuses a payload of its own schema, \(payload.text): \(why) (\(StatusText.name(status)))")
            case .replied(let bytes): checkReply(bytes, of: method.name, gives, context.log)
            case .done: checkReply([], of: method.name, gives, context.log)
            case nil: break
            }
          }
        }
        try trial.end()
      }),
    CheckTest(
      name: "grams.unknown", shows: "a method that it does not know is answered, or refused in words",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        var sample = SamplePayload(context.random("names"))
        let names = ["check.unknown", "", "toString", "../../etc/passwd", "%s%n", String(repeating: "m", count: 10_000)]
        for name in names + (0..<20).map({ _ in sample.word() }) {
          for payload in ["null", "{\"content\":\"Hello\"}"] {
            let gram = CheckGram(name, Array(payload.utf8))
            if case .failed(let status, let why) = try trial.ask(gram), why.isEmpty {
              context.log.warn(
                "refuses a method that it does not know with \(StatusText.name(status)) and no text; call host->explain() first, and say which methods there are"
              )
            }
          }
        }
        try trial.end()
      }),
    CheckTest(
      name: "grams.payloads", shows: "odd payloads, deep, huge, of other types and beyond the BMP, all end, and it lives",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        var sample = SamplePayload(context.random("payloads"))
        try context.times(150, "rounds") { round throws(Halt) in
          for usual in context.usualGrams() {
            var gram = usual
            let payload = (try? JSON(parsing: usual.payload)) ?? .null
            gram.payload = round % 3 == 0 ? sample.spoilt(payload).bytes : sample.odd()
            if sample.random.once(in: 2) { gram = gram.streamed }
            try trial.ask(gram)
          }
        }
        for gram in context.usualGrams() { try trial.ask(gram) }
        try trial.end()
      }),
    CheckTest(
      name: "grams.envelopes", shows: "odd sources, traces, deadlines, hops and flags are borne, and what is published needs no answer",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        var sample = SamplePayload(context.random("envelopes"))
        let topics = ["*", "#check", "#"] + trial.host.record.withLock { $0.topics.sorted() }
        try context.times(60, "rounds") { _ throws(Halt) in
          for usual in context.usualGrams() {
            var gram = usual
            gram.source = sample.random.pick(["GUI", "KERNEL", context.about.name, String(repeating: "s", count: 64), "🦇", "a b"])
            gram.trace = sample.random.pick(["", sample.word(), String(repeating: "t", count: 4000)])
            gram.milliseconds = sample.random.pick([0, 1, 60_000, .max])
            gram.hops = sample.random.pick([0, 7, 255, .max])
            gram.flags = sample.random.pick([0, 1, 2, 3, 0xFFFF_FFF8, 0xFFFF_FFFB])
            if sample.random.once(in: 3) { gram = gram.published(on: sample.random.pick(topics)) }
            if sample.random.once(in: 4) { gram.payload = sample.odd() }
            try trial.ask(gram)
          }
        }
        for gram in context.usualGrams() { try trial.ask(gram) }
        try trial.end()
      }),
  ]

  /// Compares a reply with what the about text promises: its type and its required members.
  private static func checkReply(_ bytes: [UInt8], of method: String, _ schema: JSON?, _ log: CheckLog) {
    guard let schema else { return }
    let reply = (try? JSON(parsing: bytes)) ?? .null
    let types = schema["type"]?.array?.compactMap(\.string) ?? schema["type"]?.string.map { [$0] } ?? []
    let fits = types.isEmpty || types.contains { isOf($0, reply) }
    if !fits {
      log.warn("\(method) replies \(CheckText.short(bytes)), and gives.\(method) promises \(types.joined(separator: " or "))")
      return
    }
    let missing = (schema["required"]?.array ?? []).compactMap(\.string).filter { reply.object != nil && reply[$0] == nil }
    if !missing.isEmpty {
      log.warn("\(method) replies without \(missing.map { "\"\($0)\"" }.joined(separator: ", ")), which gives.\(method) requires")
    }
  }

  private static func isOf(_ type: String, _ value: JSON) -> Bool {
    switch (type, value) {
    case ("object", .object), ("array", .array), ("string", .string), ("boolean", .bool), ("null", .null), ("number", .int),
      ("number", .double), ("integer", .int):
      true
    case ("integer", .double(let value)): value == value.rounded()
    default: false
    }
  }
}
