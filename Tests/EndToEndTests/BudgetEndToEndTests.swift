import TestSupport
import Testing

@Suite("Budgets") struct BudgetEndToEndTests {
  @Test(
    "a persona that has spent its day is refused with the status of the model, parlor stats says how much, and a restart forgives nothing")
  func spent() throws {
    // The server counts 26 tokens read and one for each word written.
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(
      server.configuration
        + "tokens_per_day = 5000\n[persona.ROBIN]\ntokens_per_day = 45\nmax_tokens = 10\n[persona.BABS]\nlibrary = \"Prompt\"\nprompt = \"You are BABS\"\n"
    )
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "say two words").output == "two words\n")
    let refused = try kernel.parlor("ask", "-p", "ROBIN", "say more")
    #expect(refused.status == 7 && refused.errors.contains("today's 45 for ROBIN 17 are left"), "\(refused)")
    #expect(refused.errors.contains("(llm_budget)"))
    let other = try kernel.parlor("ask", "-p", "BABS", "say hello")
    #expect(other.output == "hello\n", "\(other)")
    let stats = try kernel.parlor("stats").output
    #expect(stats.contains("today 28 of 45 tokens") && stats.contains("today 27 tokens") && stats.contains("55 of 5000 tokens"), "\(stats)")

    kernel.process.terminate()
    kernel.process.waitUntilExit()
    let again = try RealKernel(after: kernel)
    _ = try again.settled(again.client("GUI"))
    #expect(try again.parlor("ask", "-p", "ROBIN", "say more").status == 7)
    // A limit that is raised holds at once.
    try again.write(server.configuration + "[persona.ROBIN]\ntokens_per_day = 4500\n")
    _ = try again.parlor("send", "KERNEL", "config.reload")
    #expect(try again.parlor("ask", "-p", "ROBIN", "say more").output == "more\n")
  }
}
