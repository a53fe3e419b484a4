import Foundation
import TestSupport
import Testing

/// What only the real process shows: its end, its files, its log, and that it lives on.
@Suite("The kernel's process") struct KernelProcessTests {
  private func house(_ toml: String = "[persona.ECHO]\n", fixtures: [(String, String, [String: String])] = [("ECHO", "echo", [:])]) throws
    -> RealKernel
  {
    let kernel = try RealKernel("", start: false)
    for (name, fixture, defines) in fixtures {
      try Fixtures.install(fixture, as: name, in: kernel.folder, defines: ["NAME": name].merging(defines) { $1 })
    }
    try kernel.write(toml.replacing("FOLDER", with: kernel.folder))
    return kernel
  }

  private func mode(_ path: String) -> mode_t {
    var info = stat()
    return lstat(path, &info) == 0 ? info.st_mode & 0o7777 : 0
  }

  private func copies(_ kernel: RealKernel) -> [String] {
    let base = kernel.folder + "/data/libraries"
    return ((try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []).filter { $0.hasPrefix("libraries.") }
  }

  /// Waits until the log says this.
  private func log(_ kernel: RealKernel, says words: String) throws {
    let limit = Date().addingTimeInterval(20)
    while Date() < limit {
      if kernel.log.contains(words) { return }
      usleep(5000)
    }
    throw Client.Lost(description: "the log does not say \(words): \(kernel.log)")
  }

  private func list(_ client: Client, id: Int) throws -> [[String: Any]] {
    try client.ask("KERNEL", "personas.list", id: id).payload["personas"] as? [[String: Any]] ?? []
  }

  // MARK: The end

  @Test("SIGTERM and SIGINT let every persona come back from stop and destroy", arguments: [SIGTERM, SIGINT])
  func lastWords(signal: Int32) throws {
    let kernel = try house(
      "[persona.ECHO]\nfile = \"FOLDER/destroyed\"\n", fixtures: [("ECHO", "last_words", ["MILLISECONDS": "300"])])
    try kernel.start()
    let client = try kernel.client("GUI")
    #expect(try kernel.settled(client).first?["state"] as? String == "running")
    try? FileManager.default.removeItem(atPath: kernel.folder + "/destroyed")  // of the rehearsal
    _ = try client.ask("KERNEL", "topics.subscribe", #"{"topic":"last"}"#, id: 1)
    kill(kernel.process.processIdentifier, signal)
    #expect(try client.gram { $0.method == "goodbye" }.source == "ECHO")
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0 && kernel.process.terminationReason == .exit)
    #expect(FileManager.default.fileExists(atPath: kernel.folder + "/destroyed"))
    #expect(copies(kernel) == [])
  }

  @Test("a persona that does not come back does not keep the kernel from ending")
  func clinger() throws {
    let kernel = try house("[reload]\ncall_ms = 1000\ndrain_ms = 300\n[persona.ECHO]\n", fixtures: [("ECHO", "hangs_in_receive", [:])])
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    try client.line(#"{"target":"ECHO","method":"hang","id":1}"#)
    _ = try client.ask("KERNEL", "ping", id: 2)
    kernel.process.terminate()
    #expect(throws: Client.Lost.self) { while true { _ = try client.gram(seconds: 9) } }
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0 && kernel.process.terminationReason == .exit, "\(kernel.log)")
    #expect(kernel.log.contains("stopped"))
  }

  @Test("a thread of a persona that goes on calling while the kernel ends does no harm")
  func ghost() throws {
    for _ in 0..<3 {
      let kernel = try house(fixtures: [("ECHO", "calls_after_retirement", [:])])
      try kernel.start()
      _ = try kernel.settled(kernel.client("GUI"))
      kernel.process.terminate()
      kernel.process.waitUntilExit()
      #expect(kernel.process.terminationStatus == 0 && kernel.process.terminationReason == .exit, "\(kernel.log)")
    }
  }

  @Test("after kill -9 nothing is in the way, and the copies that the dead one left are swept")
  func killed() throws {
    let kernel = try house()
    try kernel.start()
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(copies(kernel).count == 1)
    #expect(mode(kernel.folder + "/data/libraries") == 0o700 && mode(kernel.folder + "/data/libraries/" + copies(kernel)[0]) == 0o700)
    let first = copies(kernel)
    kill(kernel.process.processIdentifier, SIGKILL)
    kernel.process.waitUntilExit()
    let again = try RealKernel(after: kernel)
    let client = try again.client("GUI")
    _ = try again.settled(client)
    #expect(copies(again).count == 1 && copies(again) != first)
    #expect(try client.ask("ECHO", "echo", "1", id: 1).method == "reply")
  }

  @Test("a kernel that is refused leaves nothing behind, and the one that runs keeps its copies")
  func refused() throws {
    let kernel = try house()
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    let before = copies(kernel)
    let second = try RealKernel.run([Products.folder + "/batkernel", "--config", kernel.toml])
    #expect(second.status == 1 && second.errors.contains("another kernel (pid \(kernel.process.processIdentifier))"), "\(second)")
    #expect(copies(kernel) == before)
    #expect(try client.ask("ECHO", "echo", "1", id: 1).method == "reply")
    #expect(mode(kernel.socket) == 0o600)
  }

  @Test("the socket's folder is made, for its user alone")
  func folder() throws {
    let kernel = try house()
    let socket = kernel.folder + "/a/b/k.sock"
    try kernel.start(["--socket", socket], at: socket)
    #expect(mode(kernel.folder + "/a/b") == 0o700 && mode(socket) == 0o600)
  }

  // MARK: SIGHUP

  @Test("a file with a mistake changes nothing on SIGHUP, and the log names file, line and column")
  func broken() throws {
    let kernel = try house("[persona.ECHO]\nmood = \"calm\"\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    try kernel.write("[persona.ECHO]\nmood = \"merry\"\n[reload]\nwach = true\n")
    kill(kernel.process.processIdentifier, SIGHUP)
    try log(kernel, says: "personas.toml:8:1: reload.wach")
    #expect(try client.ask("ECHO", "config", id: 1)["mood"] == "calm")
    try kernel.write("[persona.ECHO]\nmood = \"merry\n")
    kill(kernel.process.processIdentifier, SIGHUP)
    try log(kernel, says: "personas.toml:6:")
    try FileManager.default.removeItem(atPath: kernel.toml)
    kill(kernel.process.processIdentifier, SIGHUP)
    try log(kernel, says: "cannot be read")
    #expect(try client.ask("ECHO", "config", id: 2)["mood"] == "calm")
    #expect(try list(client, id: 3).first?["generation"] as? Int == 1)
  }

  @Test("many SIGHUPs in a row end in what the file says last")
  func storm() throws {
    let kernel = try house(fixtures: [("ECHO", "echo", [:]), ("OTHER", "echo", [:])])
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    for n in 0..<60 {
      try kernel.write(n % 2 == 0 ? "[persona.OTHER]\n" : "[persona.ECHO]\nmood = \(n)\n")
      kill(kernel.process.processIdentifier, SIGHUP)
      #expect(try client.ask("KERNEL", "ping", id: n).method == "reply")
    }
    _ = try client.ask("KERNEL", "config.reload", id: 100)
    let limit = Date().addingTimeInterval(20)
    var id = 1000
    while Date() < limit {
      id += 1
      let personas = try list(client, id: id)
      if personas.compactMap({ $0["name"] as? String }) == ["ECHO"], personas[0]["state"] as? String == "running" { break }
      usleep(5000)
    }
    var mood: String?
    for id in 5000..<6000 where mood != "59" { mood = try client.ask("ECHO", "config", id: id)["mood"] }
    #expect(mood == "59")
  }

  // MARK: Files that change

  @Test("a file that is replaced by a rename is reloaded by itself, and one that is not fit is refused, rehearsed in a child")
  func watched() throws {
    let kernel = try house("[reload]\nsettle_ms = 30\ncall_ms = 3000\n[persona.ECHO]\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    try Fixtures.install("echo", as: "ECHO", in: kernel.folder, defines: ["VERSION": "2"])
    let good = try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }
    #expect(good["to"] == "2" && good["version"] == "2" && good["rehearsal_ms"] != nil, "\(good)")
    try Fixtures.install("crashes_in_load", as: "ECHO", in: kernel.folder)
    let bad = try client.gram { $0.method == "receipt" && $0["outcome"] == "refused" }
    #expect(bad["reason"]?.contains("crashed in rehearsal, in load") == true && bad["reason"]?.contains("signal 11") == true, "\(bad)")
    #expect(try client.ask("ECHO", "echo", "1", id: 1)["version"] == "2")
  }

  @Test("a library that comes later brings its persona in, and one that goes leaves it running")
  func later() throws {
    let kernel = try house("[reload]\nsettle_ms = 30\n[persona.ECHO]\n", fixtures: [])
    try kernel.start()
    let client = try kernel.client("GUI")
    #expect(try kernel.settled(client).first?["state"] as? String == "failed")
    #expect(try client.ask("ECHO", "echo", "1", id: 1).message?.contains("there is no library") == true)
    try Fixtures.install("echo", as: "ECHO", in: kernel.folder)
    _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "loaded" }
    try FileManager.default.removeItem(atPath: kernel.folder + "/libECHO.so")
    #expect(try client.ask("ECHO", "echo", "1", id: 2)["count"] == "1")
    try Fixtures.install("echo", as: "ECHO", in: kernel.folder, defines: ["VERSION": "2"])
    #expect(try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }["version"] == "2")
  }

