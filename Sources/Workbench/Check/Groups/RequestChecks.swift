import Kernel
import PersonaABI
import Wire

/// Tests of how a gram ends when the requests that it leads to fail, come late, or never end.
enum RequestChecks {
  static let tests: [CheckTest] = [
    CheckTest(
      name: "requests.errors", shows: "whatever error a request ends with, the gram that led to it ends, too",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        try context.times(StatusText.errors.count, "errors") { index throws(Halt) in
          let status = StatusText.errors[index]
          context.log.scene = "when every request ends with \(StatusText.name(status))"
          trial.answers = .fail(status)
          for gram in context.usualGrams() { try trial.ask(gram) }
        }
        try skipIfNone(trial)
        try recover(trial, context)
      }),
    CheckTest(
      name: "requests.refused", shows: "when a request cannot even be begun, and no value be kept, the gram ends",
      body: { context throws(Halt) in
        let trial = Trial(context)
        try trial.begin()
        for status in [PERSONA_E_INVALID, PERSONA_E_TOO_LONG, PERSONA_E_QUEUE_FULL, PERSONA_E_FAILED, PERSONA_E_RETIRED].map({ Int32($0) })
        {
          context.log.scene = "when every call returns \(StatusText.name(status))"
          trial.answers = .refuse(status)
          for gram in context.usualGrams() { try trial.ask(gram.streamed) }
        }
        try recover(trial, context)
      }),
    CheckTest(
      name: "requests.odd", shows: "results that nobody expects are borne: other shapes of JSON, empty texts, long ones",
      body: { context throws(Halt) in
        let trial = Trial(context, answers: .oddly)
        try trial.begin()
        try context.times(10, "rounds") { _ throws(Halt) in
          for gram in context.usualGrams() { try trial.ask(gram) }
        }
        try skipIfNone(trial)
        try recover(trial, context)
      }),
    CheckTest(
      name: "requests.order", shows: "requests of several grams may end in any order, and each gram gets its own end",
      body: { context throws(Halt) in
        let trial = Trial(context, answers: .hold)
        try trial.begin()
        var random = context.random("order")
        let grams = (0..<3).flatMap { _ in context.usualGrams() }.shuffled(using: &random)
        var open: [(token: UInt64, gram: CheckGram)] = []
        for gram in grams {
          open.append((try trial.receive(gram), gram))
          trial.quiet()
        }
        for (token, gram) in open {
          try endInAnyOrder(trial, until: token, gram, &random)
          _ = try trial.finish(token, gram)
        }
        try skipIfNone(trial)
        try trial.end()
      }),
    CheckTest(
      name: "requests.cancelled", shows: "when the asker goes away, requests end as cancelled, and the next gram is answered",
      body: { context throws(Halt) in
        let trial = Trial(context, answers: .hold)
        try trial.begin()
        for gram in context.usualGrams() {
          let token = try trial.receive(gram)
          _ = trial.settle(token)
          trial.quiet()
          trial.host.abandon(token)
          try trial.cancelled(token)
        }
        try skipIfNone(trial)
        try recover(trial, context)
      }),
    CheckTest(
      name: "requests.late", shows: "requests that are open at its end come back as retired before destroy(), and are borne",
      body: { context throws(Halt) in
        let trial = Trial(context, answers: .hold)
        try trial.begin()
        for gram in context.usualGrams() {
          _ = trial.settle(try trial.receive(gram.streamed))
          trial.quiet()
        }
        if context.about.state != nil {
          context.log.scene = "while requests are open"
          let (answer, _) = try trial.save()
          if answer.isRefusal { context.log.fail("save() refuses: \(answer.words)") }
          context.log.scene = ""
        }
        try trial.end()
        try skipIfNone(trial)
      }),
  ]

  private static func skipIfNone(_ trial: Trial) throws(Halt) {
    if trial.host.record.withLock({ $0.begun }) > 0 { return }
    try? trial.end()
    throw Halt(.skipped, "it makes no requests for the grams of this test")
  }

  /// Answers requests as usual again: the persona must work as before.
  private static func recover(_ trial: Trial, _ context: CheckContext) throws(Halt) {
    context.log.scene = "afterwards, with good answers again"
    trial.answers = .promptly
    for request in trial.host.record.withLock({ $0.requests.keys.sorted() }) { trial.host.answer(request) }
    for gram in context.usualGrams() { try trial.ask(gram) }
    context.log.scene = ""
    try trial.end()
  }

  /// Ends open requests in a random order until the gram has ended. Each choice is made when the persona has come to rest, so that the
  /// same seed makes the same ones.
  private static func endInAnyOrder(_ trial: Trial, until token: UInt64, _ gram: CheckGram, _ random: inout SeededRandom) throws(Halt) {
    for choice in 0..<10_000 {
      guard trial.settle(token) else { return }
      // A long series is more likely the persona's fault than a matter of order.
      if choice < 200 { trial.quiet() }
      let (isOpen, requests) = trial.host.record.withLock { record in
        if case .open? = record.tokens[token] { (true, record.requests.keys.sorted()) } else { (false, []) }
      }
      if !isOpen { return }
      // The last request has just ended, and the persona has not made the next one yet.
      if requests.isEmpty { continue }
      trial.host.answer(random.pick(requests))
    }
    throw Halt(.failure, "the gram \(gram.name) leads to one request after the other, and has not ended after 10000")
  }
}
