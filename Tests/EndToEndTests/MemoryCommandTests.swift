import Foundation
import TestSupport
import Testing

@Suite("parlor ingest and parlor memory") struct MemoryCommandTests {
  private static let words = "[memory]\nembedder = \"none\"\n"

  @Test("files become passages; the second time only what has changed is read, and what has gone is taken out")
  func rounds() throws {
    let kernel = try RealKernel(Self.words)
    let write = { try kernel.temporary.write($0, $1) }
    _ = try write("docs/a.md", "# Caves\n\nThe bats sleep in the east cave.\n\n## Doors\n\nThe door is behind the clock.\n")
    _ = try write("docs/b.html", "<title>Cars</title><p>The car is black.<script>no()</script>")
    _ = try write("docs/deep/c.py", "def cave():\n    return 'east'\n")
    _ = try write("docs/.hidden/d.md", "never")
    try Data([0xFF, 0xC0, 0, 1]).write(to: URL(filePath: kernel.folder + "/docs/e.txt"))
    let docs = kernel.folder + "/docs"
    let first = try kernel.parlor("ingest", docs, "--collection", "house")
    #expect(first.status == 1 && first.output == "4 files (3 new, 1 left out), 4 passages read in\n", "\(first)")
    #expect(first.errors.contains("docs/e.txt is left out: it is not text"), "\(first)")
    let query = try kernel.parlor("memory", "query", "house", "where", "is", "the", "door?", "--limit", "1")
    #expect(query.output.hasPrefix("[1] \(docs)/a.md, Caves › Doors, line 7 ("), "\(query)")
    #expect(query.output.contains("Caves › Doors\n\nThe door is behind the clock.\n"), "\(query)")
    #expect(try kernel.parlor("memory", "open", "house", "\(docs)/b.html#1").output.contains("Cars\n\nThe car is black.\n"))

    try FileManager.default.removeItem(atPath: docs + "/e.txt")
    try FileManager.default.removeItem(atPath: docs + "/b.html")
    _ = try write("docs/a.md", "# Caves\n\nThe bats have moved.\n")
    let second = try kernel.parlor("ingest", docs, "--collection", "house")
    #expect(second.status == 0 && second.output == "3 files (1 changed, 1 unchanged, 1 gone), 1 passages read in\n", "\(second)")
    #expect(try kernel.parlor("memory", "query", "house", "door car").output == "nothing fits\n")
    let lines = try kernel.parlor("memory", "export", "house").output.split(separator: "\n")
    #expect(lines.count == 2 && lines.allSatisfy { $0.hasPrefix("{") })

    #expect(try kernel.parlor("memory", "forget", "--source", docs + "/a.md").output == "forgotten: 1 passages\n")
    #expect(try kernel.parlor("memory").output.contains("USER/house  1          0        everyone  owner    words alone\n"))
    #expect(try kernel.parlor("memory", "share", "house", "ROBIN", "BABS").output.contains("BABS, ROBIN  owner"))
    #expect(try kernel.parlor("memory", "drop", "house").output == "dropped USER/house, 1 documents\n")
    let none = try kernel.parlor("memory", "query", "house", "x")
    #expect(none.status == 4 && none.errors.contains("there is no collection house"), "\(none)")
    #expect(try kernel.parlor("memory", "burn").status == 2 && kernel.parlor("ingest", docs).status == 2)
  }

  @Test("what cannot be read as a file is refused, with exit status 1; what the memory has of a file that is gone is taken out")
  func refused() throws {
    let kernel = try RealKernel(Self.words)
    let pipe = kernel.folder + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    for (path, words) in [
      (pipe, "is left out: it is neither a regular file nor a folder"),
      ("/dev/zero", "is left out: it is neither a regular file nor a folder"),
      (kernel.folder + "/none.md", "is left out: there is no such file or folder"), ("", "a path is empty"),
    ] {
      let result = try kernel.parlor("ingest", path, "--collection", "house")
      #expect(result.status == 1 && result.errors.contains(words), "\(path): \(result)")
    }
    let file = try kernel.temporary.write("a.md", "# Buy milk")
    #expect(try kernel.parlor("ingest", file, "--collection", "house").output == "1 file (1 new), 1 passages read in\n")
    try FileManager.default.removeItem(atPath: file)
    let gone = try kernel.parlor("ingest", file, "--collection", "house")
    #expect(gone.status == 0 && gone.output == "1 file (1 gone), 0 passages read in\n", "\(gone)")
  }

