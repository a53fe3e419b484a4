import Foundation
import PersonaABI
import TestSupport
import Testing

@testable import PersonaKit

@Suite("The personas of the house", .timeLimit(.minutes(1))) struct PluginTests {
  /// A persona's library, as the build has made it, on a kernel that the test plays.
  private func stage(_ name: String, config: String) async throws -> Stage {
    let stage = try uncreated(name, config: config)
    try #require(await stage.create() == 0, "\(stage.kernel.explanation)")
    return stage
  }

  private func uncreated(_ name: String, config: String) throws -> Stage {
    let path = "\(Products.folder)/lib\(name).so"
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE), let symbol = dlsym(handle, "persona_entry_v1")
    else {
      throw Client.Lost(description: String(cString: dlerror()))
    }
    typealias Entry = @convention(c) () -> UnsafePointer<persona_entry>
    return Stage(FakeKernel(config: config), entry: unsafeBitCast(symbol, to: Entry.self)())
  }

  private func json(_ text: String) throws -> JSON { try JSON(parsing: text.utf8) }
  private let brick = "{\"name\":\"BRICK\",\"prompt\":\"You are BRICK.\",\"delegates\":[\"ROBIN\",\"BRICK\"]"

  @Test(
    "all five converse: the text goes to the model in the sender's thread, the answer comes back",
    arguments: ["ALFRED", "BABS", "BRICK", "Prompt", "ROBIN"])
  func converse(name: String) async throws {
    let stage = try await stage(name, config: "{\"name\":\"\(name)\",\"prompt\":\"p\"}")
    await stage.gram(1, "{\"content\":\"hello\"}")
    let chat = await stage.kernel.call(.chat)
    #expect(chat.text == "{\"text\":\"hello\",\"thread\":\"visitor\"}" && chat.number == 1)
    stage.kernel.end(chat.request, 0, "{\"text\":\"good day\",\"model\":\"m\"}")
    #expect(await stage.kernel.call(.reply).text == "{\"content\":\"good day\",\"model\":\"m\",\"persona\":\"\(name)\"}")
    await stage.gram(2, "{}")
    #expect(await stage.kernel.call(.fail).number == Int64(PERSONA_E_INVALID))
    await stage.gram(7, "[1]", method: "dance")
    let unknown = await stage.kernel.call(.fail)
    #expect(unknown.number == Int64(PERSONA_E_UNKNOWN_METHOD) && unknown.text.contains("\"dance\"") && unknown.text.contains("describe"))
    await stage.gram(3, "{\"content\":\"all\"}", topic: "#all", flags: 4)
    #expect(await stage.kernel.call(.reply).text == "")
    await stage.gram(4, "{\"thread\":\"t\"}", method: "forget")
    #expect(await stage.kernel.call(.forget).text == "t")
    _ = await stage.kernel.call(.reply)
    await stage.gram(5, "\"x\"")
    stage.kernel.end(await stage.kernel.call(.chat).request, Int32(PERSONA_E_LLM_UNREACHABLE), "nobody at the address")
    let end = await stage.kernel.call(.fail)
    #expect(end.number == Int64(PERSONA_E_LLM_UNREACHABLE) && end.text == "nobody at the address")
  }

  @Test(
    "each tells which methods it knows, also to those who ask for another",
    arguments: [
      ("ALFRED", ["review", "status"]), ("BABS", ["observe", "observations"]), ("BRICK", ["process_architect_query"]), ("Prompt", []),
      ("ROBIN", []),
    ])
  func describe(name: String, methods: [String]) async throws {
    let stage = try await stage(name, config: "{\"name\":\"\(name)\",\"prompt\":\"p\",\"summary\":\"Is here\"}")
    await stage.gram(1, "\"please\"", method: "describe")
    let told = try json(await stage.kernel.call(.reply).text)
    #expect(told["summary"] == "Is here" && told["content"]?.string?.hasPrefix("\(name): Is here\n- ") == true)
    await stage.gram(2, method: "dance")
    let error = await stage.kernel.call(.fail).text
    for method in methods + ["talk", "forget", "describe"] {
      #expect(told["methods"]?[method]?.string != nil && error.contains(method))
    }
  }

  @Test("Prompt without a prompt is refused, and says where to put one")
  func prompt() async throws {
    let stage = try uncreated("Prompt", config: "{\"name\":\"HATTER\"}")
    #expect(await stage.create() == PERSONA_E_INVALID && stage.kernel.explanation.contains("[persona.HATTER]"))
  }

  @Test(
    "BRICK hands a question over when he is told to, and keeps the colleague's words",
    arguments: [
      "{\"content\":\"@robin: how are you?\"}", "{\"content\":\"how are you?\",\"delegate\":\"ROBIN\"}",
      "{\"content\":\"how are you?\",\"delegate\":\"robin\"}",
    ])
  func delegation(payload: String) async throws {
    let stage = try await stage("BRICK", config: brick + ",\"delegate_seconds\":1e300}")
    await stage.gram(1, payload)
    let ask = await stage.kernel.call(.ask)
    #expect(
      ask.target == "ROBIN" && ask.speaker == "ROBIN" && ask.token == 1 && ask.text == "{\"content\":\"how are you?\"}"
        && ask.number == 86_400_000)
    stage.kernel.end(ask.request, 0, "{\"content\":\"Well.\"}")
    let chat = await stage.kernel.call(.chat)
    let question = try json(chat.text)
    #expect(question["text"] == "how are you?" && question["system"]?.string?.contains("Well.") == true)
    stage.kernel.end(chat.request, 0, "{\"text\":\"1. So.\"}")
    let reply = try json(await stage.kernel.call(.reply).text)
    #expect(reply["delegated"] == ["to": "ROBIN", "question": "how are you?", "content": "Well."])
    #expect(reply["content"] == "1. So.")
    // The colleague has streamed nothing, so the whole answer is shown at its end.
    #expect(stage.kernel.untaken(.progress).map(\.text) == [#"{"kind":"part","speaker":"ROBIN","text":"Well."}"#])
    #expect(stage.kernel.untaken(.stream).isEmpty)
  }

  @Test("what a colleague streams goes to the asker as the colleague's words, and BRICK's reply is his own", arguments: [true, false])
  func growing(succeeds: Bool) async throws {
    let stage = try await stage("BRICK", config: brick + "}")
    await stage.gram(1, "\"@robin hi\"")
    let ask = await stage.kernel.call(.ask)
    #expect(ask.token == 1 && ask.speaker == "ROBIN" && stage.kernel.takesPieces(ask.request))
    stage.kernel.piece(ask.request, "We")
    if succeeds {
      stage.kernel.end(ask.request, 0, "{\"content\":\"Well.\"}")
    } else {
      stage.kernel.end(ask.request, Int32(PERSONA_E_LLM_CUT_OFF), "cut")
    }
    stage.kernel.end(await stage.kernel.call(.chat).request, 0, "{\"text\":\"So.\"}")
    let reply = try json(await stage.kernel.call(.reply).text)
    #expect(reply["content"] == "So." && reply["delegated"]?[succeeds ? "content" : "error"] == (succeeds ? "Well." : "cut"))
    let shown = stage.kernel.untaken(.progress).map(\.text)
    #expect(shown == (succeeds ? [] : [#"{"kind":"note","text":"ROBIN could not answer: cut"}"#]) && stage.kernel.untaken(.stream).isEmpty)
  }

  @Test("for an asker who does not want to see it grow, the colleague is not asked to stream")
  func whole() async throws {
    let stage = try await stage("BRICK", config: brick + "}")
    await stage.gram(1, "\"@robin hi\"", flags: PERSONA_GRAM_WANTS_REPLY)
    #expect(await !stage.kernel.takesPieces(stage.kernel.call(.ask).request))
  }

  @Test(
    "BRICK answers alone when the colleague fails, also when it was cancelled there, and says so",
    arguments: [PERSONA_E_UNKNOWN_TARGET, PERSONA_E_CANCELLED])
  func failingColleague(status: Int) async throws {
    let stage = try await stage("BRICK", config: brick + "}")
    await stage.gram(1, "\"@robin hi\"")
    stage.kernel.end(await stage.kernel.call(.ask).request, Int32(status), "not here")
    stage.kernel.end(await stage.kernel.call(.chat).request, 0, "{\"text\":\"Alone.\"}")
    let reply = try json(await stage.kernel.call(.reply).text)
    #expect(reply["delegated"]?["error"] == "not here" && reply["content"]?.string?.hasSuffix("Alone.") == true)
  }

  @Test("BRICK does not delegate to himself")
  func himself() async throws {
    let stage = try await stage("BRICK", config: brick + "}")
    await stage.gram(1, "{\"content\":\"x\",\"delegate\":\"Brick\"}")
    #expect(await stage.kernel.call(.fail).number == Int64(PERSONA_E_INVALID))
    await stage.gram(2, "\"@brick x\"")
    #expect(try json(await stage.kernel.call(.chat).text)["text"] == "@brick x")
  }

  @Test("with plan = true the model proposes, and BRICK still answers the whole question")
  func plan() async throws {
    let stage = try await stage("BRICK", config: brick + ",\"plan\":true}")
    await stage.gram(1, "\"Build a bridge that calms people\"")
    let proposal = await stage.kernel.call(.chat)
    #expect(try json(proposal.text)["format"]?["properties"]?["colleague"]?["enum"] == ["ROBIN", "none"])
    stage.kernel.end(proposal.request, 0, "{\"text\":\"{\\\"colleague\\\":\\\"ROBIN\\\",\\\"question\\\":\\\"What calms?\\\"}\"}")
    let ask = await stage.kernel.call(.ask)
    #expect(ask.target == "ROBIN" && ask.text == "{\"content\":\"What calms?\"}")
    stage.kernel.end(ask.request, 0, "\"Slowness\"")
    let chat = try json(await stage.kernel.call(.chat).text)
    #expect(chat["text"] == "Build a bridge that calms people" && chat["system"]?.string?.contains("answered:\nSlowness\n") == true)
  }

  @Test(
    "a plan that is none is no error: BRICK answers alone",
    arguments: [
      "no json", "{\"colleague\":\"NOBODY\",\"question\":\"x\"}", "{\"colleague\":\"none\",\"question\":\"\"}",
      "{\"colleague\":\"BRICK\",\"question\":\"x\"}",
    ])
  func badPlan(plan: String) async throws {
    let stage = try await stage("BRICK", config: brick + ",\"plan\":true}")
    await stage.gram(1, "\"Build\"")
    stage.kernel.end(await stage.kernel.call(.chat).request, 0, (["text": .string(plan)] as JSON).text)
    #expect(await stage.kernel.call(.chat).text == "{\"text\":\"Build\",\"thread\":\"visitor\"}")
    #expect(stage.kernel.untaken(.ask).isEmpty)
  }

  @Test("what BABS has observed is in the kernel's state, and before the eyes of her next generation")
  func observations() async throws {
    let config = "{\"name\":\"BABS\",\"prompt\":\"p\"}"
    let old = try await stage("BABS", config: config)
    for at in 1...201 {
      await old.gram(UInt64(at), "\"star \(at)\"", method: "observe")
      _ = await old.kernel.call(.reply)
    }
    let new = try await stage("BABS", config: config)
    new.kernel.state = old.kernel.state
    await new.gram(1, method: "observations")
    let list = try json(await new.kernel.call(.reply).text)["observations"]?.array
    #expect(list?.count == 200 && list?.last?["by"] == "visitor" && list?.last?["text"] == "star 201")
    #expect(list?.last?["time"]?.string?.hasSuffix("Z") == true)
    await new.gram(2, "\"what is up?\"")
    let system = try json(await new.kernel.call(.chat).text)["system"]?.string
    #expect(system?.hasSuffix("- visitor: star 200\n- visitor: star 201") == true && system?.contains("star 196") == false)
  }

  @Test("an older log, which noted no time, is read; an observation that is too long is refused")
  func oldLog() async throws {
    let stage = try await stage("BABS", config: "{\"name\":\"BABS\",\"prompt\":\"p\"}")
    stage.kernel.state = ["observations": "[{\"by\":\"GUI\",\"text\":\"\(String(repeating: "s", count: 300))\"}]"]
    await stage.gram(1, "\"\(String(repeating: "x", count: 4001))\"", method: "observe")
    let end = await stage.kernel.call(.fail)
    #expect(end.number == Int64(PERSONA_E_INVALID) && end.text.contains("4000") && end.text.contains("4001"))
    await stage.gram(2, "\"what is up?\"")
    let system = try json(await stage.kernel.call(.chat).text)["system"]?.string
    #expect(system?.hasSuffix("- GUI: " + String(repeating: "s", count: 200)) == true)
    await stage.gram(3, "\"seen by topic\"", method: "observe", topic: "#sky", flags: 4)
    #expect(try json(await stage.kernel.call(.reply).text)["count"] == 2)
    await stage.gram(4, "null", method: "observations", topic: "#sky", flags: 4)
    #expect(await stage.kernel.call(.reply).text == "")
  }

  @Test("ALFRED tells how the house is without a model, and reviews what another answers")
  func alfred() async throws {
    let stage = try await stage("ALFRED", config: "{\"name\":\"ALFRED\",\"prompt\":\"p\"}")
    await stage.gram(1, method: "status")
    let ask = await stage.kernel.call(.ask)
    #expect(ask.target == "KERNEL" && ask.method == "stats")
    stage.kernel.end(
      ask.request, 0,
      "{\"uptime_s\":120,\"memory_kb\":20480,\"connections\":2,\"messages\":9,\"errors\":0,\"more\":1,\"personas\":[{\"name\":\"BABS\",\"state\":\"failed\",\"reason\":\"no file\",\"received\":3,\"queued\":0}]}"
    )
    let status = try json(await stage.kernel.call(.reply).text)["content"]?.string
    #expect(status?.contains("up for 2 min") == true && status?.contains("BABS is failed: no file; 3 messages") == true)
    await stage.gram(2, "{\"content\":\"x\",\"persona\":\"ROBIN\"}", method: "review")
    stage.kernel.end(await stage.kernel.call(.ask).request, 0, "{\"content\":\"so\"}")
    let chat = await stage.kernel.call(.chat)
    #expect(try json(chat.text)["text"]?.string?.hasSuffix("Question: x\n\nAnswer of ROBIN: so") == true)
    stage.kernel.end(chat.request, 0, "{\"text\":\"Fine.\"}")
    #expect(try json(await stage.kernel.call(.reply).text)["reviewed"] == ["content": "so"])
    await stage.gram(3, "{\"content\":\"x\",\"persona\":\"ALFRED\"}", method: "review")
    #expect(await stage.kernel.call(.fail).number == Int64(PERSONA_E_INVALID))
  }
}
