import PersonaABI
import Synchronization
import Testing

@testable import PersonaKit

@Suite("An instance in Swift", .timeLimit(.minutes(1))) struct LifeTests {
  struct Odd: Error, CustomStringConvertible { let description = "odd" }

  @Test("create, load, save, config_changed and health say in status and text what was thrown")
  func throwing() async {
    let odd = KernelError(Int32(PERSONA_E_STATE), "said so")
    let strings = Puppet.Strings()
    strings.create = { _ in throw odd }
    let stage = Stage(FakeKernel(puppet: strings), entry: export(Puppet.self))
    #expect(await stage.create() == odd.status && stage.kernel.explanation == "said so")
    strings.create = { _ in }
    #expect(await stage.create() == 0)
    strings.load = { _, _, _ in throw odd }
    strings.save = { _ in throw Odd() }
    strings.configChanged = { _ in throw KernelError.invalid("bad config") }
    strings.health = { _ in throw KernelError(Int32(PERSONA_E_LLM_UNREACHABLE), "ill") }
    #expect(await stage.load("{}", schema: 1) == PERSONA_E_STATE && stage.kernel.explanation == "said so")
    #expect(await stage.save().status == PERSONA_E_FAILED && stage.kernel.explanation == "odd")
    #expect(await stage.configChanged() == PERSONA_E_INVALID && stage.kernel.explanation == "bad config")
    #expect(await stage.health() == PERSONA_E_LLM_UNREACHABLE && stage.kernel.explanation == "ill")
  }

  @Test("what one generation saves the next one loads, with its schema; nothing saved is not loaded")
  func state() async {
    let old = await Stage.puppet { $0.save = { _ in ["n": .int(.max), "text": "ä\n\u{1}"] } }
    let saved = await old.save()
    #expect(saved.status == 0)
    let seen = Mutex<[(JSON, Int)]>([])
    let new = await Stage.puppet { $0.load = { _, state, schema in seen.withLock { $0.append((state, schema)) } } }
    #expect(await new.load(saved.text, schema: 3) == 0)
    #expect(await new.load("null", schema: 3) == 0)
    #expect(await new.load("{", schema: 3) == PERSONA_E_STATE && new.kernel.explanation.contains("byte 1"))
    #expect(seen.withLock { $0.count == 1 && $0[0].0 == ["n": .int(.max), "text": "ä\n\u{1}"] && $0[0].1 == 3 })
  }

  @Test("a start that throws at once refuses the load, so that it never goes live")
  func refusedStart() async {
    let stage = await Stage.puppet { $0.start = { _ in throw KernelError.invalid("no sky") } }
    #expect(await stage.start() == PERSONA_E_INVALID && stage.kernel.explanation == "start failed: no sky")
    #expect(await stage.kernel.call(.log).text == "start failed: no sky")
  }

  @Test("a kernel without a bus is refused: nothing could ever be answered")
  func withoutBus() async {
    let kernel = FakeKernel(puppet: Puppet.Strings())
    kernel.withhold("bus/1")
    #expect(await Stage(kernel, entry: export(Puppet.self)).create() < 0 && kernel.explanation.contains("bus/1"))
  }

  @Test("other services may be absent: what needs them says so, and the rest goes on")
  func absent() async {
    let strings = Puppet.Strings()
    let kernel = FakeKernel(puppet: strings)
    for service in ["llm/1", "state/1", "timer/1", "log/1", "config/1"] { kernel.withhold(service) }
    let stage = Stage(kernel, entry: export(Puppet.self))
    #expect(await stage.create() == 0)
    strings.receive = { puppet, gram in
      puppet.kernel.log.info("nobody hears it")
      #expect(puppet.kernel.config["name"] == nil && puppet.kernel.name == "PUPPET")
      switch gram.method {
      case "llm/1": return try await puppet.kernel.converse(gram)
      case "state/1": try puppet.kernel.state.put("a", 1)
      case "timer/1": try await puppet.kernel.sleep(for: .seconds(1))
      default: return "here"
      }
      return nil
    }
    for service in ["llm/1", "state/1", "timer/1"] {
      await stage.gram(1, "\"hi\"", method: service)
      let end = await kernel.call(.fail)
      #expect(end.number == Int64(PERSONA_E_NOT_FOUND) && end.text.contains(service))
    }
    await stage.gram(2, "\"hi\"")
    #expect(await kernel.call(.reply).text == "\"here\"")
  }

  @Test("a start that throws later is logged, and fails the health check from then on")
  func start() async {
    let stage = await Stage.puppet {
      $0.start = { _ in
        await Task.yield()
        throw KernelError(Int32(PERSONA_E_FAILED), "no sky")
      }
    }
    #expect(await stage.health() == 0)
    #expect(await stage.start() == 0)
    #expect(await stage.kernel.call(.log).text == "start failed: no sky")
    await stage.kernel.lane.call {}
    #expect(await stage.health() == PERSONA_E_FAILED && stage.kernel.explanation == "start failed: no sky")
  }

  @Test("stop cancels what runs: its requests are cancelled, and its grams end")
  func stop() async {
    let stage = await Stage.puppet { $0.receive = { puppet, _ in try await puppet.kernel.bus.ask("SLOW", "talk") } }
    for token in 1...3 { await stage.gram(UInt64(token)) }
    var requests: [UInt64] = []
    for _ in 1...3 { requests.append(await stage.kernel.call(.ask).request) }
    await stage.stop()
    for request in requests {
      _ = await stage.kernel.call(.cancel) { $0.request == request }
      stage.kernel.end(request, Int32(PERSONA_E_CANCELLED), "cancelled")
    }
    for token in 1...3 { #expect(await stage.kernel.call(.fail) { $0.token == UInt64(token) }.number == Int64(PERSONA_E_CANCELLED)) }
    #expect(stage.kernel.requestsInFlight == 0)
    await stage.destroy()
    await stage.strings.gone.reaches(1)
  }

  @Test("after retirement requests are refused, tasks end, and the actor goes")
  func retirement() async {
    let refused = Mutex<[Int32]>([])
    let (held, release) = AsyncStream<Void>.makeStream()
    let stage = await Stage.puppet {
      $0.receive = { puppet, _ in
        for await _ in held { break }
        do { _ = try await puppet.kernel.bus.ask("A", "talk") } catch let error as KernelError {
          refused.withLock { $0.append(error.status) }
        }
        do { try puppet.kernel.bus.send("A", "talk") } catch let error as KernelError { refused.withLock { $0.append(error.status) } }
        do { try puppet.kernel.state.put("a", 1) } catch let error as KernelError { refused.withLock { $0.append(error.status) } }
        await Task.yield()
        puppet.assume()
        return nil
      }
    }
    await stage.gram(1)
    await stage.kernel.lane.call {}
    await stage.destroy()
    stage.kernel.retire()
    release.yield()
    await stage.strings.gone.reaches(1)
    #expect(refused.withLock { $0 } == [Int32](repeating: Int32(PERSONA_E_RETIRED), count: 3))
  }

  @Test("a thousand lives leave nobody behind")
  func memory() async {
    let strings = Puppet.Strings()
    strings.receive = { puppet, gram in
      try await puppet.kernel.sleep(for: .seconds(1))
      return nil
    }
    let kernel = FakeKernel(puppet: strings)
    for life in 1...1000 {
      let stage = Stage(kernel, entry: export(Puppet.self))
      #expect(await stage.create() == 0)
      #expect(await stage.start() == 0)
      await stage.gram(UInt64(life))
      let timer = await kernel.call(.after).request
      await stage.stop()
      kernel.end(timer, Int32(PERSONA_E_RETIRED), "over")
      await stage.destroy()
    }
    await strings.gone.reaches(1000)
    #expect(strings.gone.count == 1000 && kernel.requestsInFlight == 0)
  }

  @Test("a request ends once, also when its end races its cancel")
  func race() async {
    let stage = await Stage.puppet()
    let handle = Mutex<KernelHandle?>(nil)
    stage.strings.start = { puppet in handle.withLock { $0 = puppet.kernel } }
    #expect(await stage.start() == 0)
    await stage.kernel.lane.call {}
    let kernel = handle.withLock { $0! }
    for _ in 1...2000 {
      let task = Task.detached { try await kernel.sleep(for: .zero) }
      let request = await stage.kernel.call(.after).request
      async let cancel: Void = task.cancel()
      stage.kernel.end(request)
      await cancel
      _ = await task.result
    }
    #expect(stage.kernel.requestsInFlight == 0)
  }

  @Test("a timer runs once or again and again, on behalf of no gram, and its errors are logged")
  func timers() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        let kernel = puppet.kernel
        kernel.timer.after(.seconds(5)) { _ = try await kernel.bus.ask("A", "once") }
        kernel.timer.every(.seconds(7)) { throw KernelError.invalid("it is out of order") }
        return nil
      }
    }
    await stage.gram(4)
    let once = await stage.kernel.call(.after) { $0.number == 5000 }
    stage.kernel.end(once.request)
    #expect(await stage.kernel.call(.ask).token == 0, "the gram that set it has been answered")
    for _ in 1...3 {
      stage.kernel.end(await stage.kernel.call(.after) { $0.number == 7000 }.request)
      #expect(await stage.kernel.call(.log).text == "a timer failed: it is out of order")
    }
    // Retired with the generation: it says nothing, and does not come again.
    stage.kernel.end(await stage.kernel.call(.after) { $0.number == 7000 }.request, Int32(PERSONA_E_RETIRED), "over")
    await stage.stop()
    await stage.destroy()
    #expect(stage.kernel.untaken(.log).isEmpty && stage.kernel.untaken(.after).isEmpty)
  }

  @Test("a gram can be answered before receive() returns, steps of any kind are passed on, and a later kernel finds the persona's tables")
  func contract() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        gram.progress(.other(["kind": "picture", "of": "a bat"]))
        gram.reply("early")
        return nil
      }
    }
    await stage.gram(4)
    #expect(await stage.kernel.call(.progress).text == #"{"kind":"picture","of":"a bat"}"#)
    #expect(await stage.kernel.call(.reply).text == "\"early\"")
    #expect(await stage.table("puppet/1") != nil)
    #expect(await stage.table("other/1") == nil)
  }

  @Test("a key that the about text declares is read with its default, as the type that is asked for")
  func settings() async throws {
    let stage = await Stage.puppet()
    let handle = Mutex<KernelHandle?>(nil)
    stage.strings.start = { puppet in handle.withLock { $0 = puppet.kernel } }
    #expect(await stage.start() == 0)
    await stage.kernel.lane.call {}
    let kernel = try #require(handle.withLock { $0 })
    #expect(try kernel.setting("names") == ["a, b", "c"])
    #expect(try kernel.setting("limit", as: Int.self) == 5 && kernel.config["limit"]?.int == 5)
    #expect(throws: KernelError.self) { try kernel.setting("limit", as: [String].self) }
    let missing = #expect(throws: KernelError.self) { try kernel.setting("key", as: String.self) }
    #expect(missing?.message.contains("persona.PUPPET.key is not in personas.toml") == true)
  }

  @Test("waits and deadlines of any length are no trap")
  func lengths() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        switch gram.method {
        case "sleep": try await puppet.kernel.sleep(for: .seconds(Int64.max))
        case "short": try await puppet.kernel.sleep(for: .microseconds(1))
        case "negative": try await puppet.kernel.sleep(for: .seconds(-5))
        default: _ = try await puppet.kernel.bus.ask("A", "b", deadline: .seconds(Int64.max))
        }
        return nil
      }
    }
    for (method, milliseconds) in [("sleep", Int64(1) << 62), ("short", 1), ("negative", 0)] {
      await stage.gram(1, method: method)
      #expect(await stage.kernel.call(.after).number == milliseconds)
    }
    await stage.gram(4, method: "ask")
    #expect(await stage.kernel.call(.ask).number == Int64(1) << 62)
  }

  @Test("the about text stands in the entry as it was written, and tells its values")
  func about() {
    let entry = export(Puppet.self).pointee
    #expect(entry.magic == PERSONA_MAGIC && entry.abi_major == PERSONA_ABI_MAJOR)
    #expect(String(cString: entry.about).hasPrefix("bat-persona 1\nname = PUPPET\nversion = 1.0\nsummary = Does = what the test says\n"))
    #expect(Puppet.about["name"] == "PUPPET" && Puppet.about["summary"] == "Does = what the test says")
    #expect(Puppet.about["state"] == "3 reads 1" && Puppet.about["needs"] == nil)
  }

  @Test("the model's answer is read with or without what it may leave out, and pieces come on the lane")
  func model() async {
    let pieces = Mutex<[String]>([])
    let stage = await Stage.puppet()
    let lane = stage.kernel.lane
    stage.strings.receive = { puppet, gram in
      let answer = try await puppet.kernel.llm.think("hi", thread: "t", system: "s", remember: false, maxTokens: 9, streamTo: gram) {
        piece in
        pieces.withLock { $0.append(lane.isCurrent ? piece : "off the lane") }
      }
      return puppet.kernel.reply(answer)
    }
    await stage.gram(5)
    let chat = await stage.kernel.call(.chat)
    #expect(chat.token == 5 && chat.number == 5)
    #expect(chat.text == "{\"max_tokens\":9,\"remember\":false,\"system\":\"s\",\"text\":\"hi\",\"thread\":\"t\"}")
    stage.kernel.piece(chat.request, "a")
    stage.kernel.piece(chat.request, "b")
    stage.kernel.end(chat.request, 0, "{\"text\":\"ab\",\"finish\":\"length\",\"forgotten_turns\":2,\"new_in_2030\":[1]}")
    #expect(await stage.kernel.call(.reply).text == "{\"content\":\"ab\",\"cut_short\":true,\"forgotten_turns\":2,\"persona\":\"PUPPET\"}")
    #expect(pieces.withLock { $0 } == ["a", "b"])
    stage.strings.receive = { puppet, _ in
      _ = try await puppet.kernel.llm.think(
        "c", turns: [.init(role: "user", content: "a"), .init(role: "assistant", content: "b")], seed: 7, stop: ["."])
      return nil
    }
    await stage.gram(7)
    let turns = await stage.kernel.call(.chat)
    #expect(
      turns.text
        == "{\"messages\":[{\"content\":\"a\",\"role\":\"user\"},{\"content\":\"b\",\"role\":\"assistant\"}],\"seed\":7,\"stop\":[\".\"],\"text\":\"c\",\"thread\":\"main\"}"
    )
    stage.kernel.end(turns.request, 0, "{\"text\":\"d\"}")
    stage.strings.receive = { puppet, gram in
      let answer = try await puppet.kernel.llm.think("hi", for: gram, provider: "cloud", model: "big", tools: ["BABS.*"], toolRounds: 2)
      let calls = answer.tool_calls ?? []
      return ["by": .string(answer.provider ?? ""), "saw": calls[0].result ?? .null, "why": .string(calls[1].error?.message ?? "")]
    }
    await stage.gram(8)
    let tools = await stage.kernel.call(.chat)
    #expect(
      tools.text
        == #"{"model":"big","provider":"cloud","text":"hi","thread":"visitor","tool_rounds":2,"tools":["BABS.*"]}"#, "\(tools.text)")
    stage.kernel.end(
      tools.request, 0,
      #"{"text":"d","provider":"cloud","tool_calls":[{"tool":"BABS.a","arguments":{},"result":[1],"ms":3},{"tool":"BABS.b","arguments":"x","error":{"code":"failed","message":"no"},"ms":0}]}"#
    )
    #expect(await stage.kernel.call(.reply) { $0.token == 8 }.text == #"{"by":"cloud","saw":[1],"why":"no"}"#)
    struct Mood: Decodable { var mood: String }
    stage.strings.receive = { puppet, gram in
      .string(try await puppet.kernel.llm.think("how?", as: Mood.self, schema: ["type": "object"], for: gram).mood)
    }
    for (token, json, said) in [(9, #"{"mood":"calm"}"#, #""calm""#), (10, #"{"mood":3}"#, nil)] as [(UInt64, String, String?)] {
      await stage.gram(token)
      let typed = await stage.kernel.call(.chat)
      #expect(typed.text == #"{"format":{"type":"object"},"text":"how?","thread":"visitor"}"# && typed.number == 0, "\(typed.text)")
      stage.kernel.end(typed.request, 0, "{\"text\":\"\",\"json\":\(json)}")
      let end = await stage.kernel.call(said == nil ? .fail : .reply) { $0.token == token }
      #expect(end.text == said ?? "the model's answer fits the schema and is no Mood: \"mood\" is no String")
    }
    stage.strings.receive = { puppet, gram in puppet.kernel.reply(try await puppet.kernel.llm.think("hi", for: gram)) }
    await stage.gram(6)
    stage.kernel.end(await stage.kernel.call(.chat).request, 0, "{}")
    #expect(await stage.kernel.call(.fail).token == 6)
  }
}
