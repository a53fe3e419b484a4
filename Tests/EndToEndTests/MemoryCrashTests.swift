import Foundation
import TestSupport
import Testing

/// How often the kernel is killed; more in the environment: BAT_TEST_KILLS=200.
private let rounds = ProcessInfo.processInfo.environment["BAT_TEST_KILLS"].flatMap { Int($0) } ?? 10

@Suite("The memory when the kernel is killed", .serialized) struct MemoryCrashTests {
  private static let configuration = "[memory]\nembedder = \"none\"\n[log]\nlevel = \"warning\"\n"

  private func end(_ kernel: RealKernel) {
    Foundation.kill(kernel.process.processIdentifier, SIGKILL)
    kernel.process.waitUntilExit()
  }

  /// One document of a batch: `n` tells it from all others.
  private func document(_ n: Int, _ text: String) -> String {
    #"{"id":"d\#(n)","text":"\#(text) word\#(n)","metadata":{"n":\#(n)},"embedding":[1,\#(n),\#(n * n % 97)]}"#
  }

  /// SQLite's own judgement of the file, of the words' index, and of what stands in one table and not in the other.
  private func checked(_ kernel: RealKernel) throws -> String {
    let script = """
      import sqlite3, sys
      c = sqlite3.connect(sys.argv[1])
      print(c.execute("pragma integrity_check").fetchone()[0])
      c.execute("insert into words_1(words_1) values ('integrity-check')")
      n, d, v = c.execute("select number, documents, vectors from collections").fetchone()
      assert d == c.execute("select count(*) from documents_1").fetchone()[0], "documents"
      assert v == c.execute("select count(*) from vectors_1").fetchone()[0], "vectors"
      assert not c.execute("select 1 from vectors_1 where seq not in (select seq from documents_1)").fetchone(), "stray vector"
      assert not c.execute("select 1 from metadata_1 where document not in (select seq from documents_1)").fetchone(), "stray metadata"
      print("whole")
      """
    let (status, output, errors) = try RealKernel.run(["python3", "-c", script, kernel.folder + "/data/memory/memory.sqlite"])
    return status == 0 ? output : errors
  }

