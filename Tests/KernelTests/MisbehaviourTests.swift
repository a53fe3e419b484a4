import Foundation
import System
import TestSupport
import Testing

@testable import Kernel

/// What the kernel does about personas that hang, forget, change their mind or say too much, while others go on.
@Suite("Misbehaviour") struct MisbehaviourTests {
  private func receipts(_ client: Client, _ names: [String], id: Int, force: Bool = false) throws -> [[String: Any]] {
    let list = names.map { "\"\($0)\"" }.joined(separator: ",")
    let reply = try client.ask("KERNEL", "personas.reload", "{\"names\":[\(list)],\"force\":\(force)}", id: id)
    return try #require(reply.payload["receipts"] as? [[String: Any]], "\(reply)")
  }

  private func reload(_ client: Client, id: Int, force: Bool = false) throws -> [String: Any] {
    try #require(try receipts(client, ["ECHO"], id: id, force: force).first)
  }

  private func status(_ client: Client, _ name: String = "ECHO", id: Int) throws -> [String: Any] {
    let personas = try client.ask("KERNEL", "personas.list", id: id).payload["personas"] as? [[String: Any]] ?? []
    return try #require(personas.first { $0["name"] as? String == name })
  }

  /// Asks for the status until it fits.
  private func until(_ client: Client, _ name: String = "ECHO", from id: Int, _ fits: ([String: Any]) -> Bool) throws -> [String: Any] {
    var last: [String: Any] = [:]
    let limit = Date().addingTimeInterval(20)
    var id = id
    while Date() < limit {
      last = try status(client, name, id: id)
      if fits(last) { return last }
      id += 1
      usleep(2000)
    }
    throw Client.Lost(description: "it stays \(last)")
  }

  // MARK: Files

