/// One call of a tool, as the model makes it.
struct ToolCall: Equatable, Sendable {
  /// What the result refers to.
  var id: String
  /// The tool, by the name under which it was offered.
  var name: String
  /// JSON text, if the model writes what it should.
  var arguments: String
}

extension ToolCall: Codable {
  private enum CodingKeys: String, CodingKey { case id, type, function }
  private enum FunctionKeys: String, CodingKey { case name, arguments }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    id = try values.decodeIfPresent(String.self, forKey: .id) ?? ""
    let function = try values.nestedContainer(keyedBy: FunctionKeys.self, forKey: .function)
    name = try function.decode(String.self, forKey: .name)
    arguments = try function.decodeIfPresent(String.self, forKey: .arguments) ?? "{}"
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id, forKey: .id)
    try values.encode("function", forKey: .type)
    var function = values.nestedContainer(keyedBy: FunctionKeys.self, forKey: .function)
    try function.encode(name, forKey: .name)
    try function.encode(arguments, forKey: .arguments)
  }
}
