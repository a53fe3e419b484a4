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

  @Test("in a long conversation the beginning stays the same for several questions")
  func stable() {
    var conversations = Conversations()
    let key = ThreadKey(persona: "A", thread: "main")
    var begins: [String] = []
    for number in 1...40 {
      let conversation = conversations.open(key, estimate: estimate)
      let prompt = Prompt(
        system: "", earlier: conversation.turns, question: question, estimate: estimate, window: 4096, reserve: 1024)
      #expect(prompt.estimated + 1024 <= 4096)
      #expect(conversation.dropped + prompt.forgotten + prompt.kept == number - 1)
      begins.append(prompt.messages[0].content)
      conversations.append(Self.turn("\(number) "), to: key, serial: conversation.serial, forgetting: prompt.forgotten, estimate: estimate)
    }
    let changes = zip(begins, begins.dropFirst()).filter { $0 != $1 }.count
    #expect(changes < 12, "the beginning changed \(changes) times in 40 questions")
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

  @Test("a conversation that was forgotten while a question ran stays forgotten")
  func forgotten() {
    var conversations = Conversations()
    let key = ThreadKey(persona: "A", thread: "main")
    let old = conversations.open(key, estimate: estimate)
    conversations.forget(key)
    conversations.append(Self.turn("1"), to: key, serial: old.serial, forgetting: 0, estimate: estimate)
    #expect(conversations.count == 0)
    let new = conversations.open(key, estimate: estimate)
    conversations.append(Self.turn("1"), to: key, serial: old.serial, forgetting: 0, estimate: estimate)
    #expect(conversations.open(key, estimate: estimate).turns == [])
    conversations.append(Self.turn("2"), to: key, serial: new.serial, forgetting: 0, estimate: estimate)
    #expect(conversations.open(key, estimate: estimate).turns == [Self.turn("2")])
  }

  @Test("of too many conversations the one used longest ago goes")
  func evicted() {
    var conversations = Conversations(limit: 2)
    for name in ["a", "b", "a", "c"] {
      let key = ThreadKey(persona: "A", thread: name)
      let serial = conversations.open(key, estimate: estimate).serial
      conversations.append(Self.turn(name), to: key, serial: serial, forgetting: 0, estimate: estimate)
    }
    #expect(conversations.count == 2)
    #expect(conversations.open(ThreadKey(persona: "A", thread: "a"), estimate: estimate).turns.count == 2)
  }
}
