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
    try Data([0xFF, 0xFE, 0, 1]).write(to: URL(filePath: kernel.folder + "/docs/e.txt"))
    let docs = kernel.folder + "/docs"
    let first = try kernel.parlor("ingest", docs, "--collection", "house")
    #expect(first.status == 1 && first.output == "4 files (3 new, 1 left out), 4 passages read in\n", "\(first)")
    #expect(first.errors.contains("docs/e.txt is left out: it is not text in UTF-8"), "\(first)")
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
    kill(child.pid, SIGINT)
    #expect(try child.wait() == 130)
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
