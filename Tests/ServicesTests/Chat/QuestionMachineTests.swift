import Kernel
import Protocol
import System
import TestSupport
import Testing
import Wire

@testable import Services

/// A question's life as sequences of events, with no thread, no clock and no server.
@Suite struct QuestionMachineTests {
  typealias Event = QuestionMachine.Event

  /// Does nothing of what a machine decides but make prompts, and writes it down in words.
  struct Driver {
    var machine: QuestionMachine
    var server: ModelServer
    /// What the last `finish` said.
    var result: Result<[UInt8], Failure>?

    init(
      _ body: String = #"{"text":"Hi"}"#, legs: [String] = ["default"], kind: ProviderConfiguration.Kind = .ollama, retries: Int = 0,
      tools: [LanguageTool] = [], deadline: Milliseconds? = nil
    ) throws {
      var asked = LanguageQuestion(persona: "BRICK", prompt: "", request: try ChatRequest(Array(body.utf8), of: "BRICK"))
      asked.tools = tools
      var configuration = LanguageConfiguration()
      for name in legs.dropFirst() { configuration.providers[name] = ProviderConfiguration() }
      configuration.fallbacks = Array(legs.dropFirst())
      let question = try ChatQuestion(asked)
      machine = QuestionMachine(question, try Route(question, asked.overrides, configuration), deadline: deadline)
      var provider = ProviderConfiguration()
      (provider.kind, provider.model, provider.retries) = (kind, "m", retries)
      server = ModelServer(provider, localSocket: "/model.sock") { _ in nil }
    }

    mutating func on(_ event: Event, at now: Milliseconds = 0) -> [String] {
      machine.handle(event, at: now).map { action in
        if action == .send { _ = try? machine.draft(for: server, learnt: TokenEstimate()) }
        if case .finish(let end) = action { result = end }
        return Self.word(action)
      }
    }

    /// Brings it to the server.
    mutating func send(_ conversation: Conversation? = Conversation(thread: 1, estimate: TokenEstimate())) {
      for event in [Event.turnCame, .opened(conversation), .slotGiven] { _ = on(event) }
    }

    private static func word(_ action: QuestionMachine.Action) -> String {
      switch action {
      case .open: "open"
      case .enqueue(let leg, let first): "enqueue \(leg.provider)\(first ? " first" : "")"
      case .leave: "leave"
      case .send: "send"
      case .reviveLocal: "revive"
      case .call(let tool, _, let round, let index): "call \(tool) \(round).\(index)"
      case .emit(let text): "emit \(text)"
      case .showThought(let line): "show \(line)"
      case .remember(let form): "remember \(form.text)"
      case .settle(let tokens): "settle \(tokens)"
      case .learn(let model, _): "learn \(model)"
      case .keep(let turn): "keep \(turn.messages.count)"
      case .count(let tally): "count \(tally)"
      case .log(let level, _): "log \(level)"
      case .finish(.success): "finish"
      case .finish(.failure(let failure)): "finish \(failure.code.rawValue)"
      }
    }
  }

