/// One message to or from the model.
struct ChatMessage: Codable, Equatable, Sendable {
  enum Role: String, Codable, CaseIterable, Sendable { case system, user, assistant }
  var role: Role
  var content: String
}

/// What belongs together: something said by the user, and what was answered. Forgotten as a whole.
typealias Turn = [ChatMessage]
