import Testing
import TestSupport

@testable import Kernel

@Suite("Reload") struct ReloadTests {
  @Test("a new build replaces the old one, keeps its state, and the client stays connected")
  func replaces() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    #expect(try client.ask("ECHO", "say", "\"hi\"", id: 1)["count"] == "1")
    try house.build("ECHO", defines: ["VERSION": "2"])
    let receipts = try client.ask("KERNEL", "personas.reload", "{\"name\":\"ECHO\"}", id: 2)
    let receipt = (receipts.payload["receipts"] as? [[String: Any]])?.first ?? [:]
    #expect(receipt["outcome"] as? String == "reloaded", "\(receipts)")
    #expect(receipt["from"] as? Int == 1)
    #expect(receipt["to"] as? Int == 2)
    let after = try client.ask("ECHO", "say", "\"again\"", id: 3)
    #expect(after["version"] == "2")
    #expect(after["count"] == "2")
  }
}
