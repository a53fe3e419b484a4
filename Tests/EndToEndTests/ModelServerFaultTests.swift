import Foundation
import TestSupport
import Testing
import Wire

/// What model servers do that is in no protocol, met by the real binaries.
@Suite("Faults of model servers") struct ModelServerFaultTests {
  private static func event(_ json: String) -> JSON { .string("data: \(json)\n\n") }
  private static func piece(_ text: String, finish: String) -> JSON {
    event(#"{"choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":\#(finish)}]}"#)
  }
  private static func raw(_ steps: JSON...) -> String { "raw " + JSON.array(steps).text }

  @Test("counts that no number holds end nothing, now or after a restart; what is impossible in the file is mended")
  func counts() throws {
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(server.configuration + "tokens_per_day = 100000\n[persona.ROBIN]\ntokens_per_day = 50000\n")
    _ = try kernel.settled(kernel.client("GUI"))
    let usage = Self.event(#"{"choices":[],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}}"#)
    #expect(try kernel.parlor("ask", "-p", "ROBIN", Self.raw(Self.piece("Hi", finish: "\"stop\""), usage)).output == "Hi\n")
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "say more").errors.contains("llm_budget"), "it is as much as anybody can spend")
    kernel.process.terminate()
    kernel.process.waitUntilExit()
    let poison = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute('update spent set tokens=9223372036854775807'); d.commit()"
    #expect(try RealKernel.run(["python3", "-c", poison, kernel.folder + "/data/llm.sqlite"]).status == 0)
    let again = try RealKernel(after: kernel)
    _ = try again.settled(again.client("GUI"))
    #expect(try again.parlor("ask", "-p", "ROBIN", "say more").output == "more\n")
    #expect(again.log.contains("sums of tokens that were spent on a day that cannot be"))
  }

  @Test("an answer whose pieces have an empty finish is printed whole, however long the server pauses; a thought is no part of it")
  func pauses() throws {
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(server.configuration + "[persona.HATTER]\nlibrary = \"Prompt\"\nprompt = \"P\"\n")
    _ = try kernel.settled(kernel.client("GUI"))
    let slow = Self.raw(
      Self.piece("<think>hm</thi", finish: "\"\""), Self.piece("nk>one ", finish: "\"\""), 1.5, Self.piece("two ", finish: "\"\""), 1.5,
      Self.piece("three", finish: "\"\""), Self.piece("", finish: "\"stop\""))
    let answer = try kernel.parlor("ask", "-p", "HATTER", slow)
    #expect(answer.status == 0 && answer.output == "one two three\n", "\(answer)")
    let cut = try kernel.parlor("ask", "-p", "HATTER", Self.raw(Self.piece("one ", finish: "\"\""), Self.piece("two ", finish: "\"\"")))
    #expect(cut.status == 7 && cut.errors.contains("broke off"), "what has not ended is not called whole: \(cut)")
  }

  @Test("a schema that refers to itself is answered, so is whoever asks next, and SIGTERM ends the kernel")
  func schema() throws {
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(server.configuration + "[persona.THINKER]\n", start: false)
    try Fixtures.install("thinker", as: "THINKER", in: kernel.folder)
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    for (id, format) in [
      ##"{"allOf":[{"$ref":"#"},{"$ref":"#"}]}"##, #"{"const":1e400}"#, #"{"const":"\ud800"}"#,
    ].enumerated() {
      let answer = try client.ask("THINKER", "chat", ##"{"text":"say 1","remember":false,"format":\##(format)}"##, id: id)
      #expect(answer.method == "reply" || answer.code?.hasPrefix("llm_") == true, "\(answer)")
    }
    #expect(try client.ask("THINKER", "chat", #"{"text":"say \ud800 ok","remember":false}"#, id: 10).method == "reply")
    #expect(try client.ask("THINKER", "chat", #"{"text":"say ok"}"#, id: 11).payload["text"] as? String == "ok")
    kernel.process.terminate()
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0, "\(kernel.log)")
  }
}