  @Test("nothing that was acknowledged is lost, batches are whole, and the file is sound, wherever a kill -9 meets it")
  func kills() throws {
    var random = SystemRandomNumberGenerator()
    var kernel = try RealKernel(Self.configuration)
    #expect(try kernel.client("A").ask("KERNEL", "memory.create", #"{"collection":"c"}"#, id: 1).payload["collection"] != nil)
    var kept: [Int: String] = [:]
    var next = 0
    for round in 0..<rounds {
      let client = try kernel.client("W\(round)")
      // Many at once, so that the kill finds some of them half done.
      var sent: [Int: [(n: Int, text: String)]] = [:]
      for id in 1...40 {
        var batch: [(n: Int, text: String)] = []
        for place in 0..<3 {
          // Some change what is there.
          if place == 2, let old = kept.keys.randomElement(using: &random) {
            if !sent.values.contains(where: { $0.contains { $0.n == old } }) { batch.append((old, "changed\(round)")) }
          } else {
            batch.append((next, "new"))
            next += 1
          }
        }
        sent[id] = batch
        let documents = batch.map { document($0.n, $0.text) }.joined(separator: ",")
        try client.line(
          #"{"target":"KERNEL","method":"memory.upsert","id":\#(id),"payload":{"collection":"USER/c","model":"m","documents":[\#(documents)]}}"#
        )
      }
      let acknowledgements = Int.random(in: 0...35, using: &random)
      var uncertain = sent
      for _ in 0..<acknowledgements {
        let reply = try client.gram { $0.re != nil }
        #expect(reply.payload["count"] != nil, "\(reply)")
        let id = try #require(reply.re.flatMap { Int($0) })
        for (n, text) in sent[id] ?? [] { kept[n] = text }
        uncertain[id] = nil
      }
      end(kernel)
      kernel = try RealKernel(after: kernel)
      let reader = try kernel.client("R\(round)")
      let reply = try reader.ask("KERNEL", "memory.get", #"{"collection":"USER/c","limit":10000}"#, id: 1)
      let documents = try #require(reply.payload["documents"] as? [[String: Any]], "\(reply.line.prefix(300))")
      var found: [Int: String] = [:]
      for document in documents {
        let (n, text) = (try #require((document["metadata"] as? [String: Any])?["n"] as? Int), try #require(document["text"] as? String))
        found[n] = String(try #require(text.split(separator: " ").first))
      }
      for batch in uncertain.values {
        // What was not acknowledged is there as a whole, or not at all.
        let there = batch.filter { found[$0.n] == $0.text }.count
        #expect(there == 0 || there == batch.count, "\(batch) \(batch.map { found[$0.n] ?? "-" })")
        for (n, text) in batch where there == batch.count { kept[n] = text }
      }
      #expect(found == kept, "round \(round)")
      let probe = try #require(kept.keys.randomElement(using: &random))
      let query = #"{"collection":"USER/c","model":"m","limit":1,"embedding":[1,\#(probe),\#(probe * probe % 97)]}"#
      let passages = try #require(try reader.ask("KERNEL", "memory.query", query, id: 2).payload["passages"] as? [[String: Any]])
      #expect((passages.first?["similarity"] as? Double ?? 0) > 0.999_999)
      if round % 10 == 9 || round == rounds - 1 {
        end(kernel)
        #expect(try checked(kernel) == "ok\nwhole\n")
        kernel = try RealKernel(after: kernel)
      }
    }
  }

  @Test("an ingest that the kernel's end cuts off goes on where it was")
  func ingest() throws {
    var kernel = try RealKernel(Self.configuration)
    for file in 0..<30 {
      let text = (0..<60).map { "Paragraph \($0) of file \(file). " + String(repeating: "It says little, and at length. ", count: 30) }
      try kernel.temporary.write("docs/\(file).md", "# File \(file)\n\n" + text.joined(separator: "\n\n"))
    }
    for round in 0..<3 {
      let child = Process()
      child.executableURL = URL(filePath: Products.folder + "/parlor")
      child.arguments = ["--socket", kernel.socket, "ingest", kernel.folder + "/docs", "--collection", "c"]
      child.standardError = FileHandle.nullDevice
      child.standardOutput = FileHandle.nullDevice
      try child.run()
      let client = try kernel.client("W\(round)")
      // A few files further than the time before.
      var id = 0
      while true {
        id += 1
        let reply = try client.ask("KERNEL", "memory.sources", #"{"collection":"USER/c"}"#, id: id)
        if reply.payload["sources"].map({ ($0 as? [Any] ?? []).count }) ?? 0 > 5 * round { break }
        if !child.isRunning { break }
      }
      end(kernel)
      child.waitUntilExit()
      kernel = try RealKernel(after: kernel)
    }
    let last = try kernel.parlor("ingest", kernel.folder + "/docs", "--collection", "c")
    #expect(last.status == 0 && last.output.contains("30 files"), "\(last)")
    let again = try kernel.parlor("ingest", kernel.folder + "/docs", "--collection", "c")
    #expect(again.output == "30 files (30 unchanged), 0 passages read in\n", "\(again)")
    let sources =
      try kernel.client("R").ask("KERNEL", "memory.sources", #"{"collection":"c"}"#, id: 1).payload["sources"] as? [[String: Any]]
    #expect(sources?.count == 30 && sources?.allSatisfy { $0["hash"] is String } == true)
    // Thirty files of the same make: as many passages of each.
    let counts = Set(
      try (0..<30).map { file in
        try kernel.client("C\(file)").ask(
          "KERNEL", "memory.count", #"{"collection":"c","where":{"file":"\#(kernel.folder)/docs/\#(file).md"}}"#, id: 1)["count"] ?? "?"
      })
    #expect(counts.count == 1 && counts != ["0"], "\(counts)")
    end(kernel)
    #expect(try checked(kernel) == "ok\nwhole\n")
  }
}
