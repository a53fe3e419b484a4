// The language model service. How the pieces fit:
//
//   chat() ─▶ ChatEngine ─▶ QuestionMachine      what becomes of a question: events in, actions out
//               │
//               ├─ HistoryThread ─▶ Histories    conversations and spending, one SQLite file, on a thread of their own
//               ├─ ProviderPool ─▶ Provider      Schedule, Breaker; LocalModel (the kernel's child, driven by Supervision)
//               ├─ QuestionSender ─▶ Prompt ─▶ ModelServer ─▶ HTTPClient ─▶ a server
//               │        └────◀─ AnswerReader ◀─ AnswerDecoder ◀──── bytes
//               └─ Summariser                    has the model summarise what does not fit any more
//
// One thread, "llm", owns all of it but the histories, and is begun by the first question; it sleeps in curl_multi_poll and is
// woken by curl_multi_wakeup. It waits neither for the conversations' file nor for a child that ends. So nothing below needs a
// lock, and a kernel that is asked nothing pays nothing.
// What decides is a value with its clock as a parameter and no system call: QuestionMachine, Route (to whom), ConversationOrder,
// Schedule and FairQueue (who is next), Backoff and Breaker (when again), PromptBuilder, Prompt and Summarising (what of a
// history goes along), Budget, AnswerReader and its decoder, Recovery (whether and how again), RequestForm (how a server is asked), Supervision (the child), ModelServer (address, bodies, and
// every failure's wording). HTTPClient, Subprocess, ChildLog and HistoryStore touch the system.

import Kernel
import Protocol
import Synchronization
import System

/// Asks language models: Ollama, any OpenAI-compatible server, or the local one that is the kernel's own child.
///
/// Every method may be called on any thread and returns at once, but for `stop`. Events come on threads of this service: who
/// handles them must not block them.
public final class LanguageModels: LanguageService {
  /// So many jobs may wait for the chat thread before questions are refused.
  private static let queueLimit = 65_536

  private let thread: SerialThread<ChatJob>
  private let inbox = ChatInbox()
  private let nextID = Atomic<UInt64>(0)
  private let statisticsBoard: StatisticsBoard
  private let log: @Sendable (LogConfiguration.Level, String) -> Void

  /// - Parameters:
  ///   - runtimeFolder: a private folder for the local model's socket and log; it exists.
  ///   - dataFolder: conversations are kept there, in llm.sqlite; nil: in memory only.
  ///   - clock: milliseconds since 1970.
  ///   - log: called on threads of this service.
  public init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, dataFolder: String?,
    clock: @escaping @Sendable () -> Int64 = MachineClock.system.wallMilliseconds,
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    let server = ModelServer(
      configuration.standard, localSocket: LocalModel.socketPath(in: runtimeFolder), environment: environmentVariable)
    statisticsBoard = StatisticsBoard(LanguageStatistics(server))
    if configuration.standard.kind == .local { statisticsBoard.change { $0.local = .init(state: "stopped", restarts: 0) } }
    self.log = log
    let parts = ChatEngine.Parts(
      configuration: configuration, runtimeFolder: runtimeFolder, dataFolder: dataFolder, clock: clock, statistics: statisticsBoard,
      inbox: inbox, log: log)
    thread = SerialThread(name: "llm") { Self.worker(parts) }
    inbox.open(thread)
  }

  /// The chat thread sleeps in curl, which any thread may wake.
  private static func worker(_ parts: ChatEngine.Parts) -> SerialWorker<ChatJob> {
    let http = HTTPClient()
    let waker = http.waker
    let engine = ChatEngine(parts, http: http)
    return SerialWorker(
      perform: { engine.round($0) }, sleep: { engine.sleep() }, wake: { waker.wake() },
      end: {
        engine.stop()
        http.close()
      })
  }

  public func chat(_ question: LanguageQuestion, onEvent: @escaping @Sendable (LanguageEvent) -> Void) -> LanguageCall {
    let id = nextID.add(1, ordering: .relaxed).newValue
    post {
      $0.ask(id, question, onEvent: onEvent)
    } refused: {
      onEvent(.finished(.failure($0)))
    }
    return Call(id: id, thread: thread)
  }

  public func forget(persona: String, thread: String) {
    let told = { @Sendable [log] (failure: Failure) in
      if failure.code == .retired { return }
      log(.error, "the conversation \(thread) of \(persona) is not forgotten: \(failure.message)")
    }
    history(.forget(persona: persona, thread: thread)) { if case .failure(let failure) = $0 { told(failure) } }
  }

  public func history(_ request: HistoryRequest, onEnd: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    post {
      $0.history(request, onEnd: onEnd)
    } refused: {
      onEnd(.failure($0))
    }
  }

  /// Takes a changed `[llm]`. Questions that are with the model are not disturbed, unless it was the local one and goes away.
  public func configure(_ configuration: LanguageConfiguration) { _ = thread.post { $0.configure(configuration) } }

  public func models(of provider: String?, done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void) {
    post {
      $0.models(of: provider, done: done)
    } refused: {
      done(.failure($0))
    }
  }

  public func statistics() -> [UInt8] { PayloadCoding.bytes(of: statisticsBoard.read()) }

  public func usage(of persona: String) -> LanguageUsage { statisticsBoard.read().personas[persona] ?? LanguageUsage() }

  /// Why the file with the provider's key cannot be used; nil: it can, or there is none.
  public static func obstacle(toKeyFileOf provider: ProviderConfiguration, section: String) -> String? {
    provider.apiKeyFile.flatMap { ServerKey(file: $0).obstacle(section: section) }
  }

  public func stop() {
    thread.stop()
    inbox.close()
  }

  deinit { stop() }

  /// - Parameter refused: called once, later and on another thread, if the job is not taken.
  private func post(_ job: @escaping ChatJob, refused: @escaping @Sendable (Failure) -> Void) {
    let failure: Failure
    if thread.waiting >= Self.queueLimit {
      failure = Failure(.queueFull, "\(Self.queueLimit) jobs wait for the language service: ask again later")
    } else {
      switch thread.post(job) {
      case .success: return
      case .failure(.noThread(let error)):
        failure = Failure(.queueFull, "no thread can be started for the model: \(error); ask again later")
      case .failure: failure = Failure(.retired, "the kernel is stopping; the model is not asked any more")
      }
    }
    // There may be no thread of ours any more that could call.
    Task.detached { refused(failure) }
  }

  private struct Call: LanguageCall {
    let id: UInt64
    let thread: SerialThread<ChatJob>
    func cancel() {
      let id = id
      _ = thread.post({ $0.cancel(id) }, begins: false)
    }
  }
}