  @Test("a library that is cut anywhere from 1 to 99 % is refused, and the running one answers on")
  func cut() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    let whole = try Data(contentsOf: URL(filePath: Fixtures.build("echo", defines: ["NAME": "ECHO", "VERSION": "2"])))
    for percent in 1...99 {
      try Fixtures.replace(house.folder + "/libECHO.so", with: whole.prefix(whole.count * percent / 100))
      let receipt = try reload(client, id: 2 * percent)
      #expect(receipt["outcome"] as? String == "refused" && receipt["to"] == nil, "\(percent) %: \(receipt)")
      #expect(try client.ask("ECHO", "echo", "1", id: 2 * percent + 1)["version"] == "1")
    }
    try Fixtures.replace(house.folder + "/libECHO.so", with: whole)
    #expect(try reload(client, id: 1000)["outcome"] as? String == "reloaded")
    #expect(try client.ask("ECHO", "count", id: 1001)["count"] == "100")
  }

  @Test("a plugin folder is watched also when its path is written with a slash at its end, or through a link")
  func paths() throws {
    for path in ["/", "/."] {
      let house = try House([("ECHO", "echo", ["VERSION": "1"])]) {
        $0.pluginFolders = $0.pluginFolders.map { $0 + path }
        $0.reload.watch = true
        $0.reload.settleMilliseconds = 20
      }
      let client = try house.attached("GUI")
      try house.settle("ECHO", as: client)
      try house.build("ECHO", defines: ["VERSION": "2"])
      #expect(try client.gram(seconds: 10) { $0.method == "receipt" && $0["outcome"] == "reloaded" }["version"] == "2")
    }
  }

  // MARK: Several, and in flight

  @Test("several are reloaded by one request, with a receipt each in the order asked, also if one of them is refused")
  func several() throws {
    let house = try House([("ONE", "echo", [:]), ("TWO", "echo", [:]), ("THREE", "echo", [:])])
    let client = try house.attached("GUI")
    for name in ["ONE", "TWO", "THREE"] { try house.settle(name, as: client) }
    try house.build("THREE", defines: ["VERSION": "2"])
    try house.build("ONE", "refuses_create", defines: [:])
    let all = try receipts(client, ["THREE", "ONE", "TWO"], id: 1)
    #expect(all.map { $0["persona"] as? String } == ["THREE", "ONE", "TWO"])
    #expect(all.map { $0["outcome"] as? String } == ["reloaded", "refused", "unchanged"])
    #expect(try client.ask("ONE", "echo", "1", id: 2)["version"] == "1")
    let unknown = try client.ask("KERNEL", "personas.reload", #"{"names":["ONE","TOW"]}"#, id: 3)
    #expect(unknown.code == "unknown_target" && unknown.message?.contains("did you mean TWO?") == true, "\(unknown)")
    // Said twice, it is one persona, and one answer.
    #expect(try receipts(client, ["TWO", "TWO"], id: 4, force: true).count == 2)
    #expect(try client.ask("KERNEL", "ping", id: 5).re == "5")
  }

  @Test("a reply that streams while its persona is replaced comes whole, from the code that began it")
  func streaming() throws {
    let (begin, go) = (Promise<Bool>(), Promise<Bool>())
    let model = ScriptedModel { _, tell in
      tell(.piece("before "))
      begin.fulfill(true)
      _ = go.wait(milliseconds: 20_000)
      for n in 0..<100 { tell(.piece("\(n) ")) }
      tell(.finished(.success(Array(#"{"text":"all"}"#.utf8))))
    }
    let house = try House([("ECHO", "echo", ["VERSION": "1"])], language: model)
    let (client, admin) = (try house.attached("GUI"), try house.attached("ADMIN"))
    try client.line(#"{"target":"ECHO","method":"think","payload":"hi","id":1,"stream":true}"#)
    #expect(begin.wait(milliseconds: 20_000) == true)
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(admin, id: 1)["outcome"] as? String == "reloaded")
    #expect(try status(admin, id: 2)["draining"] as? Int == 1)
    go.fulfill(true)
    var text = ""
    while true {
      let gram = try client.gram { $0.re == "1" }
      if gram.method != "delta" {
        #expect(gram.method == "reply" && gram["text"] == "all", "\(gram)")
        break
      }
      text += gram["text"] ?? ""
    }
    #expect(text == "before " + (0..<100).map { "\($0) " }.joined())
    _ = try until(admin, from: 3) { $0["draining"] as? Int == 0 }
  }

  // MARK: Health

  @Test("a new one whose lane does not come back in its trial is taken back by itself, with the state it took over")
  func hangsInTrial() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])]) {
      $0.reload.callMilliseconds = 300
      $0.reload.trialMilliseconds = 300
    }
    let client = try house.attached("GUI")
    #expect(try client.ask("ECHO", "echo", "1", id: 1)["count"] == "1")
    try house.build("ECHO", "hangs_in_health", defines: ["VERSION": "2"])
    try client.line(#"{"target":"KERNEL","method":"personas.reload","payload":{"name":"ECHO"},"id":2}"#)
    let receipt = try client.gram(seconds: 10) { $0.method == "receipt" && $0["outcome"] == "rolled_back" }
    #expect(receipt["reason"]?.contains("come back") == true, "\(receipt)")
    let after = try client.ask("ECHO", "echo", "1", id: 3)
    #expect(after["version"] == "1" && after["count"] == "2", "\(after)")
  }

  @Test("one that is ill after its trial stays, and one that has nobody before it too")
  func staysIll() throws {
    let house = try House([("ECHO", "fails_health", [:])]) { $0.reload.trialMilliseconds = 200 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    #expect(try reload(client, id: 1)["outcome"] as? String == "unchanged")
    for id in 2..<40 {
      #expect(try client.ask("ECHO", "x", id: id)["count"] == "\(id - 1)")
      usleep(10_000)
    }
    #expect(try status(client, id: 100)["generation"] as? Int == 1)
  }

  // MARK: Hanging

  @Test("a stop that never returns holds up neither its successor nor anybody else")
  func hangsInStop() throws {
    let house = try House([("ECHO", "hangs_in_stop", [:]), ("OTHER", "echo", [:])]) { $0.reload.callMilliseconds = 300 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(client, id: 1)["outcome"] as? String == "reloaded")
    #expect(try client.ask("ECHO", "echo", "1", id: 2)["version"] == "2")
    #expect(try client.ask("OTHER", "echo", "1", id: 3)["count"] == "1")
    #expect(try reload(client, id: 4, force: true)["to"] as? Int == 3)
  }

  @Test("a stop that never returns is refused in rehearsal, by the step's name")
  func hangsInStopRehearsed() throws {
    let house = try House([("ECHO", "replies_twice", [:])], rehearse: true) { $0.reload.callMilliseconds = 500 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", "hangs_in_stop", defines: [:])
    let receipt = try reload(client, id: 1)
    #expect(receipt["outcome"] as? String == "refused")
    #expect((receipt["reason"] as? String)?.contains("stop did not return") == true, "\(receipt)")
  }

  @Test("candidates that hang in start are given up one after the other, and the next good one is let in")
  func givenUp() throws {
    let house = try House([("ECHO", "small_vtable", [:])]) { $0.reload.callMilliseconds = 100 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", "hangs_in_start", defines: [:])
    for id in 1...3 {
      let receipt = try reload(client, id: id)
      #expect(
        receipt["outcome"] as? String == "refused" && receipt["reason"] as? String == "load and start did not return in time", "\(receipt)")
    }
    let list = try status(client, id: 10)
    #expect(list["generation"] as? Int == 1 && list["state"] as? String == "running" && list["draining"] as? Int == 0, "\(list)")
    #expect(try client.ask("ECHO", "x", id: 11)["count"] == "1")
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(client, id: 12)["outcome"] as? String == "reloaded")
  }

  // MARK: Tokens

  @Test("a gram that an old generation has forgotten ends when its time to drain is over, and is told so")
  func leaks() throws {
    let house = try House([("ECHO", "leaks_token", [:])]) { $0.reload.drainMilliseconds = 200 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try client.line(#"{"target":"ECHO","method":"x","id":1}"#)
    _ = try client.ask("ECHO", "x", id: 2)
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(client, id: 3)["outcome"] as? String == "reloaded")
    #expect(try client.ask("ECHO", "echo", "1", id: 4)["version"] == "2")
    let end = try client.gram { $0.re == "1" }
    #expect(end.code == "retired" && end.message?.contains("was replaced") == true, "\(end)")
    _ = try until(client, from: 5) { $0["draining"] as? Int == 0 }
    #expect(try client.ask("KERNEL", "stats", id: 100_000)["requests"] == "1")
  }

  @Test("the second reply to a gram is refused to the one who gives it")
  func secondReply() throws {
    let house = try House([("ECHO", "replies_twice", [:])])
    let client = try house.attached("GUI")
    #expect(try client.ask("ECHO", "x", id: 1)["reply"] == "1")
    #expect(try client.ask("ECHO", "status", id: 2)["second"] == "-12")
  }

  // MARK: State

  @Test("a state that is too large is not handed over: the new code is refused, the old one keeps it")
  func tooMuch() throws {
    let house = try House([("ECHO", "huge_state", ["MEGABYTES": "65"])])
    let client = try house.attached("GUI")
    _ = try client.ask("ECHO", "x", id: 1)
    let receipt = try reload(client, id: 2, force: true)
    #expect(receipt["outcome"] as? String == "refused" && (receipt["reason"] as? String)?.contains("67108864") == true, "\(receipt)")
    #expect(try client.ask("ECHO", "x", id: 3)["count"] == "2")
  }

  @Test("a state that its own successor cannot read leaves the old one running, time after time")
  func illegible() throws {
    let house = try House([("ECHO", "unreadable_state", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    for id in 1...3 {
      let receipt = try reload(client, id: 2 * id, force: true)
      #expect(receipt["reason"] as? String == "ECHO returned status -11 from load and did not explain it", "\(receipt)")
      #expect(try client.ask("ECHO", "x", id: 2 * id + 1)["count"] == "\(id)")
    }
  }

  // MARK: Last and first words

  @Test("what a generation says in its stop is heard")
  func lastWords() throws {
    let house = try House([("ECHO", "last_words", ["VERSION": "1", "MILLISECONDS": "1"])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    _ = try client.ask("KERNEL", "topics.subscribe", #"{"topic":"last"}"#, id: 1)
    try house.build("ECHO", defines: [:])
    try client.line(#"{"target":"KERNEL","method":"personas.reload","payload":{"name":"ECHO"},"id":2}"#)
    #expect(try client.gram(seconds: 5) { $0.method == "goodbye" }["version"] == "1")
  }

  @Test("what a refused candidate has sent in its start is never heard, and what its successor sends is")
  func herald() throws {
    let house = try House([("ECHO", "replies_twice", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    _ = try client.ask("KERNEL", "topics.subscribe", #"{"topic":"started"}"#, id: 1)
    try house.build("ECHO", "sends_in_start", defines: ["VERSION": "2", "REFUSE": "yes"])
    let refused = try reload(client, id: 2)
    #expect(refused["outcome"] as? String == "refused" && refused["reason"] as? String == "it has changed its mind", "\(refused)")
    try house.build("ECHO", "sends_in_start", defines: ["VERSION": "3"])
    try client.line(#"{"target":"KERNEL","method":"personas.reload","payload":{"name":"ECHO"},"id":3}"#)
    #expect(try client.gram { $0.method == "started" }["version"] == "3")
  }

  @Test("what a candidate sends itself comes when it lives, at its first load and at every reload")
  func writesToItself() throws {
    let house = try House([("DIARIST", "writes_to_itself", [:])])
    let client = try house.attached("GUI")
    try house.settle("DIARIST", as: client)
    #expect(try client.ask("DIARIST", "notes", id: 1)["notes"] == "1")
    for id in 2...6 {
      #expect(try receipts(client, ["DIARIST"], id: 10 * id, force: true).first?["outcome"] as? String == "reloaded")
      #expect(try client.ask("DIARIST", "notes", id: id)["notes"] == "1")
    }
  }

  // MARK: Unloading

  @Test("one that does not come back from a gram can be unloaded and loaded again, long before its time to drain is over")
  func unloadStuck() throws {
    let house = try House([("ECHO", "hangs_in_receive", [:])]) { $0.reload.callMilliseconds = 200 }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try client.line(#"{"target":"ECHO","method":"hang","id":1}"#)
    let unloaded = try client.ask("KERNEL", "personas.unload", #"{"name":"ECHO"}"#, id: 2)
    #expect(unloaded["outcome"] == "unloaded" && unloaded["reason"]?.contains("does not come back") == true, "\(unloaded)")
    #expect(try client.ask("KERNEL", "personas.load", #"{"name":"ECHO"}"#, id: 3)["outcome"] == "loaded")
    #expect(try client.ask("ECHO", "x", id: 4)["count"] == "1")
  }

  @Test("loads, unloads and rollbacks that are asked for all at once are done one after the other, in order")
  func inOrder() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", defines: ["VERSION": "2"])
    let orders = ["reload", "rollback", "unload", "rollback", "load", "unload", "load"]
    for (id, order) in orders.enumerated() {
      try client.line("{\"target\":\"KERNEL\",\"method\":\"personas.\(order)\",\"payload\":{\"name\":\"ECHO\"},\"id\":\(id)}")
    }
    var outcomes: [String] = []
    for _ in orders { outcomes.append(try client.gram { $0.method == "receipt" }["outcome"] ?? "?") }
    #expect(outcomes == ["reloaded", "rolled_back", "unloaded", "refused", "loaded", "unloaded", "loaded"])
    #expect(try client.ask("ECHO", "echo", "1", id: 100)["version"] == "2")
  }
}