  @Test("names that are no UTF-8 or only look the same are files of their own; kinds that are not read are told; so is a page without text")
  func names() throws {
    let kernel = try RealKernel(Self.words)
    let docs = kernel.folder + "/docs"
    _ = try RealKernel.run(["mkdir", docs])
    let script =
      "cd \(docs); printf one > $'a\\xff.md'; printf two > $'\\xc3\\xa9.md'; printf three > $'e\\xcc\\x81.md'; printf x > y.bin; ln -s . loop; printf %%PDF > scan.pdf"
    #expect(try RealKernel.run(["bash", "-c", script]).status == 0)
    // In place of the program that reads PDF: a scan has pages and no text.
    let tools = try kernel.temporary.writeProgram("tools/pdftotext", "#!/bin/sh\ncat > /dev/null\nprintf '\\f\\f'\n")
    let path = ["PATH": URL(filePath: tools).deletingLastPathComponent().path + ":/usr/bin:/bin"]
    let parlor = [Products.folder + "/parlor", "--socket", kernel.socket]
    let first = try RealKernel.run(parlor + ["ingest", docs, "--collection", "c"], environment: path)
    #expect(first.status == 1 && first.output == "4 files (3 new, 1 left out), 3 passages read in\n", "\(first)")
    #expect(first.errors.contains("2 files are passed over: 1 of unknown kinds (.bin), 1 symbolic link"), "\(first)")
    #expect(first.errors.contains("scan.pdf is left out: there is no text in it"), "\(first)")
    let second = try RealKernel.run(parlor + ["ingest", docs, "--collection", "c"], environment: path)
    #expect(second.output == "4 files (3 unchanged, 1 left out), 0 passages read in\n", "\(second)")
    #expect(try kernel.parlor("memory", "query", "c", "one").output.hasPrefix("[1] \(docs)/a\\xFF.md"))
    // By its bytes on the command line, too; and one of the twins is gone.
    #expect(try RealKernel.run(["bash", "-c", "cd \(docs); rm $'e\\xcc\\x81.md' scan.pdf"]).status == 0)
    let named = try RealKernel.run(["bash", "-c", "\(parlor.joined(separator: " ")) ingest $'\(docs)/a\\xff.md' --collection c"])
    #expect(named.output == "1 file (1 unchanged), 0 passages read in\n", "\(named)")
    let third = try kernel.parlor("ingest", docs, "--collection", "c")
    #expect(third.output == "3 files (2 unchanged, 1 gone), 0 passages read in\n", "\(third)")
    #expect(try kernel.parlor("memory", "query", "c", "two three").output.contains("é.md"))
  }

  @Test("what an empty mount point takes away is kept, with exit status 1, until the user says that it is gone")
  func away() throws {
    let kernel = try RealKernel(Self.words)
    for name in ["a.md", "deep/b.md", "deep/c.md"] { try kernel.temporary.write("docs/" + name, "# \(name)\n\ntext") }
    let docs = kernel.folder + "/docs"
    #expect(try kernel.parlor("ingest", docs, "--collection", "c").status == 0)
    try FileManager.default.moveItem(atPath: docs, toPath: docs + ".away")
    for isThere in [false, true] {
      if isThere { try FileManager.default.createDirectory(atPath: docs, withIntermediateDirectories: false) }
      let result = try kernel.parlor("ingest", docs, "--collection", "c")
      #expect(result.status == 1 && result.output == "3 files (3 gone, but kept), 0 passages read in\n", "\(result)")
      #expect(result.errors.contains("are gone all at once") && result.errors.contains("--gone takes them out"), "\(result)")
    }
    #expect(try kernel.parlor("memory", "query", "c", "text").output.contains("deep/b.md"))
    let gone = try kernel.parlor("ingest", docs, "--collection", "c", "--gone")
    #expect(gone.status == 0 && gone.output == "3 files (3 gone), 0 passages read in\n", "\(gone)")
    #expect(try kernel.parlor("memory", "query", "c", "text").output == "nothing fits\n")
  }

  @Test("with --watch, what changes is read in as it changes; Ctrl-C ends it")
  func watch() throws {
    let kernel = try RealKernel(Self.words)
    try kernel.temporary.write("docs/a.md", "one")
    let child = try ParlorChild(["ingest", kernel.folder + "/docs", "--collection", "c", "--watch"], kernel: kernel.socket)
    try child.expect("watching 1 folders")
    try kernel.temporary.write("docs/b.md", "two")
    try child.expect("2 files (1 new, 1 unchanged)")
    try kernel.temporary.write("docs/sub/c.md", "three")
    try child.expect("3 files (1 new, 2 unchanged)")
    try FileManager.default.removeItem(atPath: kernel.folder + "/docs/a.md")
    try child.expect("3 files (2 unchanged, 1 gone)")
    // A folder that is away for a moment.
    let docs = kernel.folder + "/docs"
    try FileManager.default.moveItem(atPath: docs, toPath: docs + ".away")
    try child.expectDiagnostics("2 files of \(docs) are gone all at once")
    try kernel.temporary.write("docs.away/d.md", "four")
    try FileManager.default.moveItem(atPath: docs + ".away", toPath: docs)
    try child.expect("3 files (1 new, 2 unchanged)")
    // A file that grows all the time holds up no other.
    let log = Process()
    log.executableURL = URL(filePath: "/bin/sh")
    log.arguments = ["-c", "while echo more >> \(docs)/log.txt; do sleep 0.05; done"]
    try log.run()
    defer { log.terminate() }
    try child.expect("4 files (1 new, 3 unchanged)")
    try child.expect("4 files (1 changed, 3 unchanged)")
    kill(child.pid, SIGINT)
    #expect(try child.wait() == 130)
  }

