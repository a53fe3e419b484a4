import Kernel
import Protocol

/// Asks several servers which models they have, all at once; ends when the last has answered or failed. For the chat thread.
final class ModelSurvey {
  private struct Entry: Encodable {
    var name: String
    /// "local", "ollama", "openai".
    var provider: String
    var url: String
    /// The one that is asked if a question names none.
    var model: String?
    var models: [String]?
    var error: String?
  }
  private struct Reply: Encodable { var providers: [Entry] }

  private let servers: [ModelServer]
  private let isRunning: Bool
  private let http: HTTPClient
  private let done: ([UInt8]) -> Void
  private var entries: [Entry]
  private var open: Int

  /// `isRunning`: the local model, if it is among them, need not be started to be asked.
  init(of servers: [ModelServer], isRunning: Bool, http: HTTPClient, done: @escaping ([UInt8]) -> Void) {
    self.servers = servers
    self.isRunning = isRunning
    self.http = http
    self.done = done
    entries = servers.map { .init(name: $0.name, provider: $0.kind.rawValue, url: $0.address, model: $0.defaultModel) }
    open = servers.count
  }

  /// The requests keep it alive.
  func begin() {
    for (index, server) in servers.enumerated() {
      // The local model is one, and starting it to hear its name would take seconds.
      if server.kind == .local, !isRunning {
        end(index, .success([server.defaultModel ?? LanguageConfiguration.localName]))
      } else {
        ask(index, server)
      }
    }
  }

  private func ask(_ index: Int, _ server: ModelServer) {
    let request: HTTPRequest
    do throws(Failure) { request = try server.modelsRequest() } catch { return end(index, .failure(error)) }
    var body: [UInt8] = []
    _ = http.start(request) { _, bytes in
      body += bytes
      return body.count <= 4 << 20
    } end: { [self] httpEnd in
      end(index, Self.result(httpEnd, body, server))
    }
  }

  private static func result(_ end: HTTPEnd, _ body: [UInt8], _ server: ModelServer) -> Result<[String], Failure> {
    func failed(_ what: String) -> Result<[String], Failure> {
      .failure(Failure(.llmRefused, server.key.redacted("\(server.address) does not tell its models: \(what)")))
    }
    switch end {
    case .complete(200, _):
      guard let list = ModelList(body: body) else { return failed("“\(excerpt(body))”") }
      return .success(list.names)
    case .moved(_, let address): return failed("it has moved to \(address); put that into [\(server.section)] url of personas.toml")
    case .complete(let status, _): return failed("HTTP \(status)\(ServerError(body: body).map { ": \($0.message)" } ?? "")")
    case .unreachable(let why), .broken(let why), .notHTTP(let why): return failed(why)
    case .silent: return failed("it says nothing")
    case .refused: return failed("the list does not end")
    }
  }

  private func end(_ index: Int, _ result: Result<[String], Failure>) {
    switch result {
    case .success(let models): entries[index].models = models
    case .failure(let failure): entries[index].error = failure.message
    }
    open -= 1
    guard open == 0 else { return }
    done(PayloadCoding.bytes(of: Reply(providers: entries)))
  }
}
