/// What a server says of its models: Ollama's `/api/tags`, the OpenAI-compatible `/v1/models`, or a list alone. Nil: it says something else.
struct ModelList {
  let names: [String]

  init?(body: [UInt8]) {
    guard let value = LenientJSONReader.value(in: body) else { return nil }
    let list = value["data"] ?? value["models"] ?? value
    guard list.array != nil || list.isNull && value.object != nil else { return nil }
    names = (list.array ?? []).compactMap { $0.text ?? ($0["id"] ?? $0["name"] ?? $0["model"])?.word }.map { String($0.prefix(256)) }
      .sorted()
  }
}
