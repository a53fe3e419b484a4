import CCurl
import Synchronization
import System

/// Vectors from a server: Ollama, or one that speaks OpenAI's protocol.
///
/// A call blocks its thread as long as the server needs. Several calls at a time have a connection each; connections are
/// kept for later ones. The process must ignore SIGPIPE, as the kernel does.
public final class HTTPEmbedder: Embedder {
  public let id: String
  public let waitsForServer = true
  private let server: EmbeddingServer
  private let silenceMilliseconds: Int
  private let shared = Mutex(Shared())

  private struct Shared {
    var dimension: Int?
    var idle: [Line] = []
    var busy: [ObjectIdentifier: Line] = [:]
    var isStopped = false
  }

  /// The means for one exchange at a time; used by one thread at a time.
  private final class Line: @unchecked Sendable {
    let http: HTTPClient
    /// Nil if there is no memory or no descriptor left for it.
    init?() {
      guard curlIsReady, let multi = curl_multi_init() else { return nil }
      http = HTTPClient(multi: multi)
    }
    deinit {
      http.cancelAll()
      curl_multi_cleanup(http.multi)
    }
    /// The one thing that any thread may do.
    func wake() { curl_multi_wakeup(http.multi) }
  }

  /// - Parameter silenceMilliseconds: no byte for so long ends a call with `.unreachable`; a model may have to load first.
  init(_ server: EmbeddingServer, silenceMilliseconds: Int = 120_000) {
    self.server = server
    self.silenceMilliseconds = silenceMilliseconds
    id = "\(server.dialect.rawValue):\(server.model)"
  }

  public var dimension: Int? { shared.withLock { $0.dimension } }

  public func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]] {
    var vectors = [[Float]](repeating: [], count: texts.count)
    // Servers refuse texts without a word, or make something of them that is near to everything.
    let places = texts.indices.filter { texts[$0].contains { !$0.isWhitespace } }
    let asked = places.map { texts[$0] }
    if asked.isEmpty { return vectors }
    let line = try takeLine()
    defer { giveBack(line) }
    for batch in EmbeddingServer.batches(of: asked) {
      let made = try exchange(asked[batch], on: line)
      try check(made[0].count)
      for (place, vector) in zip(places[batch], made) {
        vectors[place] = vector
        normalize(&vectors[place])
      }
    }
    return vectors
  }

  public func stop() {
    shared.withLock { shared in
      shared.isStopped = true
      shared.idle = []
      for line in shared.busy.values { line.wake() }
    }
  }

  private var isStopped: Bool { shared.withLock { $0.isStopped } }

  private var stopped: EmbeddingError {
    EmbeddingError(.stopped, "the kernel is stopping; \(server.address) is not asked for vectors any more")
  }

  private func takeLine() throws(EmbeddingError) -> Line {
    let (line, isStopped): (Line?, Bool) = shared.withLock { shared in
      if shared.isStopped { return (nil, true) }
      let line = shared.idle.popLast() ?? Line()
      if let line { shared.busy[ObjectIdentifier(line)] = line }
      return (line, false)
    }
    if isStopped { throw stopped }
    guard let line else {
      throw EmbeddingError(
        .unreachable, "\(server.address) cannot be asked for vectors: libcurl does not begin; are all descriptors in use?")
    }
    return line
  }

  private func giveBack(_ line: Line) {
    shared.withLock { shared in
      shared.busy[ObjectIdentifier(line)] = nil
      if !shared.isStopped { shared.idle.append(line) }
    }
  }

  /// The same model under the same name may become another one; its vectors must not be mixed with the old ones.
  private func check(_ dimension: Int) throws(EmbeddingError) {
    let known = shared.withLock { shared in
      if shared.dimension == nil { shared.dimension = dimension }
      return shared.dimension!
    }
    guard known == dimension else {
      throw EmbeddingError(
        .garbled, "\(server.model) at \(server.address) makes vectors of \(dimension) numbers now, and made such of \(known) before")
    }
  }

  private func exchange(_ texts: ArraySlice<String>, on line: Line) throws(EmbeddingError) -> [[Float]] {
    var body: [UInt8] = []
    var end: HTTPEnd?
    let request = server.request(texts, silenceMilliseconds: silenceMilliseconds)
    let id = line.http.start(request) { _, bytes in
      body += bytes
      return body.count <= EmbeddingServer.bytesPerAnswer
    } end: {
      end = $0
    }
    while true {
      line.http.perform()
      if let end {
        guard case .complete(let status, let retryAfter) = end else {
          throw server.failure(end, silenceMilliseconds: silenceMilliseconds)
        }
        return try server.vectors(status: status, body: body, retryAfter: retryAfter, count: texts.count)
      }
      if isStopped {
        line.http.cancel(id)
        throw stopped
      }
      let pause = line.http.nextTimer.map { max(0, $0 - MachineClock.nowMilliseconds()) } ?? 1000
      _ = line.http.wait(milliseconds: Int32(clamping: pause), descriptor: nil)
    }
  }
}
