import Foundation
import Kernel
import Testing

@testable import Services

@Suite struct HTTPEmbedderTests {
  typealias Step = ScriptedServer.Step

  func embedder(_ dialect: EmbeddingServer.Dialect, _ url: String, key: String? = nil, silence: Int = 60_000) throws -> HTTPEmbedder {
    let server = try EmbeddingServer(
      dialect, model: "m", url: url, apiKeyVariable: key == nil ? nil : "BAT_KEY", environment: { _ in key })
    return HTTPEmbedder(server, silenceMilliseconds: silence)
  }

  /// On a thread of its own, since it blocks.
  func embed(_ embedder: HTTPEmbedder, _ texts: [String]) async -> Result<[[Float]], EmbeddingError> {
    await withCheckedContinuation { continuation in
      Thread {
        let result = Result { () throws(EmbeddingError) in try embedder.embed(texts) }
        continuation.resume(returning: result)
      }.start()
    }
  }

  func failure(_ embedder: HTTPEmbedder, _ texts: [String] = ["a"]) async -> EmbeddingError? {
    if case .failure(let error) = await embed(embedder, texts) { error } else { nil }
  }

  @Test("Ollama's vectors come back in order, with length 1, and the dimension is known from then on")
  func ollama() async throws {
    let server = ScriptedServer([[.answer(200, #"{"model":"m","embeddings":[[3,4],[0,-2]],"total_duration":1}"#)]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    #expect(embedder.id == "ollama:m" && embedder.dimension == nil)
    #expect(try await embed(embedder, ["a", "b"]).get() == [[0.6, 0.8], [0, -1]])
    #expect(embedder.dimension == 2)
    #expect(server.requests[0].line == "POST /api/embed HTTP/1.1")
    #expect(server.requests[0].body == #"{"input":["a","b"],"model":"m","truncate":true}"#)
  }

  @Test("OpenAI's vectors are put into the order of the texts; the key goes along")
  func openAI() async throws {
    let server = ScriptedServer([
      [.answer(200, #"{"object":"list","data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0]}],"usage":{}}"#)]
    ])
    defer { server.stop() }
    let embedder = try embedder(.openai, server.url, key: "sk-secret")
    #expect(try await embed(embedder, ["a", "b"]).get() == [[1, 0], [0, 1]])
    #expect(server.requests[0].line == "POST /v1/embeddings HTTP/1.1")
    #expect(server.requests[0].head.contains("Authorization: Bearer sk-secret"))
    #expect(server.requests[0].body == #"{"encoding_format":"float","input":["a","b"],"model":"m"}"#)
  }

  @Test("blank texts have no vector, and no server is asked for them")
  func blank() async throws {
    let server = ScriptedServer([[.answer(200, #"{"embeddings":[[1,0]]}"#)]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    #expect(try await embed(embedder, ["", " \n"]).get() == [[], []])
    #expect(server.requests.isEmpty)
    #expect(try await embed(embedder, ["", "a", " "]).get() == [[], [1, 0], []])
    #expect(server.requests[0].body.contains(#""input":["a"]"#))
  }

  @Test("many texts go in several requests over one connection")
  func batches() async throws {
    let many = "[" + Array(repeating: "[1,0]", count: 64).joined(separator: ",") + "]"
    let server = ScriptedServer([[.answer(200, #"{"embeddings":\#(many)}"#)], [.answer(200, #"{"embeddings":[[0,1]]}"#)]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    let vectors = try await embed(embedder, (0...64).map { "\($0)" }).get()
    #expect(vectors.count == 65 && vectors[63] == [1, 0] && vectors[64] == [0, 1])
    #expect(server.requests.count == 2 && server.requests[1].body.contains(#""input":["64"]"#))
    _ = await embed(embedder, ["x"])
    #expect(Set(server.requests.map(\.connection)) == [1])
  }

  @Test("a request holds at most 64 texts and 256 KiB, or one text that is larger")
  func batchSizes() {
    let kilobytes = String(repeating: "x", count: 100 << 10)
    #expect(EmbeddingServer.batches(of: []) == [])
    #expect(EmbeddingServer.batches(of: Array(repeating: "a", count: 130)) == [0..<64, 64..<128, 128..<130])
    #expect(EmbeddingServer.batches(of: [kilobytes, kilobytes, kilobytes, "a"]) == [0..<2, 2..<4])
    #expect(EmbeddingServer.batches(of: ["a", String(repeating: kilobytes, count: 5), "b"]) == [0..<1, 1..<2, 2..<3])
  }

  @Test(
    "what a server refuses is said with what to do",
    arguments: [
      (404, #"{"error":"model \"m\" not found, try pulling it first"}"#, EmbeddingError.Reason.refused, "ollama pull m"),
      (404, "page not found", .refused, "/api/embed"), (401, #"{"error":{"message":"no key"}}"#, .refused, "[memory] api_key_env"),
      (429, #"{"error":{"message":"slow down"}}"#, .unreachable, "try again in 7 s"), (503, "", .unreachable, "loading or overloaded"),
      (500, #"{"error":"input is too large"}"#, .refused, "input is too large"), (400, "no", .refused, "model m"),
    ])
  func refusals(_ status: Int, _ body: String, _ reason: EmbeddingError.Reason, _ advice: String) async throws {
    let server = ScriptedServer([[.answer(status, body, headers: "Retry-After: 7\r\n")]])
    defer { server.stop() }
    let error = await failure(try embedder(.ollama, server.url))
    #expect(error?.reason == reason)
    #expect(error?.description.contains(advice) == true && error?.description.contains(server.url) == true, "\(error?.description ?? "")")
  }

  @Test(
    "an answer without the right vectors is not taken",
    arguments: [
      "hello", #"{"embeddings":[]}"#, #"{"embeddings":[[]]}"#, #"{"embeddings":[[1],[2]]}"#, #"{"embeddings":[["a"]]}"#,
      #"{"data":[{"index":0,"embedding":[1]}]}"#, #"{"embeddings":[[1e39]]}"#,
    ])
  func garbled(_ body: String) async throws {
    let server = ScriptedServer([[.answer(200, body)]])
    defer { server.stop() }
    #expect(await failure(try embedder(.ollama, server.url))?.reason == .garbled)
  }

  @Test("vectors of another length than before are not taken")
  func otherModel() async throws {
    let server = ScriptedServer([[.answer(200, #"{"embeddings":[[1,0]]}"#)], [.answer(200, #"{"embeddings":[[1,0,0]]}"#)]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    _ = try await embed(embedder, ["a"]).get()
    #expect(await failure(embedder)?.description.contains("3 numbers now, and made such of 2 before") == true)
  }

  @Test("a connection that breaks, a server that is silent and one that is not there are unreachable")
  func unreachable() async throws {
    let broken = ScriptedServer([[.text("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{"), .close]])
    #expect(await failure(try embedder(.ollama, broken.url))?.reason == .unreachable)
    broken.stop()
    let silent = ScriptedServer([[.untilClosed]])
    let error = await failure(try embedder(.ollama, silent.url, silence: 50))
    #expect(error?.reason == .unreachable && error?.description.contains("50 ms") == true)
    silent.stop()
    let none = await failure(try embedder(.ollama, "unix:/nowhere/x.sock"))
    #expect(none?.reason == .unreachable && none?.description.contains("ollama serve") == true)
  }

  @Test("stop ends a call that waits, closes its connection, and refuses later ones")
  func stop() async throws {
    let server = ScriptedServer([[.untilClosed]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    async let waiting = failure(embedder)
    var events = server.events.makeAsyncIterator()
    guard case .request = await events.next() else { return #expect(Bool(false), "no request came") }
    embedder.stop()
    #expect(await waiting?.reason == .stopped)
    guard case .closed = await events.next() else { return #expect(Bool(false), "the connection was kept") }
    #expect(await failure(embedder)?.reason == .stopped)
  }

  @Test("two calls at a time have a connection each")
  func parallel() async throws {
    let gate = ScriptedServer.Gate()
    let server = ScriptedServer([[.wait(gate), .answer(200, #"{"embeddings":[[1]]}"#)], [.answer(200, #"{"embeddings":[[-1]]}"#)]])
    defer { server.stop() }
    let embedder = try embedder(.ollama, server.url)
    async let first = embed(embedder, ["a"])
    var events = server.events.makeAsyncIterator()
    _ = await events.next()
    #expect(try await embed(embedder, ["b"]).get() == [[-1]])
    gate.open()
    #expect(try await first.get() == [[1]])
    #expect(server.requests.map(\.connection) == [1, 2])
  }

  @Test("the key stands in no error")
  func secret() async throws {
    let server = ScriptedServer([[.answer(401, #"{"error":{"message":"Incorrect API key provided: sk-secret"}}"#)]])
    defer { server.stop() }
    let error = await failure(try embedder(.openai, server.url, key: "sk-secret"))
    #expect(error?.description.contains("sk-secret") == false && error?.description.contains("BAT_KEY") == true)
  }
}
