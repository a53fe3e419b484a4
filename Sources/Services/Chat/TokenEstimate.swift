import Kernel

/// How many tokens a text has, as far as one can tell without the model's vocabulary.
///
/// It begins with 3.5 bytes a token (English prose has about 4.2, Chinese 2 to 3) and learns from the count
/// that the server reports for each prompt.
struct TokenEstimate: Equatable, Sendable {
  /// Between 1 and 8.
  private(set) var bytesPerToken: Double
  /// What the chat template adds to each message.
  static let perMessage = 6

  init(bytesPerToken: Double = 3.5) { self.bytesPerToken = bytesPerToken.isNaN ? 3.5 : min(max(bytesPerToken, 1), 8) }

  func tokens(bytes: Int, messages: Int) -> Int {
    Int((Double(bytes) / bytesPerToken).rounded(.up)) + messages * Self.perMessage
  }

  func tokens(_ messages: some Collection<ChatMessage>) -> Int {
    tokens(bytes: messages.reduce(0) { $0 + $1.bytes }, messages: messages.count)
  }

  /// The server has counted `tokens` for a prompt of so many bytes. Short prompts teach nothing: the template outweighs them.
  mutating func learn(bytes: Int, messages: Int, tokens: Int) {
    let text = Self.possible(tokens) - messages * Self.perMessage
    guard bytes >= 400, text > 0 else { return }
    let seen = min(max(Double(bytes) / Double(text), 1), 8)
    // Half of the way at a time; but at once where we had promised more room than there is.
    bytesPerToken = seen < bytesPerToken ? seen : (bytesPerToken + seen) / 2
  }

  /// A count that a server gives, brought to what a prompt or an answer can have.
  static func possible(_ tokens: Int) -> Int { min(max(tokens, 0), 1 << 32) }

  /// The server says that it was too long, and not by how much.
  mutating func shrink() { bytesPerToken = max(1, bytesPerToken * 0.75) }
}
