import Foundation
import System
import TestSupport
import Protocol
import Testing

@testable import Kernel

/// personas.toml is read again at bad moments.
@Suite("Configuration at bad moments") struct MisbehaviourConfigurationTests {
  private func persona(_ more: String = "", library: String = "ECHO") -> PersonaConfiguration {
    PersonaConfiguration(name: "ECHO", library: library, json: Array("{\"name\":\"ECHO\"\(more)}".utf8))
  }

  /// What SIGHUP does; returns when it is done.
  private func apply(_ house: House, _ personas: [PersonaConfiguration]) throws -> Config.Reload.Reply {
    let changes = Promise<LoopOnly<Config.Reload.Reply>>()
    house.inbox.post { kernel in changes.fulfill(LoopOnly(kernel.supervisor.apply(personas, kernel.supervisor.settings))) }
    return try #require(changes.wait(milliseconds: 10_000)).value
  }

  private func states(_ client: Client, id: Int) throws -> [String] {
    let personas = try client.ask("KERNEL", "personas.list", id: id).payload["personas"] as? [[String: Any]] ?? []
    return personas.compactMap { $0["state"] as? String }
  }

  @Test("a persona that has failed because of its configuration is loaded when that is corrected")
  func corrected() throws {
    let house = try House([("ECHO", "wants_key", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    #expect(try client.ask("ECHO", "config", id: 1).message?.contains("it has no key; give it one in personas.toml") == true)
    #expect(try apply(house, [persona(#","key":1"#)]).changed == ["ECHO"])
    try house.settle("ECHO", as: client)
    #expect(try client.ask("ECHO", "config", id: 2)["key"] == "1")
  }

  @Test("a configuration that changes while a generation is being loaded reaches it")
  func meanwhile() throws {
    let house = try House([("ECHO", "wants_key", [:])]) { $0.personas[0].json = Array(#"{"name":"ECHO","key":0}"#.utf8) }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    for key in 1...20 {
      try client.line(
        "{\"target\":\"KERNEL\",\"method\":\"personas.reload\",\"payload\":{\"name\":\"ECHO\",\"force\":true},\"id\":\(2 * key)}")
      _ = try client.ask("KERNEL", "ping", id: 1000)
      _ = try apply(house, [persona(",\"key\":\(key)")])
      _ = try client.gram { $0.re == "\(2 * key)" }
      // It is told on its lane, beside the grams.
      var told: String?
      for id in 2000..<3000 where told != "\(key)" { told = try client.ask("ECHO", "config", id: id)["key"] }
      #expect(told == "\(key)")
    }
  }

  @Test("when the library that the configuration names is refused, the running one is told the rest of the change")
  func half() throws {
    let house = try House([("ECHO", "wants_key", [:])]) { $0.personas[0].json = Array(#"{"name":"ECHO","key":0}"#.utf8) }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    _ = try apply(house, [persona(#","key":5"#, library: "NONE")])
    _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "refused" }
    var told: String?
    for id in 1...1000 where told != "5" { told = try client.ask("ECHO", "config", id: id)["key"] }
    #expect(told == "5")
  }

  @Test("a persona that is taken out and put back while it finishes what it was asked is there when it has finished")
  func comesBack() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    _ = try client.ask("ECHO", "echo", "1", id: 1)
    try client.line(#"{"target":"ECHO","method":"later","payload":200,"id":2}"#)
    _ = try client.ask("KERNEL", "ping", id: 3)
    #expect(try apply(house, []).removed == ["ECHO"])
    #expect(try apply(house, []).removed == [])
    #expect(try apply(house, [persona()]).added == ["ECHO"])
    #expect(try apply(house, [persona()]).added == [])
    #expect(try client.gram { $0.re == "2" }["echo"] == "200")
    _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "loaded" }
    #expect(try client.ask("ECHO", "echo", "1", id: 4)["count"] == "3")
  }

  @Test("a persona that is taken out while it is being loaded goes, and its name is free")
  func takenOut() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    #expect(try apply(house, []).removed == ["ECHO"])
    _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "unloaded" }
    #expect(try states(client, id: 1) == [])
    let other = try house.attached("ECHO")
    #expect(try other.ask("KERNEL", "ping", id: 1).method == "reply")
  }

  @Test("a persona whose name a client holds is not told to be added")
  func nameTaken() throws {
    let house = try House([])
    let other = try house.attached("ECHO")
    #expect(try apply(house, [persona()]).added == [])
    #expect(try other.ask("KERNEL", "ping", id: 1).method == "reply")
  }

  @Test("what is asked of a persona that leaves ends in words, and nobody is left behind under no name")
  func asked() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try client.line(#"{"target":"ECHO","method":"later","payload":100,"id":1}"#)
    _ = try client.ask("KERNEL", "ping", id: 2)
    _ = try apply(house, [])
    for (id, method) in ["load", "rollback", "unload"].enumerated() {
      try client.line("{\"target\":\"KERNEL\",\"method\":\"personas.\(method)\",\"payload\":{\"name\":\"ECHO\"},\"id\":\(10 + id)}")
    }
    #expect(try client.gram { $0.re == "1" }["echo"] == "100")
    #expect(try client.gram { $0.re == "10" }["reason"]?.contains("no more") == true)
    #expect(try client.gram { $0.re == "11" }["outcome"] == "refused")
    #expect(try client.gram { $0.re == "12" }["outcome"] == "unloaded")
    #expect(try states(client, id: 20) == [])
  }

  @Test(
    "one that hangs, or has forgotten an answer, can be taken out, and what still ends of it does no harm",
    arguments: ["hangs_in_receive", "never_replies"])
  func hanging(fixture: String) throws {
    let house = try House([("ECHO", fixture, [:]), ("OTHER", "echo", [:])]) {
      $0.reload.callMilliseconds = 100
      $0.reload.drainMilliseconds = 200
    }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.settle("OTHER", as: client)
    try client.line(#"{"target":"ECHO","method":"hang","id":1,"deadline_ms":700}"#)
    try client.line(#"{"target":"ECHO","method":"hang","id":2,"deadline_ms":100}"#)
    _ = try client.ask("KERNEL", "ping", id: 3)
    let other = PersonaConfiguration(name: "OTHER", library: "OTHER", json: Array(#"{"name":"OTHER"}"#.utf8))
    #expect(try apply(house, [other]).removed == ["ECHO"])
    let end = try client.gram { $0.re == "1" }
    #expect(["retired", "deadline"].contains(end.code), "\(end)")
    for id in 10..<60 {
      #expect(try client.ask("OTHER", "echo", "1", id: id).method == "reply")
      usleep(20_000)
    }
  }
}
