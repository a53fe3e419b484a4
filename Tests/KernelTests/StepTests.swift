import Foundation
import Protocol
import TestSupport
import Testing
import Wire

@testable import Kernel

/// What persona.h 1.1 added: steps of an answer, voices under one answer, methods declared while running, cancelled().
@Suite("Steps of an answer") struct StepTests {
  /// Asks with a stream; what came ahead of the reply, each delta as its payload, and the reply.
  private func stream(_ client: Client, _ target: String, _ method: String, _ payload: String = "null", id: Int) throws -> ([JSON], Gram) {
    try client.line(#"{"target":"\#(target)","method":"\#(method)","payload":\#(payload),"id":\#(id),"stream":true}"#)
    var deltas: [JSON] = []
    while true {
      let gram = try client.gram { $0.re == "\(id)" }
      if gram.method != "delta" { return (deltas, gram) }
      deltas.append(try JSON(parsing: gram.line.utf8)["payload"] ?? .null)
    }
  }

  @Test("steps come in order among the pieces of text; a part is text with a speaker, set apart for clients that know only text")
  func order() throws {
    let house = try House([("STEPS", "steps", [:])])
    let client = try house.attached("GUI")
    try house.settle("STEPS", as: client)
    let (deltas, reply) = try stream(client, "STEPS", "work", id: 1)
    #expect(
      deltas == [
        ["event": ["kind": "plan", "steps": ["one", "two"]]], ["text": "own "],
        ["event": ["kind": "part", "mood": "calm"], "speaker": "BABS", "text": "\n\nhers "],
        ["event": ["kind": "part"], "speaker": "BABS", "text": "\n\n"], ["text": "again"],
        ["event": ["kind": "status", "text": "done"]],
      ])
    #expect(reply.method == "reply")
    try client.line(#"{"target":"STEPS","method":"work","id":2}"#)
    #expect(try client.gram { $0.re == "2" }.method == "reply")
  }

  @Test(
    "what is no step is refused where it is made",
    arguments: [
      (#"{"kind":"later","x":1}"#, 0), ("[]", -2), (#"{"text":"a"}"#, -2), (#"{"kind":"part"}"#, -2), (#"{"kind":"part","text":1}"#, -2),
      (#"{"kind":"note","speaker":1}"#, -2), (#"{"kind":"note","speaker":"KERNEL"}"#, -2), (#"{"kind":"note","speaker":"B\u200bABS"}"#, -2),
      (#"{"kind":"note","text":"\#(String(repeating: "x", count: 65_536))"}"#, -9),
    ])
  func refused(step: String, status: Int) throws {
    let house = try House([("STEPS", "steps", [:])])
    let client = try house.attached("GUI")
    try house.settle("STEPS", as: client)
    let (deltas, reply) = try stream(client, "STEPS", "step", step, id: 1)
    #expect(reply["status"] == "\(status)" && deltas.count == (status == 0 ? 1 : 0))
  }

  @Test("a colleague who is asked through the asker is heard there under the speaker's name; its own parts keep theirs, at any depth")
  func through() throws {
    let house = try House([("ONE", "steps", ["PEER": "TWO"]), ("TWO", "steps", ["PEER": "THREE"]), ("THREE", "steps", [:])])
    let client = try house.attached("GUI")
    for name in ["ONE", "TWO", "THREE"] { try house.settle(name, as: client) }
    for (method, speaker) in [("through", "Voice"), ("relay", "Voice")] {
      let (deltas, reply) = try stream(client, "ONE", method, id: method == "relay" ? 1 : 2)
      #expect(
        deltas == [
          ["event": ["kind": "plan", "steps": ["one", "two"]], "speaker": .string(speaker)],
          ["event": ["kind": "part"], "speaker": .string(speaker), "text": "own "],
          ["event": ["kind": "part", "mood": "calm"], "speaker": "BABS", "text": "\n\nhers "],
          ["event": ["kind": "part"], "speaker": .string(speaker), "text": "\n\nagain"],
          ["event": ["kind": "status", "text": "done"], "speaker": .string(speaker)],
        ], "\(deltas)")
      #expect(reply.fields["payload"] as? String == "own hers again", "\(reply)")
    }
    // Who does not stream is shown nothing, and the persona that asks is.
    #expect(try client.ask("ONE", "through", id: 3).fields["payload"] as? String == "own hers again")
  }

  @Test("what a client streams as the one who was asked is shown through in the same way, in whole characters")
  func client() throws {
    let house = try House([("ONE", "steps", ["PEER": "HUMAN"])])
    let (client, human) = (try house.attached("GUI"), try house.attached("HUMAN"))
    try house.settle("ONE", as: client)
    try client.line(#"{"target":"ONE","method":"through","id":1,"stream":true}"#)
    let question = try JSON(parsing: try human.gram { $0.method == "work" }.line.utf8)
    let re = question["id"]?.text ?? ""
    #expect(question["stream"] == true)
    try human.line(#"{"target":"ONE","method":"delta","re":\#(re),"payload":{"text":"é"}}"#)
    #expect(
      try JSON(parsing: client.gram { $0.re == "1" }.line.utf8)["payload"] == ["event": ["kind": "part"], "speaker": "Voice", "text": "é"])
    try human.line(#"{"target":"ONE","method":"delta","re":\#(re),"payload":{"event":{"kind":"note","text":"n"}}}"#)
    #expect(
      try JSON(parsing: client.gram { $0.re == "1" }.line.utf8)["payload"] == ["event": ["kind": "note", "text": "n"], "speaker": "Voice"])
    try human.line(#"{"target":"ONE","method":"reply","re":\#(re),"payload":1}"#)
    #expect(try client.gram { $0.re == "1" }.fields["payload"] as? String == "é")
  }

  @Test("the pieces of a model that is asked with a speaker are parts by that speaker")
  func model() throws {
    let model = ScriptedModel { _, tell in
      for piece in ["a", "b"] { tell(.piece(piece)) }
      tell(.finished(.success(Array("{}".utf8))))
    }
    let house = try House([("STEPS", "steps", [:])], language: model)
    let client = try house.attached("GUI")
    try house.settle("STEPS", as: client)
    let (deltas, reply) = try stream(client, "STEPS", "think", id: 1)
    #expect(
      deltas == ["a", "b"].map { ["event": ["kind": "part"], "speaker": "MODEL", "text": .string($0)] }, "\(deltas)")
    #expect(reply.fields["payload"] as? String == "ab")
  }

  @Test("what a model thinks is shown to the asker as a status, and is in neither the persona's pieces nor the answer")
  func thoughts() throws {
    let model = ScriptedModel { _, tell in
      tell(.thought("thinking: hm"))
      tell(.piece("a"))
      tell(.finished(.success(Array("{}".utf8))))
    }
    let house = try House([("STEPS", "steps", [:])], language: model)
    let client = try house.attached("GUI")
    try house.settle("STEPS", as: client)
    let (deltas, reply) = try stream(client, "STEPS", "think", id: 1)
    #expect(
      deltas == [
        ["event": ["kind": "status", "text": "thinking: hm"], "speaker": "MODEL"],
        ["event": ["kind": "part"], "speaker": "MODEL", "text": "a"],
      ], "\(deltas)")
    #expect(reply.fields["payload"] as? String == "a")
  }

  @Test("a persona is told once when nobody waits any more: taken back, gone, or out of time; not of what it has answered")
  func cancelled() throws {
    let house = try House([("STEPS", "steps", [:])])
    let client = try house.attached("GUI")
    try house.settle("STEPS", as: client)
    func count(_ id: Int) throws -> String? { try client.ask("STEPS", "cancelled", id: id)["cancelled"] }
    try client.line(#"{"target":"STEPS","method":"wait","id":1}"#)
    #expect(try count(2) == "0")
    _ = try client.ask("KERNEL", "cancel", #"{"id":1}"#, id: 3)
    #expect(try count(4) == "1")
    #expect(try client.ask("STEPS", "wait", id: 5, extra: #","deadline_ms":20"#).code == "deadline")
    #expect(try count(6) == "2")
    do {
      let gone = try house.attached("GONE")
      try gone.line(#"{"target":"STEPS","method":"wait","id":1}"#)
      // It has been begun when this is answered.
      _ = try gone.ask("STEPS", "cancelled", id: 2)
    }
    var seen = try count(7)
    for id in 8..<2000 where seen != "3" { seen = try count(id) }
    #expect(seen == "3")
  }

  @Test("declared methods are seen like those of the about text, replace what was declared before, and end with the generation")
  func declare() throws {
    let model = ScriptedModel { _, tell in tell(.finished(.success(Array("{}".utf8)))) }
    let house = try House([("STEPS", "steps", [:]), ("ROBIN", "thinker", [:])], language: model)
    let client = try house.attached("GUI")
    for name in ["STEPS", "ROBIN"] { try house.settle(name, as: client) }
    func methods(_ id: Int) throws -> [[String: Any]] {
      let shown = try client.ask("KERNEL", "personas.show", #"{"name":"STEPS"}"#, id: id)
      return (shown.payload["about"] as? [String: Any])?["methods"] as? [[String: Any]] ?? []
    }
    func names(_ id: Int) throws -> [String] { try methods(id).compactMap { $0["name"] as? String } }
    let list = #"[{"name":"look","summary":"Looks","takes":{"type":"object"}},{"name":"work","summary":"Works anew"}]"#
    #expect(try client.ask("STEPS", "declare", list, id: 1)["status"] == "0")
    let shown = try methods(2)
    #expect(shown.count == 2 && shown[0]["name"] as? String == "look" && shown[1]["summary"] as? String == "Works anew")
    #expect((shown[0]["takes"] as? [String: Any])?["type"] as? String == "object")
    #expect(try client.ask("ROBIN", "chat", #"{"text":"x","tools":["STEPS.look"]}"#, id: 3).method == "reply")
    #expect(model.asked.wait(milliseconds: 1)?.tools.first?.summary == "Looks")
    #expect(try client.ask("STEPS", "declare", #"{"name":"look"}"#, id: 4)["status"] == "-2" && names(5) == ["look", "work"])
    #expect(try client.ask("STEPS", "declare", "[]", id: 6)["status"] == "0" && names(7) == ["work"])
    #expect(try client.ask("STEPS", "declare", list, id: 8)["status"] == "0")
    try house.build("STEPS", "steps", defines: ["VERSION": "2"])
    let receipt = try client.ask("KERNEL", "personas.reload", #"{"name":"STEPS"}"#, id: 9)
    #expect(receipt.line.contains(#""outcome":"reloaded""#), "\(receipt)")
    #expect(try methods(10).map { $0["summary"] as? String } == ["Works"])
  }

  @Test(
    "what cannot be declared is refused, with the reason",
    arguments: [
      (#"{}"#, "no array"), (#"[{"summary":"x"}]"#, "without \"name\""), (#"[{"name":"a b","summary":"x"}]"#, "no blanks"),
      (#"[{"name":"a"}]"#, "\"summary\" of a"), (#"[{"name":"a","summary":"x\ny"}]"#, "\"summary\" of a"),
      (#"[{"name":"a","summary":"x","takes":"s"}]"#, "\"takes\" of a"),
      (#"[{"name":"a","summary":"x"},{"name":"a","summary":"y"}]"#, "twice"),
    ])
  func declaredWrongly(json: String, reason: String) {
    #expect { try [About.Method](declared: Array(json.utf8)) } throws: { "\($0)".contains(reason) }
  }

  @Test("a library that was compiled for persona.h 1.0 answers, streams and reloads, from and to one of today")
  func oldLibrary() throws {
    let house = try House([("ECHO", "echo_1_0", [:])], rehearse: true)
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    #expect(try client.ask("ECHO", "echo", "[1]", id: 1)["count"] == "1")
    let (deltas, reply) = try stream(client, "ECHO", "stream", id: 2)
    #expect(deltas.compactMap { $0["text"]?.string }.joined() == "one two three" && reply["text"] == "one two three")
    try client.line(#"{"target":"ECHO","method":"later","payload":60000,"id":3}"#)
    // It has been begun when this is answered.
    #expect(try client.ask("ECHO", "count", id: 9)["count"] == "4")
    try client.line(#"{"target":"KERNEL","method":"cancel","payload":{"id":3},"id":4}"#)
    #expect(try client.gram { $0.re == "3" }.code == "cancelled")
    for (id, fixture) in [(5, "echo_1_0"), (6, "echo"), (7, "echo_1_0")] {
      try house.build("ECHO", fixture, defines: ["VERSION": "\(id)"])
      let receipt = try client.ask("KERNEL", "personas.reload", #"{"name":"ECHO"}"#, id: id)
      #expect(receipt.line.contains(#""outcome":"reloaded""#), "\(receipt)")
    }
    #expect(try client.ask("ECHO", "count", id: 8)["count"] == "5")
  }

  @Test("a library for a later kernel, whose table is longer, runs")
  func laterLibrary() throws {
    let house = try House([("LATER", "later_kernel", [:])])
    let client = try house.attached("GUI")
    try house.settle("LATER", as: client)
    #expect(try client.ask("LATER", "count", id: 1)["count"] == "1")
  }
}

@Suite("Held answers") struct HeldAnswerTests {
  private func all(_ held: inout HeldAnswer, isLast: Bool) -> [String] {
    var out: [String] = []
    while let payload = held.next(isLast: isLast, atMost: 1000) { out.append(String(decoding: payload, as: UTF8.self)) }
    return out
  }

  @Test("text is merged up to the next step, and steps stay where they were")
  func order() {
    var held = HeldAnswer()
    held.append(Array("a".utf8))
    held.append(Array("b".utf8))
    held.append(step: Array("1".utf8))
    held.append(step: Array("2".utf8))
    held.append(Array("c".utf8))
    #expect(held.count == 5)
    #expect(all(&held, isLast: false) == [#"{"text":"ab"}"#, "1", "2", #"{"text":"c"}"#] && held.count == 0)
  }

  @Test("the beginning of a character waits for its rest, but not beyond a step")
  func characters() {
    var held = HeldAnswer()
    held.append([0xc3])
    #expect(all(&held, isLast: false).isEmpty && held.count == 1)
    held.append([0xa9, 0xc3])
    held.append(step: Array("1".utf8))
    #expect(all(&held, isLast: false) == [#"{"text":"é\#u{fffd}"}"#, "1"] && held.count == 0)
  }
}
