import Kernel
import Synchronization
import Wire

/// The embedders in use, by their choice in the words of `[memory] embedder`; each is made once. Any thread.
final class Embedders: Sendable {
  private struct State {
    var configuration: MemoryConfiguration
    var made: [String: any Embedder] = [:]
    var isStopped = false
    /// What was said in the log.
    var told: String?
  }

  private let shared: Mutex<State>
  private let environment: @Sendable (String) -> String?
  private let log: @Sendable (String) -> Void

  init(
    _ configuration: MemoryConfiguration, environment: @escaping @Sendable (String) -> String? = environmentVariable,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    shared = Mutex(State(configuration: configuration))
    self.environment = environment
    self.log = log
  }

  /// For tests: an embedder that is there already.
  convenience init(_ embedder: any Embedder, choice: String) {
    var configuration = MemoryConfiguration()
    configuration.embedder = choice
    self.init(configuration)
    shared.withLock { $0.made[choice] = embedder }
  }

  /// The embedder of a collection's choice; nil choice: the one of `[memory]`. Nil: words alone are wanted.
  func get(_ choice: String?) throws(EmbeddingError) -> (any Embedder)? {
    let result: Result<(any Embedder)?, EmbeddingError> = shared.withLock { state in
      if state.isStopped { return .failure(EmbeddingError(.stopped, "the kernel is stopping")) }
      var configuration = state.configuration
      if let choice { configuration.embedder = choice }
      if let made = state.made[configuration.embedder] { return .success(made) }
      do throws(EmbeddingError) {
        let embedder = try configuration.makeEmbedder(environment: environment)
        if let embedder { state.made[configuration.embedder] = embedder }
        return .success(embedder)
      } catch {
        if state.told != error.description {
          state.told = error.description
          log("texts are found by their words alone: \(error.description)")
        }
        return .failure(error)
      }
    }
    return try result.get()
  }

  func configure(_ configuration: MemoryConfiguration) {
    let old = shared.withLock { state -> [any Embedder] in
      guard state.configuration != configuration else { return [] }
      defer { state.made = [:] }
      state.configuration = configuration
      state.told = nil
      return Array(state.made.values)
    }
    for embedder in old { embedder.stop() }
  }

  /// For `parlor stats`.
  var state: JSON {
    do throws(EmbeddingError) {
      guard let embedder = try get(nil) else { return "none: words alone" }
      return .string(embedder.id)
    } catch { return .string("none, words alone: \(error.description)") }
  }

  func stop() {
    let all = shared.withLock { state -> [any Embedder] in
      state.isStopped = true
      return Array(state.made.values)
    }
    for embedder in all { embedder.stop() }
  }
}
