/// One message to or from the model, in the shape of the OpenAI-compatible protocol.
package struct ChatMessage: Codable, Equatable, Sendable {
  package enum Role: String, Codable, CaseIterable, Sendable { case system, user, assistant, tool }
  package var role: Role
  package var content: String
  /// What the assistant calls.
  package var toolCalls: [ToolCall]?
  /// Of what a tool says: the call that it answers.
  package var toolCallID: String?

  private enum CodingKeys: String, CodingKey {
    case role, content
    case toolCalls = "tool_calls"
    case toolCallID = "tool_call_id"
  }

  package init(role: Role, content: String, toolCalls: [ToolCall]? = nil, toolCallID: String? = nil) {
    self.role = role
    self.content = content
    self.toolCalls = toolCalls
    self.toolCallID = toolCallID
  }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    role = try values.decode(Role.self, forKey: .role)
    toolCalls = try values.decodeIfPresent([ToolCall].self, forKey: .toolCalls)
    toolCallID = try values.decodeIfPresent(String.self, forKey: .toolCallID)
    // Who only calls tools says nothing.
    content =
      try toolCalls == nil ? values.decode(String.self, forKey: .content) : values.decodeIfPresent(String.self, forKey: .content) ?? ""
  }

  /// What of it the model reads, in bytes.
  package var bytes: Int { content.utf8.count + (toolCalls ?? []).reduce(0) { $0 + $1.name.utf8.count + $1.arguments.utf8.count } }
}
