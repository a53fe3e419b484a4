import Foundation
import TestSupport
import Testing

/// Several providers and the model's tools, with the real binaries and servers in the shape of the real ones.
@Suite("Providers and tools") struct ProviderTests {
  @Test("personas are answered by the providers that they name, a fallback steps in, and parlor shows all of it")
  func providers() throws {
    let (openAI, ollama) = (try ScriptedModelServer(.openai), try ScriptedModelServer(.ollama))
    let kernel = try RealKernel(
      """
      [llm]
      provider = "ollama"
      url = "http://127.0.0.1:\(ollama.port)"
      model = "m"
      [llm.providers.cloud]
      provider = "openai"
      url = "http://127.0.0.1:\(openAI.port)/v1"
      model = "n"
      [llm.providers.dead]
      provider = "ollama"
      url = "http://127.0.0.1:1"
      model = "m"
      retries = 0
      [persona.ROBIN]
      prompt = "You are ROBIN."
      llm = "cloud"
      [persona.ALFRED]
      prompt = "You are ALFRED."
      llm = "dead"
      fallbacks = ["cloud/big"]
      [persona.BABS]
      prompt = "You are BABS."
      llm = "dead"
      """)
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "?").output == "You are ROBIN.\n")
    let fallback = try kernel.parlor("ask", "-p", "ALFRED", "say Very good")
    #expect(fallback.output == "Very good\n" && fallback.errors.hasPrefix("parlor: answered by cloud ("), "\(fallback)")
    #expect(fallback.errors.hasSuffix("because dead could not\n"))
    let json = try kernel.parlor("ask", "-p", "ALFRED", "--json", "say Very good")
    #expect(json.output.contains(#""fallback_from":"dead""#) && json.output.contains(#""provider":"cloud""#) && json.errors == "")
    let failed = try kernel.parlor("ask", "-p", "BABS", "say x")
    #expect(failed.status == 7 && failed.errors.contains("[llm.providers.dead] url"), "\(failed)")

    let models = try kernel.parlor("models")
    #expect(models.status == 7, "one does not tell")
    #expect(models.output.contains("cloud  openai at") && models.output.contains("  m\n* n\n") && models.output.contains("dead  ollama at"))
    let one = try kernel.parlor("models", "default")
    #expect(one.status == 0 && one.output.hasSuffix("* m\n"), "\(one)")
    #expect(try kernel.parlor("models", "clowd").errors.contains("did you mean cloud?"))

    let stats = try kernel.parlor("stats").output
    #expect(stats.contains("2 went elsewhere") && stats.contains("llm ROBIN:") && stats.contains("first piece after"), "\(stats)")
  }

  @Test("a persona that is only a prompt lets the model call another's method, which does what it does")
  func tools() throws {
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(
      server.configuration + """
        [persona.HATTER]
        library = "Prompt"
        prompt = "You are the Hatter."
        tools = ["BABS.observe", "BABS.observations"]
        [persona.BABS]
        prompt = "You are BABS."
        """)
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    let answer = try kernel.parlor("ask", "-p", "HATTER", #"call 2 {"content":"a comet"}"#)
    #expect(answer.output.contains(#""count":1"#) && answer.output.contains(#""count":2"#), "\(answer)")
    #expect(answer.errors == "parlor: the model called BABS.observe, BABS.observe\n", "\(answer)")
    let wrong = try kernel.parlor("ask", "-p", "HATTER", #"call 1 {"content":7}"#)
    #expect(wrong.output.contains("$.content is"), "\(wrong)")
    #expect(wrong.errors.hasPrefix("parlor: the model called BABS.observe (failed: "), "\(wrong)")
    let log = try client.ask("BABS", "observations", "{}", id: 1)
    let seen = log.payload["observations"] as? [[String: Any]]
    #expect(seen?.map { $0["text"] as? String } == ["a comet", "a comet"] && seen?.first?["by"] as? String == "HATTER", "\(log)")
  }
}
