/// One call of a tool, as the model makes it.
package struct ToolCall: Equatable, Sendable {
  /// What the result refers to.
  package var id: String
  /// The tool, by the name under which it was offered.
  package var name: String
  /// JSON text, if the model writes what it should.
  package var arguments: String

  package init(id: String, name: String, arguments: String) {
    self.id = id
    self.name = name
    self.arguments = arguments
  }
}

extension ToolCall: Codable {
  private enum CodingKeys: String, CodingKey { case id, type, function }
  private enum FunctionKeys: String, CodingKey { case name, arguments }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    id = try values.decodeIfPresent(String.self, forKey: .id) ?? ""
    let function = try values.nestedContainer(keyedBy: FunctionKeys.self, forKey: .function)
    name = try function.decode(String.self, forKey: .name)
    arguments = try function.decodeIfPresent(String.self, forKey: .arguments) ?? "{}"
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id, forKey: .id)
    try values.encode("function", forKey: .type)
    var function = values.nestedContainer(keyedBy: FunctionKeys.self, forKey: .function)
    try function.encode(name, forKey: .name)
    try function.encode(arguments, forKey: .arguments)
  }
}
