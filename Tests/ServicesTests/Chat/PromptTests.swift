import Kernel
import Testing

@testable import Services

@Suite struct PromptTests {
  static func turn(_ name: String, bytes: Int = 350) -> Turn {
    [
      ChatMessage(role: .user, content: name + String(repeating: "u", count: bytes - name.utf8.count)),
      ChatMessage(role: .assistant, content: name + String(repeating: "a", count: bytes - name.utf8.count)),
    ]
  }
  // Each of these turns is estimated at 2 × (100 + 6) = 212 tokens, the question at 106.
  let question = [ChatMessage(role: .user, content: String(repeating: "q", count: 350))]
  let estimate = TokenEstimate()

  @Test("what fits goes whole")
  func whole() {
    let turns = (1...3).map { Self.turn("\($0)") }
    let prompt = Prompt(system: "Be brief", earlier: turns, question: question, estimate: estimate, window: 1000, reserve: 200)
    #expect(prompt.messages == [ChatMessage(role: .system, content: "Be brief")] + turns.flatMap { $0 } + question)
    #expect(prompt.forgotten == 0 && prompt.kept == 3)
    #expect(prompt.estimated == 9 + 3 * 212 + 106)
  }

  @Test("the oldest turns go first, as pairs, and down to three quarters of the room")
  func trimmed() {
    let turns = (1...10).map { Self.turn("\($0)") }
    let prompt = Prompt(system: "Be brief", earlier: turns, question: question, estimate: estimate, window: 2000, reserve: 500)
    // 2000 - 500 - 9 - 106 leaves 1385 tokens, of which 1038 are filled: 4 turns.
    #expect(prompt.kept == 4 && prompt.forgotten == 6)
    #expect(
      prompt.messages.map(\.role) == [.system] + [.user, .assistant, .user, .assistant, .user, .assistant, .user, .assistant] + [.user])
    #expect(prompt.messages[1].content.hasPrefix("7u"))
    #expect(prompt.estimated + 500 <= 2000)
  }

  @Test("the system prompt and the question go, also when nothing else does")
  func question_alone() {
    let prompt = Prompt(system: "Be brief", earlier: [Self.turn("1")], question: question, estimate: estimate, window: 256, reserve: 128)
    #expect(prompt.messages == [ChatMessage(role: .system, content: "Be brief")] + question)
    #expect(prompt.forgotten == 1)
  }

  @Test("the summary of what is left out stands below the system prompt, in one message, and takes room")
  func summary() {
    let turns = (1...10).map { Self.turn("\($0)") }
    let summary = Conversation.Summary(text: String(repeating: "s", count: 1400), turns: 3)
    func prompt(_ system: String, _ summary: Conversation.Summary?) -> Prompt {
      Prompt(system: system, summary: summary, earlier: turns, question: question, estimate: estimate, window: 2000, reserve: 500)
    }
    let with = prompt("Be brief", summary)
    #expect(with.messages[0].content == "Be brief\n\nSummary of 3 earlier turns: " + summary.text)
    #expect(with.messages[1].role == .user && with.summarised == 3)
    #expect(with.kept < prompt("Be brief", nil).kept && with.estimated + 500 <= 2000)
    #expect(prompt("", summary).messages[0] == ChatMessage(role: .system, content: summary.message))
  }

  @Test("the estimate learns what the server counts, and at once where it had promised too much")
  func learning() {
    var estimate = TokenEstimate()
    estimate.learn(bytes: 4000, messages: 0, tokens: 2000)
    #expect(estimate.bytesPerToken == 2)
    estimate.learn(bytes: 4000, messages: 0, tokens: 1000)
    #expect(estimate.bytesPerToken == 3)
    estimate.learn(bytes: 100, messages: 0, tokens: 100)
    #expect(estimate.bytesPerToken == 3, "short prompts teach nothing")
    estimate.learn(bytes: 1_000_000, messages: 0, tokens: 1)
    #expect(estimate.bytesPerToken <= 8)
  }
}
