import Foundation
import System
import Testing
import TestSupport

@testable import Kernel

@Suite("Reload") struct ReloadTests {
  @Test("a new build replaces the old one, keeps its state, and the client stays connected")
  func replaces() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    #expect(try client.ask("ECHO", "echo", "\"hi\"", id: 1)["count"] == "1")
    try house.build("ECHO", defines: ["VERSION": "2"])
    let receipts = try client.ask("KERNEL", "personas.reload", "{\"name\":\"ECHO\"}", id: 2)
    let receipt = (receipts.payload["receipts"] as? [[String: Any]])?.first ?? [:]
    #expect(receipt["outcome"] as? String == "reloaded", "\(receipts)")
    #expect(receipt["from"] as? Int == 1)
    #expect(receipt["to"] as? Int == 2)
    let after = try client.ask("ECHO", "echo", "\"again\"", id: 3)
    #expect(after["version"] == "2")
    #expect(after["count"] == "2")
  }

  /// The receipt of one reload.
  private func reload(_ client: Client, _ name: String, id: Int, force: Bool = false) throws -> [String: Any] {
    let reply = try client.ask("KERNEL", "personas.reload", "{\"name\":\"\(name)\",\"force\":\(force)}", id: id)
    return (reply.payload["receipts"] as? [[String: Any]])?.first ?? ["outcome": reply.line]
  }

  @Test("the same file does nothing, and force reloads it all the same")
  func unchanged() throws {
    let house = try House([("ECHO", "echo", [:])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    #expect(try reload(client, "ECHO", id: 1)["outcome"] as? String == "unchanged")
    #expect(try reload(client, "ECHO", id: 2, force: true)["to"] as? Int == 2)
  }

  @Test("copies of refused libraries go at once, and of long series of generations the last ones stay")
  func copies() throws {
    let house = try House([("ECHO", "echo", [:])], rehearse: true)
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    let base = house.folder + "/libraries"
    let store = try #require(try FileManager.default.contentsOfDirectory(atPath: base).first)
    func copies() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "\(base)/\(store)").count { $0.hasSuffix(".so") } }
    #expect(try copies() == 1)
    for (id, fixture) in ["crashes_in_create", "refuses_create", "crashes_on_open", "undefined_symbol", "bad_magic"].enumerated() {
      try house.build("ECHO", fixture, defines: [:])
      #expect(try reload(client, "ECHO", id: id)["outcome"] as? String == "refused", "\(fixture)")
    }
    #expect(try copies() == 1)
    for id in 10..<35 {
      try house.build("ECHO", defines: ["VERSION": "\(id)"])
      #expect(try reload(client, "ECHO", id: id)["outcome"] as? String == "reloaded")
    }
    #expect(try copies() == Lineage.keptCopies)
  }

  @Test("what hangs is replaced by force: whoever waits is told at once, and stats tell what the thread that is left behind costs")
  func forced() throws {
    let house = try House([("ECHO", "hangs_in_receive", [:])]) { $0.reload.callMilliseconds = 300 }
    let (client, admin) = (try house.attached("GUI"), try house.attached("ADMIN"))
    try house.settle("ECHO", as: admin)
    try client.line(#"{"target":"ECHO","method":"hang","id":1}"#)
    _ = try client.ask("KERNEL", "ping", id: 2)
    try house.build("ECHO", defines: ["VERSION": "2"])
    let hung = try reload(admin, "ECHO", id: 2)
    #expect(
      hung["outcome"] as? String == "refused" && (hung["reason"] as? String)?.contains("`parlor reload ECHO --force`") == true, "\(hung)")
    let forced = try reload(admin, "ECHO", id: 3, force: true)
    #expect(forced["outcome"] as? String == "reloaded", "\(forced)")
    #expect((forced["warnings"] as? [String] ?? []).contains { $0.contains("generation 1 does not come back from a call") }, "\(forced)")
    // It has ten minutes to drain, and is not waited for.
    let told = try client.gram { $0.re == "1" }
    #expect(told.code == "retired" && told.message?.contains("did not come back from a call") == true, "\(told)")
    var stuck: [[String: Any]] = []
    for id in 10..<4000 where stuck.isEmpty {
      stuck = try admin.ask("KERNEL", "stats", id: id).payload["stuck"] as? [[String: Any]] ?? []
      usleep(5000)
    }
    #expect(stuck.count == 1 && stuck[0]["persona"] as? String == "ECHO" && stuck[0]["generation"] as? Int == 1, "\(stuck)")
    #expect(stuck[0]["replaced"] as? Bool == true && stuck[0]["busy_ms"] as? Int ?? 0 > 0 && stuck[0]["cpu_ms"] is Int, "\(stuck)")
  }

  @Test("that a generation does not come back is told to everybody, with what helps")
  func unwell() throws {
    let house = try House([("ECHO", "hangs_in_health", [:])]) { $0.reload.callMilliseconds = 200 }
    let client = try house.attached("GUI")
    let receipt = try client.gram { $0.method == "receipt" && $0["outcome"] == "unwell" }
    #expect(receipt["persona"] == "ECHO" && receipt["reason"]?.contains("`parlor reload ECHO --force`") == true, "\(receipt)")
  }

  @Test("a crash in rehearsal is told with the line of the source, where the library knows its lines")
  func crashLine() throws {
    let house = try House([("ECHO", "settings", [:])], rehearse: true)
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    let library = try Fixtures.build("crashes_at_line", options: ["-g"])
    let payload = #"{"name":"ECHO","library":"\#(library)"}"#
    try client.line("{\"target\":\"KERNEL\",\"method\":\"personas.reload\",\"payload\":\(payload),\"id\":1}")
    let reply = try client.gram(seconds: 60) { $0.re == "1" }
    let source = try String(contentsOfFile: Products.repository + "/Tests/Fixtures/crashes_at_line.c", encoding: .utf8)
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
    let line = try #require(lines.firstIndex { $0.contains("THE LINE") }) + 1
    let reason = (reply.payload["receipts"] as? [[String: Any]])?.first?["reason"] as? String ?? ""
    #expect(reason.contains("crashed in rehearsal, in create: Segmentation fault (signal 11): read_nowhere at "), "\(reply)")
    #expect(reason.contains("crashes_at_line.c:\(line)"), "\(reply)")
  }

  @Test("another library can be loaded once in the place of the persona's own, for one persona and from a full path")
  func otherLibrary() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    let other = try Fixtures.build("echo", defines: ["NAME": "ECHO", "VERSION": "dev"])
    let receipt = try client.ask("KERNEL", "personas.reload", #"{"name":"ECHO","library":"\#(other)"}"#, id: 1)
    #expect(receipt.line.contains(#""outcome":"reloaded""#) && receipt.line.contains(#""version":"dev""#))
    #expect(try client.ask("ECHO", "echo", "1", id: 2)["version"] == "dev")
    #expect(try reload(client, "ECHO", id: 3)["outcome"] as? String == "reloaded")
    #expect(try client.ask("ECHO", "echo", "1", id: 4)["version"] == "1")
    #expect(try client.ask("KERNEL", "personas.reload", #"{"name":"ECHO","library":"here.so"}"#, id: 5).code == "invalid")
    #expect(try client.ask("KERNEL", "personas.reload", #"{"names":["ECHO","ECHO"],"library":"/a.so"}"#, id: 6).code == "invalid")
  }

  @Test("what the old code was asked before, it finishes after, and its answer is its own")
  func drains() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let (client, admin) = (try house.attached("GUI"), try house.attached("ADMIN"))
    try house.settle("ECHO", as: admin)
    try client.line(#"{"target":"ECHO","method":"later","payload":300,"id":1}"#)
    // Answered after that has begun: what has not begun goes to the new code.
    _ = try client.ask("ECHO", "count", id: 4)
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(admin, "ECHO", id: 2)["outcome"] as? String == "reloaded")
    #expect(try admin.ask("ECHO", "echo", "1", id: 3)["version"] == "2")
    let late = try client.gram { $0.re == "1" }
    #expect(late["version"] == "1", "\(late)")
  }

  @Test("rollback brings the earlier code back as a new generation, with the state of now")
  func rollback() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let client = try house.attached("GUI")
    _ = try client.ask("ECHO", "echo", "1", id: 1)
    #expect(try client.ask("KERNEL", "personas.rollback", #"{"name":"ECHO"}"#, id: 2)["outcome"] == "refused")
    try house.build("ECHO", defines: ["VERSION": "2"])
    _ = try reload(client, "ECHO", id: 3)
    _ = try client.ask("ECHO", "echo", "1", id: 4)
    let receipt = try client.ask("KERNEL", "personas.rollback", #"{"name":"ECHO"}"#, id: 5)
    #expect(receipt["outcome"] == "rolled_back" && receipt["to"] == "3", "\(receipt)")
    let after = try client.ask("ECHO", "echo", "1", id: 6)
    #expect(after["version"] == "1" && after["count"] == "3")
  }

  @Test("a rollback to a version that cannot read the newest state says so; that state is kept for one that can")
  func olderState() throws {
    let house = try House([("ECHO", "echo", ["STATE": "1"])])
    let client = try house.attached("GUI")
    _ = try client.ask("ECHO", "echo", "1", id: 1)
    try house.build("ECHO", defines: ["STATE": "2 reads 1"])
    #expect(try reload(client, "ECHO", id: 2)["warnings"] == nil)
    #expect(try client.ask("ECHO", "echo", "1", id: 3)["count"] == "2")
    let back = try client.ask("KERNEL", "personas.rollback", #"{"name":"ECHO"}"#, id: 4)
    #expect(back["outcome"] == "rolled_back")
    #expect((back.payload["warnings"] as? [String])?.first?.contains("an older one of schema 1") == true, "\(back)")
    #expect(try client.ask("ECHO", "echo", "1", id: 5)["count"] == "2")
  }

  @Test("every attached client gets the receipt, and an original one hears nothing")
  func receipts() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])])
    let (a, b, plain) = (try house.attached("A"), try house.attached("B"), try house.client("PLAIN"))
    try house.settle("ECHO", as: a)
    try house.build("ECHO", defines: ["VERSION": "2"])
    _ = try reload(a, "ECHO", id: 1)
    #expect(try b.gram { $0.method == "receipt" && $0["to"] == "2" }["version"] == "2")
    try plain.line(#"{"target":"KERNEL","method":"ping","id":1}"#)
    #expect(try plain.gram().re == "1")
  }

  @Test("a library that changes on disk is reloaded by itself, once, when it has come to rest")
  func watched() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])]) {
      $0.reload.watch = true; $0.reload.settleMilliseconds = 40
    }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", defines: ["VERSION": "2"])
    let receipt = try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }
    #expect(receipt["to"] == "2")
    #expect(try client.ask("ECHO", "echo", "1", id: 1)["version"] == "2")
  }

  @Test("messages under a hundred reloads: none lost, none twice, all in order")
  func underLoad() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])]) { $0.limits.requests = 1 << 20 }
    let (client, admin) = (try house.attached("GUI"), try house.attached("ADMIN"))
    try house.settle("ECHO", as: admin)
    let total = 20_000
    Thread.detachNewThread {
      for first in stride(from: 0, to: total, by: 100) {
        var lines = ""
        for n in first..<first + 100 { lines += "{\"target\":\"ECHO\",\"method\":\"echo\",\"payload\":\(n),\"id\":\(n)}\n" }
        try? client.write(lines)
      }
    }
    Thread.detachNewThread { for id in 0..<100 { _ = try? reload(admin, "ECHO", id: id, force: true) } }
    for n in 0..<total {
      let gram = try client.gram { $0.re != nil }
      #expect(gram.re == "\(n)" && gram["echo"] == "\(n)" && gram["count"] == "\(n + 1)", "\(gram)")
      if gram.re != "\(n)" { break }
    }
  }

  @Test("a plugin folder is watched also when its path is written with a slash at its end")
  func slash() throws {
    let house = try House([("ECHO", "echo", ["VERSION": "1"])]) {
      $0.reload.watch = true
      $0.reload.settleMilliseconds = 40
      $0.pluginFolders = $0.pluginFolders.map { $0 + "/" }
    }
    let client = try house.attached("GUI")
    try house.settle("ECHO", as: client)
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }["to"] == "2")
  }

  @Test("several at once: each gets its receipt, in the order that was asked")
  func several() throws {
    let house = try House([("ONE", "echo", [:]), ("TWO", "echo", [:]), ("THREE", "echo", [:])])
    let client = try house.attached("GUI")
    for name in ["ONE", "TWO", "THREE"] { try house.settle(name, as: client) }
    try house.build("THREE", defines: ["VERSION": "2"])
    try house.build("ONE", defines: ["VERSION": "2"])
    let reply = try client.ask("KERNEL", "personas.reload", #"{"names":["THREE","TWO","ONE"]}"#, id: 1)
    let receipts = reply.payload["receipts"] as? [[String: Any]] ?? []
    #expect(receipts.map { $0["persona"] as? String } == ["THREE", "TWO", "ONE"])
    #expect(receipts.map { $0["outcome"] as? String } == ["reloaded", "unchanged", "reloaded"])
  }

  @Test("a reply that streams while its persona is reloaded comes whole, from the code that began it")
  func streaming() throws {
    let gate = Promise<Bool>()
    let model = ScriptedModel { _, tell in
      tell(.piece("before "))
      _ = gate.wait(milliseconds: 20_000)
      tell(.piece("after"))
      tell(.finished(.success(Array(#"{"text":"before after"}"#.utf8))))
    }
    let house = try House([("ECHO", "echo", ["VERSION": "1"])], language: model)
    let client = try house.attached("GUI")
    try client.line(#"{"target":"ECHO","method":"think","payload":"hi","id":1,"stream":true}"#)
    #expect(try client.gram { $0.method == "delta" }["text"] == "before ")
    try house.build("ECHO", defines: ["VERSION": "2"])
    #expect(try reload(client, "ECHO", id: 2)["outcome"] as? String == "reloaded")
    #expect(try client.ask("ECHO", "echo", "1", id: 3)["version"] == "2")
    gate.fulfill(true)
    #expect(try client.gram { $0.method == "delta" }["text"] == "after")
    #expect(try client.gram { $0.re == "1" }["text"] == "before after")
  }
}
