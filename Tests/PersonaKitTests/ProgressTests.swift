import PersonaABI
import Synchronization
import Testing

@testable import PersonaKit

/// What persona.h 1.1 added, in Swift.
@Suite("Progress in Swift", .timeLimit(.minutes(1))) struct ProgressTests {
  @Test("each kind of step is the JSON that persona.h describes")
  func steps() async {
    let stage = await Stage.puppet {
      $0.receive = { _, gram in
        gram.progress(.plan(["one", "two"]))
        gram.progress(.part(speaker: "BABS", text: "a"))
        gram.progress(.part(speaker: nil, text: "b"))
        gram.progress(.status("reading"))
        gram.progress(.tool(name: "BABS.look", text: "up"))
        gram.progress(.note("it is late"))
        return nil
      }
    }
    await stage.gram(3)
    _ = await stage.kernel.call(.reply)
    let steps = stage.kernel.untaken(.progress)
    #expect(
      steps.map(\.text) == [
        #"{"kind":"plan","steps":["one","two"]}"#, #"{"kind":"part","speaker":"BABS","text":"a"}"#, #"{"kind":"part","text":"b"}"#,
        #"{"kind":"status","text":"reading"}"#, #"{"kind":"tool","name":"BABS.look","text":"up"}"#, #"{"kind":"note","text":"it is late"}"#,
      ])
    #expect(steps.allSatisfy { $0.token == 3 })
  }

  @Test("a question through a gram is made for it and shown as the colleague's words; a question to the model names its speaker")
  func through() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        _ = try await puppet.kernel.bus.ask("ROBIN", "talk", "hi", through: gram)
        _ = try await puppet.kernel.bus.ask("ROBIN", "talk", through: gram, as: "The boy")
        _ = try await puppet.kernel.llm.think("x", for: gram, speaker: "MODEL")
        return nil
      }
    }
    await stage.gram(4)
    for speaker in ["ROBIN", "The boy"] {
      let ask = await stage.kernel.call(.ask)
      #expect(ask.token == 4 && ask.speaker == speaker && ask.target == "ROBIN")
      stage.kernel.end(ask.request, 0, "null")
    }
    #expect(await stage.kernel.call(.chat).text == #"{"speaker":"MODEL","text":"x","thread":"visitor"}"#)
  }

  @Test("when nobody waits for a gram any more its task is cancelled, and no other")
  func cancelled() async {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        do {
          try await puppet.kernel.sleep(for: .seconds(60))
          return "slept"
        } catch { return .bool(Task.isCancelled) }
      }
    }
    await stage.gram(1)
    await stage.gram(2)
    let (first, second) = (await stage.kernel.call(.after).request, await stage.kernel.call(.after).request)
    await stage.cancelled(1)
    // A token of long ago.
    await stage.cancelled(99)
    #expect(await stage.kernel.call(.cancel).request == first)
    stage.kernel.end(first, Int32(PERSONA_E_CANCELLED), "cancelled")
    #expect(await stage.kernel.call(.reply) { $0.token == 1 }.text == "true")
    stage.kernel.end(second)
    #expect(await stage.kernel.call(.reply) { $0.token == 2 }.text == #""slept""#)
    #expect(stage.kernel.untaken(.cancel).isEmpty)
  }

  @Test("declared methods go to the kernel, and stand in what it tells of itself")
  func declare() async throws {
    let stage = await Stage.puppet {
      $0.receive = { puppet, gram in
        if gram.method == "declare" {
          try puppet.kernel.declare([DeclaredMethod("look", "Looks", takes: ["type": "object"])])
          return nil
        }
        return try await puppet.kernel.converse(gram)
      }
    }
    await stage.gram(1, method: "declare")
    #expect(await stage.kernel.call(.declare).text == #"[{"name":"look","summary":"Looks","takes":{"type":"object"}}]"#)
    await stage.gram(2, method: "describe")
    let told = try JSON(parsing: await stage.kernel.call(.reply) { $0.token == 2 }.text.utf8)
    #expect(told["methods"]?["look"] == "Looks" && told["takes"]?["look"]?["type"] == "object")
    stage.kernel.refuse(.declare, Int32(PERSONA_E_INVALID))
    await stage.gram(3, method: "declare")
    #expect(await stage.kernel.call(.fail).number == Int64(PERSONA_E_INVALID))
  }

  @Test("on a kernel of persona.h 1.0 a part is its text, a question through a gram is a question, and declare is refused")
  func oldKernel() async {
    let strings = Puppet.Strings()
    let stage = Stage(FakeKernel(puppet: strings, isOld: true), entry: export(Puppet.self))
    #expect(await stage.create() == 0)
    strings.receive = { puppet, gram in
      gram.progress(.part(speaker: "BABS", text: "a"))
      gram.progress(.status("reading"))
      _ = try await puppet.kernel.bus.ask("ROBIN", "talk", through: gram)
      try puppet.kernel.declare([])
      return nil
    }
    await stage.gram(1)
    #expect(await stage.kernel.call(.stream).text == "a")
    let ask = await stage.kernel.call(.ask)
    #expect(ask.token == 1 && ask.speaker == "")
    stage.kernel.end(ask.request, 0, "null")
    #expect(await stage.kernel.call(.fail).number == Int64(PERSONA_E_NOT_FOUND))
    #expect(stage.kernel.untaken(.progress).isEmpty && stage.kernel.untaken(.declare).isEmpty)
  }
}
