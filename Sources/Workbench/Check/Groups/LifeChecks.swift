import Kernel
import PersonaABI
import Wire

/// Tests of an instance's life from its creation to its end.
enum LifeChecks {
  /// The plain life, which must succeed before other tests make sense.
  static let life = CheckTest(
    name: "life", shows: "it is created, starts, stops and is destroyed, with every service there", stage: .life,
    body: { context throws(Halt) in
      let trial = Trial(context)
      let created = try trial.create()
      if created.isRefusal {
        throw Halt(
          .failure,
          "create() refuses: \(created.words)"
            + (context.part == nil ? "; if it wants more in its configuration, give it with --config personas.toml" : ""))
      }
      let started = try trial.start()
      if started.isRefusal { throw Halt(.failure, "start() refuses: \(started.words)") }
      try trial.end()
    })

  static let tests: [CheckTest] = [
    life,
    CheckTest(
      name: "life.unstarted", shows: "one that was created and never started can be stopped and destroyed, as after a refused load",
      body: { context throws(Halt) in
        let trial = Trial(context)
        guard !(try trial.create()).isRefusal else { throw Halt(.failure, "create() refuses") }
        try trial.end()
      }),
    CheckTest(
      name: "life.repeated", shows: "a hundred lives one after the other go well",
      body: { context throws(Halt) in
        try context.times(100, "lives") { life throws(Halt) in
          context.log.scene = "in its life \(life + 1)"
          let trial = Trial(context)
          try trial.begin()
          try trial.end()
        }
        context.log.scene = ""
      }),
    CheckTest(
      name: "life.two", shows: "two instances live at once, each on a lane of its own, and do not disturb each other",
      body: { context throws(Halt) in
        let two = [Trial(context), Trial(context)]
        for trial in two { try trial.begin() }
        let grams = context.usualGrams()
        for gram in grams + grams {
          // Both instances work on their grams before either is waited for.
          var tokens: [UInt64] = []
          for trial in two { tokens.append(try trial.receive(gram)) }
          for (trial, token) in zip(two, tokens).reversed() { _ = try trial.finish(token, gram) }
        }
        try two[0].end()
        context.log.scene = "after the other instance's end"
        for gram in grams { try two[1].ask(gram) }
        try two[1].end()
      }),
    CheckTest(
      name: "life.health", shows: "health() is well from start to stop, also between grams and while requests are open",
      body: { context throws(Halt) in
        guard context.library.vtable.health != nil else { throw Halt(.skipped, "it has no health()") }
        let trial = Trial(context, answers: .hold)
        try trial.begin()
        func look(_ when: String) throws(Halt) {
          let answer = try trial.health()
          if answer.isRefusal {
            context.log.fail("health() is not well \(when): \(answer.words). A new generation that says so is rolled back")
          }
        }
        try look("after start()")
        for gram in context.usualGrams() {
          _ = trial.settle(try trial.receive(gram))
          try look("after \(gram.words)")
        }
        _ = try trial.configChanged(context.config)
        try look("after config_changed()")
        try trial.end()
      }),
    CheckTest(
      name: "life.config", shows: "config_changed() takes the same configuration, an empty one and odd ones, or refuses in words",
      body: { context throws(Halt) in
        guard context.library.vtable.config_changed != nil else { throw Halt(.skipped, "it has no config_changed()") }
        let trial = Trial(context)
        try trial.begin()
        let same = try trial.configChanged(context.config)
        if same.isRefusal { context.log.fail("config_changed() refuses the configuration that create() has taken: \(same.words)") }
        var sample = SamplePayload(context.random("config"))
        var odd: [JSON] = [[:], ["name": .string(context.about.name)]]
        let usual = (try? JSON(parsing: context.config)) ?? [:]
        for _ in 0..<20 { odd.append(sample.spoilt(usual)) }
        for config in odd where config.object != nil { _ = try trial.configChanged(config.bytes) }
        _ = try trial.configChanged(context.config)
        for gram in context.usualGrams() { try trial.ask(gram) }
        try trial.end()
      }),
  ]
}
