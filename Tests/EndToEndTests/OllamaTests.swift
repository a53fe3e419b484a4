import Foundation
import TestSupport
import Testing

/// A python that has the official `ollama` client; `.ci/run` makes one.
private let python = ProcessInfo.processInfo.environment["BAT_TEST_PYTHON"]

@Suite("Ollama") struct OllamaTests {
  private let robin = "context_tokens = 2048\n[persona.ROBIN]\nprompt = \"You are ROBIN.\"\n"

  @Test(
    "the server that stands for Ollama here is accepted by the official client",
    .enabled(if: python != nil || ProcessInfo.processInfo.environment["CI"] != nil))
  func official() throws {
    let python = try #require(python, "BAT_TEST_PYTHON names no python with the official client")
    let server = try ScriptedModelServer(.ollama)
    let (status, output, errors) = try RealKernel.run(
      [python, Products.repository + "/Tests/EndToEndTests/original/ollama_client.py", server.port])
    #expect(status == 0 && output.hasSuffix("accepted\n"), "\(output) \(errors)")
  }

  @Test("a persona answers through it, with its prompt, its history and the window that was configured")
  func answers() throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(server.configuration + robin)
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(try kernel.parlor("--name", "GUEST", "ask", "-p", "ROBIN", "say Good evening, Sir").output == "Good evening, Sir\n")
    let told = try kernel.parlor("--name", "GUEST", "ask", "-p", "ROBIN", "?").output
    #expect(told.contains("\"num_ctx\": 2048"), "\(told)")
    #expect(told.contains(#""roles": ["system", "user", "assistant", "user"]"#), "\(told)")
  }

  @Test(
    "what goes wrong there is told in words and with the status for it, and the next question is answered",
    arguments: [("fail later", "the runner has stopped"), ("cut", "127.0.0.1")])
  func faults(question: String, reason: String) throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(server.configuration + robin)
    _ = try kernel.settled(kernel.client("GUI"))
    let failed = try kernel.parlor("ask", "-p", "ROBIN", question)
    #expect(failed.status == 7 && failed.errors.contains(reason), "\(failed)")
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "say back").output == "back\n")
  }

  @Test("a model that is not there is named, with the command that gets it")
  func absentModel() throws {
    let server = try ScriptedModelServer(.ollama)
    let kernel = try RealKernel(server.configuration.replacing("model = \"m\"", with: "model = \"none\"") + robin)
    _ = try kernel.settled(kernel.client("GUI"))
    let failed = try kernel.parlor("ask", "-p", "ROBIN", "hello?")
    #expect(failed.status == 7 && failed.errors.contains("none") && failed.errors.contains("ollama pull"), "\(failed)")
  }
}
