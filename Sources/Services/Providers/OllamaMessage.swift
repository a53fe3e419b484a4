import Kernel
import Wire

/// One message in the shape that Ollama takes: calls have their arguments as JSON and no numbers, results the tool's name.
struct OllamaMessage: Encodable {
  struct Call: Encodable {
    struct Function: Encodable {
      var name: String
      var arguments: EncodableJSON
    }
    var function: Function
  }
  var role: ChatMessage.Role
  var content: String
  var tool_calls: [Call]?
  var tool_name: String?

  static func list(_ messages: [ChatMessage]) -> [OllamaMessage] {
    // A number means the last call before it that has it: a conversation may have several of one number.
    var names: [String: String] = [:]
    return messages.map { message in
      for call in message.toolCalls ?? [] { names[call.id] = call.name }
      return OllamaMessage(
        role: message.role, content: message.content,
        tool_calls: message.toolCalls?.map {
          .init(function: .init(name: $0.name, arguments: .init((try? JSON(parsing: $0.arguments.utf8)) ?? .object([:]))))
        },
        tool_name: message.toolCallID.flatMap { names[$0] })
    }
  }
}

/// A JSON value within something that is encoded.
struct EncodableJSON: Encodable {
  private let value: JSON
  init(_ value: JSON) { self.value = value }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch value {
    case .null: try container.encodeNil()
    case .bool(let bool): try container.encode(bool)
    case .int(let int): try container.encode(int)
    case .double(let double): if double.isFinite { try container.encode(double) } else { try container.encodeNil() }
    case .string(let string): try container.encode(string)
    case .array(let elements): try container.encode(elements.map(EncodableJSON.init))
    case .object(let members): try container.encode(members.mapValues(EncodableJSON.init))
    }
  }
}
