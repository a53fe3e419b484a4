// What is said to a server that makes vectors, and what it answers:
//
//   Ollama   POST /api/embed         {"model","input":[…],"truncate":true}  ->  {"embeddings":[[…],…]}
//   OpenAI   POST /v1/embeddings     {"model","input":[…],"encoding_format":"float"}  ->  {"data":[{"index":0,"embedding":[…]},…]}
//
// A failure is a status that is not 200, with one of the shapes of ServerError.

import FoundationEssentials
import Kernel
import Protocol

/// Where vectors are made, which protocol it speaks, and how it is asked. A value without clock or system call.
struct EmbeddingServer: Sendable {
  enum Dialect: String, Sendable { case ollama, openai }

  let dialect: Dialect
  let model: String
  /// As people know it.
  let address: String
  private let place: ServerAddress
  private let key: ServerKey

  /// How much goes into one request.
  static let textsPerRequest = 64
  static let bytesPerRequest = 256 << 10
  /// No answer is longer: 64 vectors of 16,000 numbers.
  static let bytesPerAnswer = 32 << 20

  /// - Throws: `.misconfigured`.
  init(
    _ dialect: Dialect, model: String, url: String?, apiKeyVariable: String?, environment: (String) -> String?
  ) throws(EmbeddingError) {
    self.dialect = dialect
    self.model = model
    address = url ?? (dialect == .ollama ? "http://127.0.0.1:11434" : "https://api.openai.com/v1")
    guard let place = ServerAddress(address, usualPath: dialect == .ollama ? "" : "/v1") else {
      throw EmbeddingError(.misconfigured, "[memory] url \"\(address)\" is no address: write \(ServerAddress.forms) in personas.toml")
    }
    self.place = place
    key = ServerKey(variable: apiKeyVariable, environment: environment)
    if let obstacle = key.obstacle(section: "memory") { throw EmbeddingError(.misconfigured, obstacle) }
  }

  /// The texts that go along in one request each. A text that alone is too large is alone.
  static func batches(of texts: [String]) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = 0
    var bytes = 0
    for (index, text) in texts.enumerated() {
      if index > start, index - start == textsPerRequest || bytes + text.utf8.count > bytesPerRequest {
        batches.append(start..<index)
        start = index
        bytes = 0
      }
      bytes += text.utf8.count
    }
    if start < texts.count { batches.append(start..<texts.count) }
    return batches
  }

  private var url: String { place.base + (dialect == .ollama ? "/api/embed" : "/embeddings") }

  func request(_ texts: ArraySlice<String>, silenceMilliseconds: Int) -> HTTPRequest {
    struct Body: Encodable {
      var model: String
      var input: [String]
      var truncate: Bool?
      var encoding_format: String?
    }
    let isOllama = dialect == .ollama
    let body = Body(model: model, input: Array(texts), truncate: isOllama ? true : nil, encoding_format: isOllama ? nil : "float")
    return HTTPRequest(
      url: url, socketPath: place.socketPath, headers: ["Content-Type: application/json"] + (key.header.map { [$0] } ?? []),
      body: PayloadCoding.bytes(of: body), silenceMilliseconds: silenceMilliseconds)
  }

  /// The vectors of an answer to a request with `count` texts, as the server made them.
  func vectors(status: Int, body: [UInt8], retryAfter: Int?, count: Int) throws(EmbeddingError) -> [[Float]] {
    guard status == 200 else { throw refusal(status, body, retryAfter) }
    struct Ollama: Decodable { var embeddings: [[Float]] }
    struct OpenAI: Decodable {
      struct Item: Decodable {
        var index: Int?
        var embedding: [Float]
      }
      var data: [Item]
    }
    let vectors: [[Float]]?
    switch dialect {
    case .ollama: vectors = (try? JSONDecoder().decode(Ollama.self, from: Data(body)))?.embeddings
    case .openai:
      let items = (try? JSONDecoder().decode(OpenAI.self, from: Data(body)))?.data
      vectors = items?.enumerated().sorted { ($0.element.index ?? $0.offset) < ($1.element.index ?? $1.offset) }.map(\.element.embedding)
    }
    guard let vectors else {
      let name = dialect == .ollama ? "Ollama" : "an OpenAI-compatible server"
      throw garbled("does not answer as \(name) does: “\(excerpt(body))”. Check [memory] embedder and url in personas.toml")
    }
    guard vectors.count == count else { throw garbled("made \(vectors.count) vectors of \(count) texts with \(model)") }
    guard let length = vectors.first?.count, length > 0, vectors.allSatisfy({ $0.count == length && $0.allSatisfy(\.isFinite) }) else {
      throw garbled("made vectors of different lengths, or none, with \(model): is it a model for embeddings?")
    }
    return vectors
  }

  /// How an exchange ended that brought no answer.
  func failure(_ end: HTTPEnd, silenceMilliseconds: Int) -> EmbeddingError {
    switch end {
    case .unreachable(let why):
      let advice = "start it\(dialect == .ollama ? " with `ollama serve`" : ""), or change [memory] url in personas.toml"
      return error(.unreachable, "no server for embeddings answers at \(address) (\(why)): \(advice)")
    case .broken(let why): return error(.unreachable, "\(address) broke off (\(why)): try again")
    case .silent: return error(.unreachable, "\(address) sent nothing for \(silenceMilliseconds) ms: is \(model) still loading? Try again")
    case .notHTTP(let why):
      return error(.garbled, "what answers at \(address) is no HTTP server (\(why)): check [memory] url in personas.toml")
    case .moved(_, let place):
      return error(.refused, "\(address) makes no vectors: it has moved to \(place); put that into [memory] url of personas.toml")
    case .refused, .complete: return garbled("was stopped after \(Self.bytesPerAnswer) bytes of answer")
    }
  }

  private func refusal(_ status: Int, _ body: [UInt8], _ retryAfter: Int?) -> EmbeddingError {
    let said = ServerError(body: body)
    let text = said?.message ?? (body.isEmpty ? "without a text" : "“\(excerpt(body))”")
    if said?.saysNoModel == true {
      let advice = dialect == .ollama ? "get it with `ollama pull \(model)`" : "see `GET \(place.base)/models`"
      return error(.refused, "\(address) has no model \"\(model)\" (\(text)): \(advice), or change [memory] embedder in personas.toml")
    }
    let refused = "\(address) makes no vectors (HTTP \(status): \(text))"
    let later = retryAfter.map { "try again in \($0) s" } ?? "try again later"
    switch status {
    case 401, 403:
      let advice =
        key.source.map { "check the key in \($0.text)" }
        ?? "name the environment variable that holds your key in [memory] api_key_env of personas.toml"
      return error(.refused, "\(refused): \(advice)")
    case 404, 405, 300..<400: return error(.refused, "\(refused): check [memory] embedder and url in personas.toml; asked was POST \(url)")
    case 429: return error(.unreachable, "\(refused): too many requests or no credit; \(later)")
    case 503: return error(.unreachable, "\(refused): it is loading or overloaded; \(later)")
    case 500...: return error(.refused, "\(refused): look into the server's log")
    default: return error(.refused, "\(refused), model \(model)")
    }
  }

  private func garbled(_ what: String) -> EmbeddingError { error(.garbled, "\(address) \(what)") }

  private func error(_ reason: EmbeddingError.Reason, _ text: String) -> EmbeddingError {
    EmbeddingError(reason, key.redacted(text))
  }
}
