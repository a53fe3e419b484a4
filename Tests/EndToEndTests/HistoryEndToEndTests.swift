import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("Conversations that are kept") struct HistoryEndToEndTests {
  private let personas = "[persona.ROBIN]\nprompt = \"You are ROBIN.\"\n[persona.BABS]\nprompt = \"You are BABS.\"\n"

  @Test("a turn whose reply was delivered is there after kill -9, and goes along with the next question")
  func killed() throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(server.configuration + personas)
    _ = try kernel.settled(kernel.client("GUI"))
    let client = try kernel.client("GUEST")
    // The moment that the reply is here, the kernel is gone.
    _ = try client.ask("ROBIN", "talk", #"{"content":"say Good evening"}"#, id: 1)
    kill(kernel.process.processIdentifier, SIGKILL)
    kernel.process.waitUntilExit()

    let again = try RealKernel(after: kernel)
    _ = try again.settled(again.client("GUI"))
    func roles(_ persona: String, _ arguments: String...) throws -> String {
      try RealKernel.run([Products.folder + "/parlor", "--socket", again.socket] + arguments + ["ask", "-p", persona, "?"]).output
    }
    #expect(try roles("ROBIN", "--name", "GUEST").contains(#""roles": ["system", "user", "assistant", "user"]"#))
    #expect(try roles("ROBIN", "--name", "OTHER").contains(#""roles": ["system", "user"]"#), "another thread")
    #expect(try roles("BABS", "--name", "GUEST").contains(#""roles": ["system", "user"]"#), "another persona")

    let told = try again.parlor("history", "robin", "GUEST")
    #expect(told.status == 0 && told.output.contains("user: say Good evening\nROBIN: Good evening\n"), "\(told)")
    let list = try again.parlor("history", "ROBIN")
    #expect(list.output.contains("GUEST") && list.output.contains("OTHER") && !list.output.contains("BABS"), "\(list)")
    let json = try JSON(parsing: again.parlor("history", "ROBIN", "GUEST", "--export", "json").output.utf8)
    #expect(json["total_turns"] == 2)
    let markdown = try again.parlor("history", "ROBIN", "GUEST", "--last", "1", "--export", "md").output
    #expect(markdown.hasPrefix("# ROBIN, GUEST") && !markdown.contains("Good evening"))

    #expect(try again.parlor("history", "ROBIN", "GUEST", "--forget").output == "ROBIN has forgotten 2 turns of GUEST\n")
    #expect(try again.parlor("history", "ROBIN", "GUEST").status == 4)
    #expect(try roles("ROBIN", "--name", "GUEST").contains(#""roles": ["system", "user"]"#))
    let files = try FileManager.default.contentsOfDirectory(atPath: again.folder + "/data").filter { $0.hasPrefix("llm.sqlite") }
    for file in files {
      #expect(try Data(contentsOf: URL(filePath: again.folder + "/data/" + file)).range(of: Data("Good evening".utf8)) == nil)
    }
    #expect(try again.parlor("history", "--forget").status == 2)
  }

  @Test("a single question has a conversation of its own, listed apart; --no-history keeps nothing, whoever else is asked for it")
  func single() throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(
      server.configuration + personas + "[persona.BRICK]\nprompt = \"You are BRICK.\"\ndelegates = [\"ROBIN\"]\n")
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "say one").output == "one\n")
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "?").output.contains(#""roles": ["system", "user"]"#))
    #expect(try kernel.parlor("ask", "--no-history", "-p", "ROBIN", "say secret").output == "secret\n")
    #expect(try kernel.parlor("ask", "--no-history", "@robin say secret").status == 0)
    let list = try kernel.parlor("history").output
    #expect(list == "no conversations\n2 single questions of `parlor ask`; --asks lists them\n", "\(list)")
    let asks = try kernel.parlor("history", "--asks").output
    #expect(asks.split(separator: "\n").count == 3 && asks.contains("ROBIN    ask:"), "\(asks)")
    let all = try JSON(parsing: kernel.parlor("history", "--json").output.utf8)
    #expect(all["threads"]?.array?.count == 2)
  }

  @Test("parlor's conversation is the same tomorrow, and /forget ends it")
  func conversation() async throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(server.configuration + personas)
    _ = try kernel.settled(kernel.client("GUI"))
    func talk(_ lines: String) throws -> String {
      try RealKernel.run(["sh", "-c", "printf '\(lines)' | \(Products.folder)/parlor --socket \(kernel.socket)"]).output
    }
    #expect(try talk("@ROBIN say one\\n").contains("one"))
    #expect(try talk("@ROBIN ?\\n").contains(#""roles": ["system", "user", "assistant", "user"]"#))
    let forgotten = try talk("@ROBIN\\n/forget\\n/forget\\n@ROBIN ?\\n")
    #expect(forgotten.contains("ROBIN has forgotten 2 turns of main\n"), "\(forgotten)")
    #expect(forgotten.contains("ROBIN has kept nothing of main: `parlor history ROBIN` lists what is kept\n"))
    #expect(forgotten.contains(#""roles": ["system", "user"]"#))
  }
}
