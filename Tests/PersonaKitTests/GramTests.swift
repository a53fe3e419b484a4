import PersonaABI
import Synchronization
import Testing

@testable import PersonaKit

@Suite("A gram in Swift", .timeLimit(.minutes(1))) struct GramTests {
  @Test("a thousand grams that come at once begin in order, and each is answered once, though each waits")
  func order() async {
    let began = Mutex<[UInt64]>([])
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        began.withLock { $0.append(gram.token) }
        await Task.yield()
        try await puppet.kernel.sleep(for: .milliseconds(1))
        return .int(Int(gram.token))
      }
    }
    await stage.kernel.lane.call { for token in 1...1000 { _ = stage.give(UInt64(token)) } }
    // Timers end in the reverse order: nothing may depend on it.
    var timers: [UInt64] = []
    for _ in 1...1000 { timers.append(await stage.kernel.call(.after).request) }
    for timer in timers.reversed() { stage.kernel.end(timer) }
    for token in 1...1000 { #expect(await stage.kernel.call(.reply) { $0.token == UInt64(token) }.text == "\(token)") }
    #expect(began.withLock { $0 } == Array(1...1000))
    #expect(stage.kernel.untaken(.reply).isEmpty && stage.kernel.untaken(.fail).isEmpty)
  }

  struct Odd: Error, CustomStringConvertible { let description = "the odd thing happened" }

  @Test("a gram ends in its reply, in nothing, or in what was thrown, with status and text")
  func ends() async {
    let stage = await Stage.puppet {
      $0.receive = { _, gram in
        switch gram.method {
        case "value": return ["a": 1]
        case "nothing": return nil
        case "kernel": throw KernelError(Int32(PERSONA_E_LLM_NO_MODEL), "no model here")
        case "other": throw Odd()
        case "positive": throw KernelError(7, "not a negative status")
        default: throw CancellationError()
        }
      }
    }
    for (token, method) in ["value", "nothing", "kernel", "other", "positive", "cancelled"].enumerated() {
      #expect(await stage.gram(UInt64(token + 1), method: method) == PERSONA_LATER)
    }
    #expect(await stage.kernel.call(.reply) { $0.token == 1 }.text == "{\"a\":1}")
    #expect(await stage.kernel.call(.reply) { $0.token == 2 }.text == "")
    for (token, status, text) in [
      (3, PERSONA_E_LLM_NO_MODEL, "no model here"), (4, PERSONA_E_FAILED, "the odd thing happened"),
      (5, PERSONA_E_FAILED, "not a negative status"), (6, PERSONA_E_CANCELLED, "cancelled"),
    ] {
      let end = await stage.kernel.call(.fail) { $0.token == UInt64(token) }
      #expect(end.number == Int64(status) && end.text == text)
    }
    #expect(stage.kernel.untaken(.reply).isEmpty && stage.kernel.untaken(.fail).isEmpty)
  }

  @Test("a reply that the kernel does not take becomes an error for the asker, so that nobody waits for ever")
  func refusedReply() async {
    let stage = await Stage.puppet()
    stage.kernel.refuse(.reply, Int32(PERSONA_E_INVALID))
    await stage.gram(9)
    let end = await stage.kernel.call(.fail)
    #expect(end.token == 9 && end.number == Int64(PERSONA_E_INVALID) && end.text.contains("reply"))
  }

  @Test("a token that has ended meanwhile is nobody's fault")
  func endedToken() async {
    let stage = await Stage.puppet()
    stage.kernel.refuse(.reply, Int32(PERSONA_E_NOT_FOUND))
    await stage.gram(9)
    _ = await stage.kernel.call(.reply)
    await stage.kernel.lane.call {}
    #expect(stage.kernel.untaken(.fail).isEmpty)
  }

  @Test("code is on the lane at the beginning and after every await")
  func lane() async {
    actor Other { func visit() {} }
    let stage = await Stage.puppet()
    let lane = stage.kernel.lane
    stage.strings.receive = { puppet, gram in
      var where_: [JSON] = [.bool(lane.isCurrent)]
      puppet.assume()
      await Task.yield()
      where_.append(.bool(lane.isCurrent))
      try await puppet.kernel.sleep(for: .milliseconds(1))
      where_.append(.bool(lane.isCurrent))
      await Other().visit()
      where_.append(.bool(lane.isCurrent))
      _ = try await puppet.kernel.bus.ask("SOMEONE", "talk")
      where_.append(.bool(lane.isCurrent))
      do { _ = try await puppet.kernel.bus.ask("NOBODY", "talk") } catch { where_.append(.bool(lane.isCurrent)) }
      puppet.assume()
      return .array(where_)
    }
    await stage.gram(1)
    stage.kernel.end(await stage.kernel.call(.after).request)
    stage.kernel.end(await stage.kernel.call(.ask).request, 0, "null")
    stage.kernel.end(await stage.kernel.call(.ask).request, Int32(PERSONA_E_UNKNOWN_TARGET), "nobody")
    #expect(await stage.kernel.call(.reply).text == "[true,true,true,true,true,true]")
  }

  @Test("the kit's own code runs on the lane too: it never takes a thread of the shared pool")
  func kit() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        try await puppet.kernel.sleep(for: .milliseconds(1))
        _ = try await puppet.kernel.bus.ask("SOMEONE", "talk")
        return try await puppet.kernel.converse(gram)
      }
    }
    await stage.gram(1, "\"hello\"")
    let timer = await stage.kernel.call(.after)
    stage.kernel.end(timer.request)
    let ask = await stage.kernel.call(.ask)
    stage.kernel.end(ask.request, 0, "null")
    let chat = await stage.kernel.call(.chat)
    stage.kernel.end(chat.request, 0, "{\"text\":\"good day\"}")
    #expect(timer.onLane && ask.onLane && chat.onLane)
    #expect(await stage.kernel.call(.reply).onLane)
  }

  @Test("requests are made on behalf of the gram at hand, and of none outside")
  func cause() async throws {
    let stage = await Stage.puppet {
      $0.start = { try $0.kernel.bus.send("A", "from.start") }
      $0.receive = { puppet, gram in
        try puppet.kernel.bus.send("A", "first")
        await Task.yield()
        try puppet.kernel.bus.send("A", "after.await")
        async let child: Void = { [kernel = puppet.kernel] in try kernel.bus.send("A", "child") }()
        try await child
        try await Task.detached { [kernel = puppet.kernel] in try kernel.bus.send("A", "detached") }.value
        return nil
      }
    }
    #expect(await stage.start() == 0)
    await stage.gram(7)
    await stage.gram(8)
    for (method, token) in [
      ("from.start", 0), ("first", 7), ("first", 8), ("after.await", 7), ("after.await", 8), ("child", 7), ("child", 8),
    ] {
      let call = await stage.kernel.call(.send) { $0.method == method && $0.token == UInt64(token) }
      #expect(call.target == "A" && call.text == "null")
    }
    for _ in 0..<2 { #expect(await stage.kernel.call(.send) { $0.method == "detached" }.token == 0) }
  }

  @Test("a payload that cannot be read is refused with a text, and the persona is not bothered")
  func unreadable() async {
    let stage = await Stage.puppet { $0.receive = { _, _ in preconditionFailure("it was refused") } }
    for payload in ["{", "1.e4", "[1e]", "", String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000), "\"\\ud80\""] {
      #expect(await stage.gram(1, payload) == PERSONA_E_INVALID, "\(payload.prefix(20))")
      #expect(stage.kernel.explanation.hasPrefix("the payload cannot be read"))
    }
  }

  @Test("a gram tells who, what, where, how far and how long")
  func fields() async {
    let stage = await Stage.puppet {
      $0.receive = { _, gram in
        #expect(gram.source == "rüdiger" && gram.method == "look" && gram.topic == "#sky" && gram.trace == "t-1" && gram.hops == 2)
        #expect(!gram.wantsReply && gram.wantsStream && gram.isPublished)
        #expect(gram.timeLeft == .milliseconds(1500))
        gram.stream("piece")
        return nil
      }
    }
    await stage.gram(
      5, "null", method: "look", source: "rüdiger", topic: "#sky", trace: "t-1", deadline: 1500, flags: PERSONA_GRAM_WANTS_STREAM)
    let piece = await stage.kernel.call(.stream)
    #expect(piece.token == 5 && piece.text == "piece")
    _ = await stage.kernel.call(.reply)
  }

  @Test(
    "what was said is found in each place where clients put it",
    arguments: [
      ("\"hello\"", "hello"), ("{\"content\":\"hello\"}", "hello"), ("{\"text\":\"hello\"}", "hello"), ("{\"query\":\"hello\"}", "hello"),
      ("{\"message\":\"hello\"}", "hello"), ("{\"prompt\":\"hello\"}", "hello"), ("{\"content\":7,\"text\":\"hello\"}", "hello"),
      ("{\"prompt\":\"no\",\"content\":\"hello\"}", "hello"), ("null", nil), ("{}", nil), ("7", nil), ("[\"hello\"]", nil),
    ])
  func text(payload: String, text: String?) async {
    let stage = await Stage.puppet {
      $0.receive = { _, gram in ["text": gram.text.map { .string($0) } ?? .null, "thread": .string(gram.thread)] }
    }
    await stage.gram(1, payload)
    let reply = await stage.kernel.call(.reply).text
    #expect(reply == (text.map { "{\"text\":\"\($0)\",\"thread\":\"visitor\"}" } ?? "{\"text\":null,\"thread\":\"visitor\"}"))
  }

  @Test("questions and answers may be types of the author's; a reply of another shape names what does not fit")
  func types() async {
    struct Question: Encodable { var depth: Int }
    struct Reply: Decodable { var height: Int }
    let pieces = Mutex<[String]>([])
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        if gram.method == "pieces" { return try await puppet.kernel.bus.ask("A", "grow") { piece in pieces.withLock { $0.append(piece) } } }
        try puppet.kernel.bus.send("A", "dig", encoding: Question(depth: 1))
        return .int(try await puppet.kernel.bus.ask("A", "dig", encoding: Question(depth: 2), as: Reply.self).height)
      }
    }
    await stage.gram(1)
    #expect(await stage.kernel.call(.send).text == "{\"depth\":1}")
    let ask = await stage.kernel.call(.ask)
    #expect(ask.text == "{\"depth\":2}" && !stage.kernel.takesPieces(ask.request))
    stage.kernel.end(ask.request, 0, "{\"height\":3}")
    #expect(await stage.kernel.call(.reply).text == "3")
    await stage.gram(2)
    stage.kernel.end(await stage.kernel.call(.ask).request, 0, "{\"height\":\"x\"}")
    let end = await stage.kernel.call(.fail)
    #expect(end.number == Int64(PERSONA_E_INVALID) && end.text.contains("the reply of A to dig") && end.text.contains("height"))
    await stage.gram(3, method: "pieces")
    let grow = await stage.kernel.call(.ask)
    stage.kernel.piece(grow.request, "a")
    stage.kernel.piece(grow.request, "b")
    stage.kernel.end(grow.request, 0, "\"ab\"")
    #expect(await stage.kernel.call(.reply).text == "\"ab\"")
    #expect(pieces.withLock { $0 } == ["a", "b"])
  }

  @Test("a payload of the wrong shape is refused as invalid, with the method's name")
  func decode() async {
    struct Wanted: Decodable { var count: Int }
    let stage = await Stage.puppet { $0.receive = { _, gram in .int(try gram.decode(Wanted.self).count) } }
    await stage.gram(1, "{\"count\":3}")
    #expect(await stage.kernel.call(.reply).text == "3")
    await stage.gram(2, "{\"count\":\"x\"}", method: "count")
    let end = await stage.kernel.call(.fail)
    #expect(
      end.number == Int64(PERSONA_E_INVALID) && end.text.hasPrefix("the payload of count is not what it takes: \"count\" is "),
      "\(end.text)")
  }
}