  @Test("--check of a file with a mistake ends with 1 and tells line and column; of a good one with 0; it needs no kernel")
  func check() throws {
    let batkernel = Products.folder + "/batkernel"
    let kernel = try house()
    let good = try RealKernel.run([batkernel, "--check", "--config", kernel.toml])
    #expect(good.status == 0 && good.output.contains("ECHO: ok"), "\(good)")
    try kernel.write("[persona.ECHO]\nlibary = \"x\"\n")
    let bad = try RealKernel.run([batkernel, "--check", "--config", kernel.toml])
    #expect(bad.status == 1 && bad.output.contains("personas.toml:6:1: persona.ECHO.libary"), "\(bad)")
    #expect(try RealKernel.run([batkernel, "--check", "--config", kernel.folder + "/none.toml"]).status == 1)
    let start = try RealKernel.run([batkernel, "--config", kernel.toml])
    #expect(start.status == 1 && start.errors.contains("personas.toml:6:1"), "\(start)")
  }

  // MARK: parlor

  @Test("parlor's deadline ends with 5, a refused reload with 1, no kernel with 3, and the receipts are told in words")
  func statuses() throws {
    let kernel = try house("[persona.ECHO]\n[persona.NEVER]\n", fixtures: [("ECHO", "echo", [:]), ("NEVER", "never_replies", [:])])
    try kernel.start()
    _ = try kernel.settled(kernel.client("GUI"))
    let slow = try kernel.parlor("ask", "-p", "NEVER", "--deadline", "0.2", "hello")
    #expect(slow.status == 5 && slow.output.isEmpty && slow.errors.contains("deadline"), "\(slow)")
    #expect(try kernel.parlor("send", "ECHO", "echo", "[1]").output.contains("\"echo\":[1]"))
    #expect(try kernel.parlor("rollback", "ECHO").status == 1)
    #expect(try kernel.parlor("reload", "--all").status == 0)
    try Fixtures.install("refuses_load", as: "ECHO", in: kernel.folder)
    let refused = try kernel.parlor("reload", "ECHO")
    #expect(refused.status == 1 && refused.errors.contains("it does not like that state"), "\(refused)")
    #expect(try kernel.parlor("send", "ECHO", "echo", "1").status == 0)
    kernel.process.terminate()
    kernel.process.waitUntilExit()
    #expect(try kernel.parlor("ping").status == 3)
  }
}
