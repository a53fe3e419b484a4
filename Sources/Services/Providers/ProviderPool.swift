import Kernel
import Protocol
import System

/// The providers as they are configured: who waits for each, and the kernel's own model. For the chat thread.
final class ProviderPool {
  private let runtimeFolder: String
  private let http: HTTPClient
  private let log: @Sendable (LogConfiguration.Level, String) -> Void
  private(set) var configuration: LanguageConfiguration
  /// By name; one that has gone from the configuration lives on in the questions that are with it.
  private var providers: [String: Provider] = [:]
  /// Children that have been told to end. The next one waits for them: they have the same socket.
  private var ending: [Promise<Bool>] = []

  /// These questions wait for a provider that will not answer them, and why.
  var onLost: ([UInt64], Failure) -> Void = { _, _ in }
  /// The kernel's own model is not in the state in which it was.
  var onChange: () -> Void = {}
  /// A child is gone; `childEnded` is wanted on the chat thread. Any thread.
  var onChildEnd: @Sendable () -> Void = {}

  init(
    _ configuration: LanguageConfiguration, runtimeFolder: String, http: HTTPClient,
    log: @escaping @Sendable (LogConfiguration.Level, String) -> Void
  ) {
    self.configuration = configuration
    self.runtimeFolder = runtimeFolder
    self.http = http
    self.log = log
  }

  /// The kernel's own model, where a provider is it.
  var local: LocalModel? { providers.values.lazy.compactMap(\.local).first }
  var statistics: [String: LanguageStatistics.Provider] { providers.mapValues(\.statistics) }
  var waitingCount: Int { providers.values.reduce(0) { $0 + $1.schedule.waitingCount } }
  var runningCount: Int { providers.values.reduce(0) { $0 + $1.schedule.runningCount } }
  /// What `[llm]` itself says.
  var standard: ModelServer? { provider(LanguageConfiguration.standardName)?.server }

  // MARK: The configuration

  /// Takes what is configured now. Questions that are with a provider that goes end there.
  func configure(_ configuration: LanguageConfiguration) {
    self.configuration = configuration
    let names = Set(configuration.providers.keys).union([LanguageConfiguration.standardName])
    for (name, provider) in providers where !names.contains(name) {
      // The kernel's own model needs no table: it stays as long as somebody may name it.
      if let now = configuration.provider(name), configuration.canonical(name) == name {
        set(provider, now)
      } else {
        providers[name] = nil
        stop(provider)
        onLost(provider.schedule.waitingIDs, gone(name))
      }
    }
    for name in names { if let provider = provider(name), let wanted = configuration.provider(name) { set(provider, wanted) } }
  }

  /// The provider of that name, made with the first question; nil: it is not configured.
  func provider(_ name: String) -> Provider? {
    let name = configuration.canonical(name)
    if let provider = providers[name] { return provider }
    guard let wanted = configuration.provider(name) else { return nil }
    let provider = Provider(name: name, wanted, localSocket: LocalModel.socketPath(in: runtimeFolder))
    providers[name] = provider
    employLocal(provider)
    return provider
  }

  func gone(_ provider: String) -> Failure {
    Failure(.llmUnreachable, "the provider \(provider) is in personas.toml no more: ask again")
  }

  /// The servers to ask for their models: one, or all. Nil: there is no provider of that name.
  func servers(of name: String?) -> [ModelServer]? {
    guard let name else { return providers.values.sorted { $0.name < $1.name }.map(\.server) }
    return provider(name).map { [$0.server] }
  }

  private func set(_ provider: Provider, _ wanted: ProviderConfiguration) {
    provider.configure(wanted, localSocket: LocalModel.socketPath(in: runtimeFolder))
    if let local = provider.local, wanted.kind != .local || !local.isMade(for: wanted, configuration.local) { stop(provider) }
    employLocal(provider)
  }

  // MARK: Whose turn it is

  /// The question that may be sent next; nil: none, for now.
  func next(at now: Milliseconds) -> UInt64? {
    for provider in providers.values where provider.schedule.hasNext(at: now) {
      if let local = provider.local, !local.isReady {
        if ending.isEmpty { local.handle(.needed) }
        continue
      }
      return provider.schedule.next(at: now)
    }
    return nil
  }

  // MARK: The kernel's own model

  private func employLocal(_ provider: Provider) {
    guard provider.configuration.kind == .local, provider.local == nil else { return }
    let local = LocalModel(provider.configuration, configuration.local, runtimeFolder: runtimeFolder, http: http, note: log)
    local.onChange = { [unowned self] in onChange() }
    local.onGiveUp = { [unowned self, unowned provider] failure in
      log(.error, failure.message)
      onLost(provider.schedule.waitingIDs, failure)
    }
    provider.local = local
  }

  /// When there may be something to do though nothing has happened.
  func nextTimer(at now: Milliseconds) -> Milliseconds? {
    (providers.values.map { $0.schedule.nextTimer(at: now) } + [local?.nextTimer]).compactMap { $0 }.min()
  }

  func runTimers(at now: Milliseconds) {
    if let local, let timer = local.nextTimer, timer <= now { local.handle(.timer) }
  }

  private func stop(_ provider: Provider) {
    guard let local = provider.local else { return }
    provider.local = nil
    let gone = Promise<Bool>()
    ending.append(gone)
    local.stop { [onChildEnd] in
      gone.fulfill(true)
      onChildEnd()
    }
  }

  /// The next child may begin when the last one is gone.
  func childEnded() { ending.removeAll { $0.wait(milliseconds: 0) != nil } }

  /// Ends the child; `waitForChildren` waits for it.
  func stop() { for provider in providers.values { stop(provider) } }
  func waitForChildren() { for child in ending { _ = child.wait() } }
}