  static let whole = Answer(model: "m", finish: "stop", promptTokens: 26, completionTokens: 2, isComplete: true)
  static func setback(_ setback: Setback, isResting: Bool = false) -> Event {
    .setback(setback, Answer(), isResting: isResting, chance: 0)
  }
  static let unreachable = setback(.unreachable("refused"))
  static let overloaded = setback(.status(503, body: [], retryAfter: nil))
  static let calls = Answer(
    model: "m", finish: "stop", promptTokens: 26, completionTokens: 2, isComplete: true,
    toolCalls: [ToolCall(id: "1", name: "BABS_observe", arguments: #"{"z":"moon"}"#), ToolCall(id: "2", name: "no", arguments: "{}")])

  @Test("its conversation is read before it stands in line; its turn is kept before its end is told")
  func plain() throws {
    var driver = try Driver()
    #expect(driver.on(.turnCame) == ["open"])
    #expect(driver.on(.opened(Conversation(thread: 1, estimate: TokenEstimate()))) == ["enqueue default"])
    #expect(driver.on(.slotGiven) == ["send"])
    #expect(driver.on(.piece("A")) == ["emit A"])
    #expect(driver.on(.answered(Self.whole)) == ["settle 28", "learn m", "leave", "keep 2"])
    #expect(driver.on(.kept(true)) == ["finish"])
    let result = try JSON(parsing: try #require(driver.result).get())
    #expect(result["text"] == "A" && result["prompt_tokens"] == 26 && result["history_failed"] == nil)
  }

  @Test("one without a conversation ends with its last word; one whose turn is not kept says so")
  func unkept() throws {
    var alone = try Driver(#"{"text":"Hi","remember":false}"#)
    alone.send(nil)
    _ = alone.on(.piece("A"))
    #expect(alone.on(.answered(Self.whole)) == ["settle 28", "learn m", "leave", "finish"])
    var unkept = try Driver()
    unkept.send()
    _ = unkept.on(.piece("A"))
    _ = unkept.on(.answered(Self.whole))
    #expect(unkept.on(.kept(false)) == ["finish"])
    #expect(try JSON(parsing: try #require(unkept.result).get())["history_failed"] == true)
  }

  @Test("it can be taken back at any time, but not when the answer is whole", arguments: [Event.cancelled, .stopped])
  func takenBack(_ event: Event) throws {
    let steps: [Event] = [
      .turnCame, .opened(Conversation(thread: 1, estimate: TokenEstimate())), .slotGiven, .piece("A"), .answered(Self.whole),
    ]
    for count in steps.indices {
      var driver = try Driver()
      for step in steps[..<count] { _ = driver.on(step) }
      let actions = driver.on(event)
      let code = if case .cancelled = event { "cancelled" } else { "retired" }
      #expect(actions.suffix(2) == ["leave", "finish \(code)"], "after \(count) steps: \(actions)")
      #expect(driver.on(.kept(true)) == [] && driver.on(.piece("x")) == [])
    }
    var whole = try Driver()
    for step in steps { _ = whole.on(step) }
    #expect(whole.on(event) == [] && whole.on(.kept(true)) == ["finish"])
  }

  @Test("what has failed goes to the next provider; where nobody can answer, the failure has what each of them said")
  func fallback() throws {
    var driver = try Driver(legs: ["default", "cloud"])
    driver.send()
    #expect(driver.on(Self.unreachable) == ["leave", "count fallback", "log warning", "enqueue cloud first"])
    #expect(driver.on(.slotGiven) == ["send"])
    #expect(driver.on(Self.unreachable) == ["settle 0", "leave", "finish llm_unreachable"])
    guard case .failure(let failure)? = driver.result else {
      Issue.record("it has not failed")
      return
    }
    #expect(failure.message.contains("; and instead of it: "))
  }

  @Test("a provider that has gone, or could not be asked, is passed over, and budgets are no reason to go elsewhere")
  func passedOver() throws {
    var gone = try Driver(legs: ["default", "cloud"])
    for event in [Event.turnCame, .opened(nil)] { _ = gone.on(event) }
    #expect(gone.on(.providerGone(Failure(.llmUnreachable, "gone"))).last == "enqueue cloud first")
    var resting = try Driver(legs: ["default", "cloud"])
    resting.send()
    #expect(resting.on(.unsent(Failure(.llmUnreachable, "rests"), mayFallBack: true)).last == "enqueue cloud first")
    var poor = try Driver(legs: ["default", "cloud"])
    poor.send()
    #expect(poor.on(.unsent(Failure(.llmBudget, "poor"), mayFallBack: false)) == ["settle 0", "leave", "finish llm_budget"])
  }

  @Test("what fails before its first word is sent again after a while, as often as the server's configuration says")
  func retry() throws {
    var driver = try Driver(retries: 1)
    driver.send()
    #expect(driver.on(Self.overloaded, at: 1000) == ["count retry", "log info"])
    let timer = try #require(driver.machine.timer)
    #expect(timer == 1000 + Backoff.first / 2)
    #expect(driver.on(.timerDue, at: timer - 1) == [] && driver.on(.timerDue, at: timer) == ["send"])
    #expect(driver.machine.timer == nil && driver.on(Self.overloaded).last == "finish llm_refused")
  }

  @Test("nobody waits for a server that is left in peace, for one that comes back too late, or after a word")
  func noRetry() throws {
    var resting = try Driver(retries: 2)
    resting.send()
    #expect(resting.on(Self.setback(.unreachable("x"), isResting: true)).last == "finish llm_unreachable")
    var late = try Driver(retries: 2, deadline: 1100)
    late.send()
    #expect(late.on(Self.overloaded, at: 1000).last == "finish llm_refused")
    var begun = try Driver(legs: ["default", "cloud"], retries: 2)
    begun.send()
    _ = begun.on(.piece("Half"))
    let actions = begun.on(Self.setback(.cutOff("closed", textBytes: 4)))
    #expect(actions.last == "finish llm_cut_off" && actions.first != "settle 0", "what came of it is paid for: \(actions)")
  }

  @Test("a question whose time is over when its slot comes is not sent")
  func overdue() throws {
    var driver = try Driver(deadline: 10)
    for event in [Event.turnCame, .opened(nil)] { _ = driver.on(event) }
    #expect(driver.on(.slotGiven, at: 10) == ["leave", "finish deadline"])
  }

  @Test("it leaves its slot while tools are called, and stands first in line when the last of them has ended")
  func tools() throws {
    var driver = try Driver(tools: [ToolTests.observe])
    driver.send()
    _ = driver.on(.piece("Hm."))
    #expect(driver.on(.answered(Self.calls)) == ["settle 28", "leave", "call BABS.observe 1.0"])
    #expect(driver.on(.toolEnded(round: 2, index: 0, .success([0x31]))) == [], "of another round")
    #expect(driver.on(.toolEnded(round: 1, index: 0, .success([0x31]))) == ["enqueue default first"])
    #expect(driver.on(.slotGiven) == ["send"])
    #expect(driver.on(.piece("Moon.")) == ["emit \n\nMoon."])
    #expect(driver.on(.answered(Self.whole)) == ["settle 28", "learn m", "leave", "keep 5"])
    _ = driver.on(.kept(true))
    let result = try JSON(parsing: try #require(driver.result).get())
    #expect(result["text"] == "Hm.\n\nMoon." && result["prompt_tokens"] == 52)
    #expect(result["tool_calls"]?.array?.map { $0["error"] == nil } == [true, false])
  }

  @Test("a model that calls again when it must answer has failed; nobody else is asked after a call")
  func rounds() throws {
    var driver = try Driver(#"{"text":"Hi","tool_rounds":1}"#, legs: ["default", "cloud"], tools: [ToolTests.observe])
    driver.send()
    for event in [Event.answered(Self.calls), .toolEnded(round: 1, index: 0, .success([0x31])), .slotGiven] { _ = driver.on(event) }
    #expect(driver.on(.answered(Self.calls)) == ["settle 28", "leave", "finish llm_garbled"])
    var lost = try Driver(legs: ["default", "cloud"], tools: [ToolTests.observe])
    lost.send()
    for event in [Event.answered(Self.calls), .toolEnded(round: 1, index: 0, .success([0x31])), .slotGiven] { _ = lost.on(event) }
    #expect(lost.on(Self.unreachable).last == "finish llm_unreachable")
  }

  @Test("an answer without its form is mended once; nothing of it is shown before it is right")
  func form() throws {
    var driver = try Driver(#"{"text":"Hi","format":"json"}"#)
    driver.send()
    #expect(driver.on(.piece("no")) == [])
    #expect(driver.on(.answered(Self.whole)) == ["settle 28", "log info", "send"])
    _ = driver.on(.piece("{}"))
    var good = driver
    #expect(good.on(.answered(Self.whole)) == ["settle 28", "emit {}", "learn m", "leave", "keep 2"])
    _ = driver.on(.piece("}"))
    #expect(driver.on(.answered(Self.whole)) == ["settle 28", "leave", "finish llm_invalid"])
  }

  @Test("a history that the server finds too long is sent again with less of it, and a question that is too long alone is not")
  func refit() throws {
    let tooLong = Self.setback(.status(400, body: Array(#"{"error":{"code":"context_length_exceeded"}}"#.utf8), retryAfter: nil))
    var driver = try Driver()
    var conversation = Conversation(thread: 1, estimate: TokenEstimate())
    conversation.turns = (1...4).map { PromptTests.turn("\($0) ") }
    driver.send(conversation)
    var kept = [driver.machine.prompts.prompt?.kept]
    for _ in 1...2 {
      #expect(driver.on(tooLong) == ["log info", "send"])
      kept.append(driver.machine.prompts.prompt?.kept)
    }
    #expect(kept == [4, 2, 0])
    #expect(driver.on(tooLong) == ["settle 0", "leave", "finish llm_too_long"])
  }

  @Test("the kernel's own model may lose one connection before its first word")
  func revived() throws {
    var driver = try Driver(kind: .local)
    driver.send()
    #expect(driver.on(Self.unreachable) == ["leave", "enqueue default first", "revive"])
    #expect(driver.on(.slotGiven) == ["send"])
    #expect(driver.on(Self.unreachable).last == "finish llm_unreachable")
  }

  @Test("thoughts are shown a line at a time, and are no part of what is said, kept or sent again")
  func thoughts() throws {
    var driver = try Driver()
    driver.send()
    #expect(driver.on(.thought("Let me ")) == ["show thinking"])
    #expect(driver.on(.thought("see.\nHm")) == ["show thinking: Let me see."])
    #expect(driver.on(.piece("A")) == ["emit A"])
    let actions = driver.machine.handle(.answered(Self.whole), at: 0)
    guard case .keep(let turn)? = actions.last else {
      Issue.record("\(actions)")
      return
    }
    #expect(turn.messages.map(\.content) == ["Hi", "A"])
    var lost = try Driver(legs: ["default", "cloud"])
    lost.send()
    _ = lost.on(.thought("Hm"))
    #expect(lost.on(Self.setback(.cutOff("closed", textBytes: 0))).last == "enqueue cloud first", "no word of an answer has come")
  }

  @Test("a thought whose beginning stood in the prompt is cut from what is kept")
  func loneThought() throws {
    #expect(ThoughtFilter.behindLoneEnd("Hm, so.\n</think>\n\nHello") == "Hello")
    #expect(ThoughtFilter.behindLoneEnd("Write </think> so.") == nil)
    #expect(ThoughtFilter.behindLoneEnd("As in\n```\n</think>\n```\nyou see.") == nil)
    #expect(ThoughtFilter.behindLoneEnd("Hm.\n</think>\n") == nil)
    var driver = try Driver()
    driver.send()
    _ = driver.on(.piece("Hm, so.\n</think>\n\nHello"))
    _ = driver.on(.answered(Self.whole))
    _ = driver.on(.kept(true))
    #expect(try JSON(parsing: try #require(driver.result).get())["text"] == "Hello")
  }

  @Test(
    "a call that is written as text is made, and nobody is shown it",
    arguments: [
      #"{"name":"BABS_observe","arguments":{"z":"moon"}}"#, #"{"name": "BABS.observe", "parameters": {"z": "moon"}}"#,
      #"[{"name":"BABS_observe","arguments":"{\"z\":\"moon\"}"}]"#,
      "```json\n{\"name\":\"BABS_observe\",\"arguments\":{\"z\":\"moon\"}}\n```",
      #"<tool_call>\n{"name":"BABS_observe","arguments":{"z":"moon"}}\n</tool_call>"#.replacing("\\n", with: "\n"),
      #"<tool_call>{"name":"BABS_observe","arguments":{"z":"moon"}}"#, #"<function=BABS_observe>{"z":"moon"}</function>"#,
      #"[TOOL_CALLS][{"name":"BABS_observe","arguments":{"z":"moon"}}]"#,
      #"<|python_tag|>{"name":"BABS_observe","parameters":{"z":"moon"}}"#,
      #"{"type":"function","function":{"name":"BABS_observe","arguments":{"z":"moon"}}}"#,
      #"{"tool":"functions.BABS_observe","args":{"z":"moon"}}"#,
    ])
  func written(_ text: String) throws {
    for size in [1, 3, 1000] {
      var driver = try Driver(tools: [ToolTests.observe])
      driver.send()
      var rest = text[...]
      while !rest.isEmpty {
        #expect(driver.on(.piece(String(rest.prefix(size)))) == [])
        rest = rest.dropFirst(size)
      }
      #expect(driver.on(.answered(Self.whole)) == ["settle 28", "leave", "call BABS.observe 1.0"])
    }
  }

  @Test("what is said before a call in tags is shown and kept; text that only looks like a call is shown, late")
  func notCalls() throws {
    var said = try Driver(tools: [ToolTests.observe])
    said.send()
    #expect(said.on(.piece("I look. <tool")) == ["emit I look. "])
    #expect(said.on(.piece(#"_call>{"name":"BABS_observe","arguments":{"z":"moon"}}</tool_call>"#)) == [])
    #expect(said.on(.answered(Self.whole)) == ["settle 28", "leave", "call BABS.observe 1.0"])
    for text in [
      #"{"name":"Bruce"}"#, #"{"name":"NOBODY_x","arguments":{}}"#, "```json\n[1]\n```", #"{"name":"BABS_observe"} is its name"#,
      "[1] is a source",
    ] {
      var driver = try Driver(tools: [ToolTests.observe])
      driver.send()
      let shown = driver.on(.piece(text)) + driver.on(.answered(Self.whole))
      #expect(shown.filter { $0.hasPrefix("emit") } == ["emit \(text)"])
    }
    var again = try Driver(#"{"text":"Hi","tool_rounds":1}"#, tools: [ToolTests.observe])
    again.send()
    for event in [Event.answered(Self.calls), .toolEnded(round: 1, index: 0, .success([0x31])), .slotGiven] { _ = again.on(event) }
    #expect(again.on(.piece(#"{"name":"BABS_observe","arguments":{"z":"moon"}}"#)) == [])
    #expect(again.on(.answered(Self.whole)).last == "finish llm_garbled", "a call where an answer is due is none")
    var none = try Driver()
    none.send()
    #expect(none.on(.piece("{")) == ["emit {"], "where no tools were offered nothing is held back")
  }

  @Test("each part of a request is left out at most once, so refusals come to an end")
  func refusals() throws {
    let refusal = Self.setback(
      .status(
        400,
        body: Array(
          #"{"error":"stream_options, max_tokens, max_completion_tokens, temperature, seed, stream and tools are not supported"}"#.utf8),
        retryAfter: nil))
    var driver = try Driver(
      #"{"text":"Hi","max_tokens":5,"temperature":1,"seed":1,"remember":false}"#, kind: .openai, tools: [ToolTests.observe])
    driver.send(nil)
    var count = 0
    while driver.on(refusal) == ["log info", "send"], count < 100 { count += 1 }
    #expect(count == 5, "stream_options, both limits, temperature, tools")
    var good = try Driver(#"{"text":"Hi","remember":false}"#, kind: .openai)
    good.send(nil)
    #expect(good.on(refusal) == ["log info", "send"])
    _ = good.on(.piece("A"))
    #expect(good.on(.answered(Self.whole)) == ["settle 28", "remember stream_options", "learn m", "leave", "finish"])
    var begun = try Driver(#"{"text":"Hi","remember":false}"#, kind: .openai)
    begun.send(nil)
    _ = begun.on(.piece("A"))
    #expect(
      begun.on(Self.setback(.fault(.server(ServerError(message: "stream_options unsupported")), textBytes: 1))).last == "finish llm_refused"
    )
  }

  @Test("a conversation that is forgotten is read anew by a question that waits, and goes to nobody")
  func forgotten() throws {
    let conversation = Conversation(thread: 1, turns: [PromptTests.turn("1")], estimate: TokenEstimate())
    var opening = try Driver()
    _ = opening.on(.turnCame)
    #expect(opening.on(.forgotten) == [])
    #expect(opening.on(.opened(conversation)) == ["open"], "this may be what was there before")
    #expect(opening.on(.opened(nil)) == ["enqueue default"])
    var queued = try Driver()
    for event in [Event.turnCame, .opened(conversation)] { _ = queued.on(event) }
    #expect(queued.on(.forgotten) == ["leave", "open"])
    for event in [Event.opened(Conversation(thread: 2, estimate: TokenEstimate())), .slotGiven] { _ = queued.on(event) }
    #expect(queued.machine.prompts.prompt?.kept == 0)
    #expect(queued.on(.forgotten) == [], "it is with the server")
  }

  @Test("whatever happens in whatever order, it ends once, and then does nothing more", arguments: 0..<200)
  func anyOrder(_ seed: Int) throws {
    var random = SplitMix(state: UInt64(seed))
    var driver = try Driver(
      ["{\"text\":\"Hi\"}", #"{"text":"Hi","format":"json"}"#, #"{"text":"Hi","remember":false}"#].randomElement(using: &random)!,
      legs: ["default", "cloud"], kind: [.ollama, .local].randomElement(using: &random)!, retries: 2, tools: [ToolTests.observe])
    let odd = Answer(promptTokens: .max, completionTokens: .max, isComplete: true)
    let events: [Event] = [
      .turnCame, .opened(nil), .opened(Conversation(thread: nil, estimate: TokenEstimate())), .forgotten, .slotGiven, .slotGiven,
      .unsent(Failure(.llmNoModel, "none"), mayFallBack: true), .providerGone(Failure(.llmUnreachable, "gone")), .piece("{}"), .piece("x"),
      .answered(Self.whole), .answered(Self.calls), .answered(Answer(isComplete: true)), Self.unreachable, Self.overloaded, .timerDue,
      .toolEnded(round: 1, index: 0, .success([0x31])), .toolEnded(round: 1, index: 9, .success([])), .kept(true), .kept(false),
      Self.setback(.empty(odd)),
    ]
    var ends = 0
    for step in 0..<400 {
      let actions = driver.on(events.randomElement(using: &random)!, at: Milliseconds(step * 1000))
      if ends > 0 { #expect(actions == []) }
      ends += actions.count { $0.hasPrefix("finish") }
    }
    for event in [Event.cancelled, .kept(true)] { ends += driver.on(event).count { $0.hasPrefix("finish") } }
    #expect(ends == 1)
  }
}
