import Foundation
import TestSupport
import Testing

/// What a persona's code does to the whole process is noticed, put back and told, and outlives nobody.
@Suite("The process belongs to the kernel") struct ProcessGuardTests {
  private func house(_ defines: [String: String] = [:]) throws -> (kernel: RealKernel, client: Client) {
    let kernel = try RealKernel("", start: false)
    try Fixtures.install("spoils_process", as: "SPOILER", in: kernel.folder, defines: defines)
    try kernel.write("[persona.SPOILER]\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    return (kernel, client)
  }

  /// Asks for harmless things until the log says this; the process is looked after once a second at most.
  private func log(_ kernel: RealKernel, _ client: Client, says words: String) throws {
    let end = Date().addingTimeInterval(30)
    while Date() < end {
      if kernel.log.contains(words) { return }
      _ = try client.ask("SPOILER", "nothing", id: 5)
      usleep(20_000)
    }
    throw Client.Lost(description: "the log does not say \(words): \(kernel.log)")
  }

  @Test(
    "what it changes in a message is put back, and the log says who it was",
    arguments: [
      ("chdir", "the working folder (to /proc/"), ("umask", "the umask (to 00)"), ("SIGCHLD", "what SIGCHLD does (it was ignored)"),
      ("stdout", "standard output"), ("stderr", "standard error"), ("alarm", "the alarm clock"), ("locale", "the locale (to "),
    ])
  func putBack(method: String, words: String) throws {
    let (kernel, client) = try house()
    _ = try client.ask("SPOILER", method, id: 1)
    try log(kernel, client, says: words)
    #expect(kernel.log.contains("SPOILER has changed in "), "\(kernel.log)")
    let folder = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(kernel.process.processIdentifier)/cwd")
    #expect(folder == FileManager.default.currentDirectoryPath)
    // A library that crashes is still told as one that crashes: the kernel hears of its children.
    try Fixtures.install("crashes_in_create", as: "SPOILER", in: kernel.folder)
    let refused = try client.gram { $0.method == "receipt" && $0["outcome"] == "refused" }
    #expect(refused["reason"]?.contains("crashed in rehearsal, in create") == true, "\(refused)")
  }

  @Test("that it has closed descriptors of the kernel is told, with who it was")
  func descriptors() throws {
    let (kernel, client) = try house()
    _ = try client.ask("SPOILER", "descriptors", id: 1)
    try log(kernel, client, says: "descriptors that are the kernel's")
    #expect(kernel.log.contains("SPOILER has closed in "), "\(kernel.log)")
  }

  @Test("SIGTERM ends a kernel whose persona ignores it")
  func term() throws {
    let (kernel, client) = try house()
    _ = try client.ask("SPOILER", "SIGTERM", id: 1)
    kernel.process.terminate()
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0 && kernel.process.terminationReason == .exit)
  }

  @Test("what it changes in create() is told in the receipt, by its rehearsal")
  func rehearsed() throws {
    let (kernel, client) = try house()
    try Fixtures.install("spoils_process", as: "SPOILER", in: kernel.folder, defines: ["IN_CREATE": "SIGCHLD"])
    let receipt = try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }
    let warnings = receipt.payload["warnings"] as? [String] ?? []
    #expect(warnings.contains { $0.contains("changes in create what belongs to the whole process: what SIGCHLD does") }, "\(receipt)")
  }

  @Test("a child that it forks keeps neither the locks nor the clients of a kernel that has died")
  func fork() throws {
    let (kernel, client) = try house()
    let child = try #require(Int32(client.ask("SPOILER", "fork", id: 1)["child"] ?? ""))
    defer { kill(child, SIGKILL) }
    let pid = kernel.process.processIdentifier
    kill(pid, SIGKILL)
    // Not waitUntilExit(): Foundation sees the end of a process by a descriptor that the child has, too.
    while (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.contains(") Z ") == false { usleep(5000) }
    #expect(kill(child, 0) == 0)
    var end = ""
    do { while true { _ = try client.gram() } } catch { end = "\(error)" }
    // What the kernel had not read yet makes a reset of the end.
    #expect(end == "the kernel closed the connection" || end.contains("reset"), "\(end)")
    let began = Date()
    let again = try RealKernel(after: kernel)
    #expect(try again.client("GUI").ask("SPOILER", "any", id: 1).method == "reply")
    #expect(Date().timeIntervalSince(began) < 15)
    let copies = try FileManager.default.contentsOfDirectory(atPath: kernel.folder + "/data/libraries")
    #expect(copies.count == 1, "those of the dead one are swept: \(copies)")
  }

  @Test("a persona that writes into the kernel's tables spoils no other one: it dies of it")
  func tables() throws {
    let (kernel, client) = try house()
    _ = try? client.ask("SPOILER", "table", id: 1)
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationReason == .uncaughtSignal || kernel.process.terminationStatus != 0)
  }
}
