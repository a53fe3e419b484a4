import FoundationEssentials

/// What a server says of its models: Ollama's `/api/tags`, or the OpenAI-compatible `/v1/models`. Nil: it says something else.
struct ModelList {
  let names: [String]

  private struct Ollama: Decodable {
    struct Model: Decodable { var name: String }
    var models: [Model]
  }
  private struct OpenAI: Decodable {
    struct Model: Decodable { var id: String }
    var data: [Model]
  }

  init?(_ dialect: ModelServer.Dialect, body: [UInt8]) {
    switch dialect {
    case .ollama:
      guard let read = try? JSONDecoder().decode(Ollama.self, from: Data(body)) else { return nil }
      names = read.models.map(\.name).sorted()
    case .openai:
      guard let read = try? JSONDecoder().decode(OpenAI.self, from: Data(body)) else { return nil }
      names = read.data.map(\.id).sorted()
    }
  }
}
