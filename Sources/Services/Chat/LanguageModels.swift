// The language model service. How the pieces fit:
//
//   chat() ─▶ LanguageThread ─▶ ChatEngine ─▶ Route ─▶ Provider ─▶ Prompt ─▶ ModelServer ─▶ HTTPClient ─▶ a server
//                               │ Histories              Schedule             (address, body)  (libcurl)
//                               │                        Breaker, Backoff
//                               │                        LocalModel (the kernel's child, driven by Supervision)
//                               └────◀─ OllamaAnswer | OpenAIAnswer ◀─── bytes
//
// One thread, "llm", owns all of it and is begun by the first question; it sleeps in curl_multi_poll and is woken
// by curl_multi_wakeup. So nothing below needs a lock, and a kernel that is asked nothing pays nothing.
// What decides is a value with its clock as a parameter and no system call: Route (to whom), ConversationOrder, Schedule
// and FairQueue (who is next), Backoff and Breaker (when again), Prompt and Summarising (what of a history goes along),
// the two decoders, Supervision (the child), ModelServer (address, bodies, and every failure's wording). HTTPClient,
// ChildProcess, ChildLog and HistoryStore (one SQLite file) touch the system.

import Kernel
import Protocol
import Synchronization
import System

/// Asks language models: Ollama, any OpenAI-compatible server, or the local one that is the kernel's own child.
///
/// Every method may be called on any thread and returns at once, but for `stop`. Events come on the language thread:
/// who handles them must not block it.
public final class LanguageModels: LanguageService {
  private let thread: LanguageThread
  private let nextID = Atomic<UInt64>(0)
  private let statisticsBoard: StatisticsBoard

  /// - Parameters:
  ///   - runtimeFolder: a private folder for the local model's socket and log; it exists.
  ///   - dataFolder: conversations are kept there, in llm.sqlite; nil: in memory only.
  ///   - clock: milliseconds since 1970.
  ///   - log: called on the language thread.
  public init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, dataFolder: String?,
    clock: @escaping @Sendable () -> Int64 = MachineClock.system.wallMilliseconds,
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    let server = ModelServer(
      configuration.standard, localSocket: LocalModel.socketPath(in: runtimeFolder), environment: environmentVariable)
    statisticsBoard = StatisticsBoard(LanguageStatistics(server))
    if configuration.standard.kind == .local { statisticsBoard.change { $0.local = .init(state: "stopped", restarts: 0) } }
    thread = LanguageThread { [statisticsBoard] thread in
      runLanguageThread(
        thread, configuration, runtimeFolder: runtimeFolder, dataFolder: dataFolder, clock: clock, statistics: statisticsBoard, log: log)
    }
  }

  public func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> LanguageCall {
    let id = nextID.add(1, ordering: .relaxed).newValue
    if !thread.post(.ask(id, question, onEvent)) {
      // There is no language thread any more that could call.
      Task.detached { onEvent(.finished(.failure(Failure(.retired, "the kernel is stopping; the model is not asked any more")))) }
    }
    return Call(id: id, thread: thread)
  }

  public func forget(persona: String, thread: String) {
    self.thread.post(.forget(ThreadKey(persona: persona, thread: thread)))
  }

  public func history(_ order: HistoryRequest, onEnd: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    if !thread.post(.history(order, onEnd)) {
      Task.detached { onEnd(.failure(Failure(.retired, "the kernel is stopping; conversations are not looked up any more"))) }
    }
  }

  /// Takes a changed `[llm]`. Questions that are with the model are not disturbed, unless it was the local one and goes away.
  public func configure(_ configuration: LanguageConfiguration) { thread.post(.configure(configuration)) }

  public func models(of provider: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    if !thread.post(.models(provider, done)) {
      Task.detached { done(.failure(Failure(.retired, "the kernel is stopping; the model is not asked any more"))) }
    }
  }

  public func statistics() -> [UInt8] { PayloadCoding.bytes(of: statisticsBoard.read()) }

  public func usage(of persona: String) -> LanguageUsage { statisticsBoard.read().personas[persona] ?? LanguageUsage() }

  /// Why the file with the provider's key cannot be used; nil: it can, or there is none.
  public static func obstacle(toKeyFileOf provider: ProviderConfiguration, section: String) -> String? {
    provider.apiKeyFile.flatMap { ServerKey(file: $0).obstacle(section: section) }
  }

  public func stop() { thread.stop() }

  deinit { thread.stop() }

  private struct Call: LanguageCall {
    let id: UInt64
    let thread: LanguageThread
    func cancel() { thread.post(.cancel(id), begins: false) }
  }
}