  @Test("with --watch, the end of the kernel is waited out: what changes meanwhile is read in when it is back")
  func restart() throws {
    let kernel = try RealKernel(Self.words)
    try kernel.temporary.write("docs/a.md", "one")
    let child = try ParlorChild(["ingest", kernel.folder + "/docs", "--collection", "c", "--watch"], kernel: kernel.socket)
    try child.expect("watching 1 folders")
    kill(kernel.process.processIdentifier, SIGKILL)
    kernel.process.waitUntilExit()
    try child.expectDiagnostics("the kernel has gone; waiting until it is back")
    try kernel.temporary.write("docs/b.md", "two")
    let next = try RealKernel(after: kernel)
    try child.expectDiagnostics("the kernel is back")
    try child.expect("2 files (1 new, 1 unchanged)")
    #expect(try next.parlor("memory", "query", "c", "two").output.contains("docs/b.md"))
    kill(child.pid, SIGINT)
    #expect(try child.wait() == 130)
  }

  @Test("a hundred megabytes that nobody waits for is refused where it is too much, and the sender is told; it does not pile up")
  func flood() throws {
    let kernel = try RealKernel(Self.words)
    let client = try kernel.client("FLOOD")
    _ = try client.ask("KERNEL", "memory.create", #"{"collection":"c"}"#, id: 1)
    let text = String(repeating: "word ", count: 200_000)
    let documents = (0..<8).map { #"{"id":"\#($0)","text":"\#(text)"}"# }.joined(separator: ",")
    let line = #"{"target":"KERNEL","method":"memory.upsert","payload":{"collection":"c","documents":[\#(documents)]}}"#
    for _ in 0..<(120 << 20) / line.utf8.count { try client.line(line) }
    let refusal = try client.gram { $0.method == "error" }
    #expect(refusal.code == "queue_full" && refusal.message?.contains("bytes of arguments") == true, "\(refusal)")
    let stats = try kernel.client("OTHER").ask("KERNEL", "stats", id: 1)
    #expect((stats.payload["memory_kb"] as? Int ?? .max) < 300_000, "\(stats.payload["memory_kb"] as Any)")
    #expect(try kernel.client("OTHER2").ask("KERNEL", "memory.count", #"{"collection":"c"}"#, id: 1)["count"] != nil)
  }

  @Test("a reply of the memory that is too long for a line is refused with what to do, and the connection stays")
  func longReply() throws {
    let kernel = try RealKernel(Self.words + "[bus]\nframe_bytes = 200_000\n")
    let client = try kernel.client("A")
    _ = try client.ask("KERNEL", "memory.create", #"{"collection":"c"}"#, id: 1)
    for id in 2..<5 {
      let text = String(repeating: "word ", count: 20_000)
      _ = try client.ask("KERNEL", "memory.add", #"{"collection":"c","documents":[{"text":"\#(text)"}]}"#, id: id)
    }
    let refusal = try client.ask("KERNEL", "memory.get", #"{"collection":"c"}"#, id: 5)
    #expect(refusal.code == "too_long" && refusal.message?.contains("ask for fewer documents at once") == true, "\(refusal)")
    #expect(try client.ask("KERNEL", "memory.get", #"{"collection":"c","limit":1}"#, id: 6).payload["documents"] != nil)
  }

  @Test("ROBIN reads the library before answering, cites it, and the conversation opens what was cited")
  func citations() throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(
      server.configuration + Self.words + "[persona.ROBIN]\nprompt = \"You are ROBIN.\"\ncollection = \"house\"\n")
    _ = try kernel.settled(kernel.client("GUI"))
    // Without the library nothing is cited.
    #expect(try kernel.client("A").ask("ROBIN", "talk", #"{"content":"say yes"}"#, id: 1).payload["citations"] == nil)
    try kernel.temporary.write("docs/a.md", "# Doors\n\nThe door is behind the clock.\n")
    #expect(try kernel.parlor("ingest", kernel.folder + "/docs", "--collection", "house").status == 0)
    let reply = try kernel.client("B").ask("ROBIN", "talk", #"{"content":"where is the door?"}"#, id: 1)
    let citation = try #require((reply.payload["citations"] as? [[String: Any]])?.first, "\(reply)")
    #expect(citation["source"] as? String == kernel.folder + "/docs/a.md" && citation["place"] as? String == "Doors, line 3", "\(citation)")
    #expect(citation["collection"] as? String == "USER/house" && citation["score"] is Double, "\(citation)")

    let found = try kernel.client("C").ask("ROBIN", "look_up", #"{"content":"clock","limit":1}"#, id: 1)
    #expect(found["content"]?.contains("The door is behind the clock.") == true, "\(found)")

    let child = try ParlorChild([], kernel: kernel.socket, onTerminal: true)
    try child.expect("ROBIN> ")
    child.type("say the door\r")
    try child.expect("[1] ")
    try child.expect("ROBIN> ")
    child.type("/open 1\r")
    try child.expect("added by USER")
    try child.expect("The door is behind the clock.")
    child.type("/open 7\r")
    try child.expect("the last citations go up to 1")
    child.type("/quit\r")
    #expect(try child.wait() == 2)
  }
}
