import System

/// Makes the vectors of what is looked for; those of a server on a thread of its own, so that a query can stop waiting for it.
///
/// A call that nobody waits for any more goes on, so that a model that has to be loaded first is loaded for later queries.
final class QueryEmbedder: Sendable {
  private let thread: SerialThread<@Sendable () -> Void>
  private let milliseconds: Int

  /// - Parameter milliseconds: how long a query waits for its vector.
  init(milliseconds: Int) {
    self.milliseconds = milliseconds
    // While the thread is busy with a text whose query has given up, one text may wait; later ones would only pile up.
    thread = SerialThread(name: "memory-vector", limit: 1) { SerialWorker { jobs in for job in jobs { job() } } }
  }

  /// The vector of a text; empty for a text without words. Blocks the calling thread until it is there or the time is over.
  ///
  /// - Parameter arrived: when the query came, in nanoseconds of the machine's clock; its time counts from then.
  func vector(of text: String, by embedder: any Embedder, arrived: UInt64) throws(EmbeddingError) -> [Float] {
    if !embedder.waitsForServer { return try embedder.embed([text]).first ?? [] }
    let rest = remaining(since: arrived)
    guard rest > 0 else { throw late(embedder) }
    let made = Promise<Result<[Float], EmbeddingError>>()
    let isTaken = thread.post { [self] in
      // An earlier text may have taken all of its time.
      if remaining(since: arrived) == 0 { return }
      made.fulfill(Result { () throws(EmbeddingError) in try embedder.embed([text]).first ?? [] })
    }
    switch isTaken {
    case .success: break
    case .failure(.full): throw EmbeddingError(.unreachable, "\(embedder.id) is still busy with the text of an earlier query")
    case .failure(.noThread(let error)): throw EmbeddingError(.unreachable, "no thread can be started for \(embedder.id): \(error)")
    case .failure(.stopped): throw EmbeddingError(.stopped, "the kernel is stopping")
    }
    guard let result = made.wait(milliseconds: rest) else { throw late(embedder) }
    return try result.get()
  }

  private func late(_ embedder: any Embedder) -> EmbeddingError {
    EmbeddingError(
      .unreachable, "\(embedder.id) made no vector of the query within \(milliseconds) ms: its server is silent, busy, or loading the model"
    )
  }

  private func remaining(since arrived: UInt64) -> Int {
    let now = MachineClock.now()
    let passed = now > arrived ? (now - arrived) / 1_000_000 : 0
    return max(0, milliseconds - Int(clamping: passed))
  }

  /// Waits for the call under way, so its embedder must be stopped before.
  func stop() { thread.stop() }
}
