import Kernel

/// One place where a model answers, with all that belongs to it: who waits for it, whether it is well. For the chat thread.
final class Provider {
  let name: String
  private(set) var configuration: ProviderConfiguration
  /// Made anew with each change of the configuration: questions that were sent keep the one that they were sent to.
  private(set) var server: ModelServer
  var schedule: Schedule
  var breaker = Breaker()
  /// The kernel's own child, where it is that.
  var local: LocalModel?
  var counters: LanguageStatistics.Provider
  /// What its models do not take in a request.
  var forms = KnownForms()

  init(name: String, _ configuration: ProviderConfiguration, localSocket: String) {
    self.name = name
    self.configuration = configuration
    server = ModelServer(name: name, configuration, localSocket: localSocket, environment: environmentVariable)
    schedule = Schedule(slots: server.slots)
    (schedule.patience, schedule.growth) = (server.patience, server.growth)
    counters = LanguageStatistics.Provider(server)
  }

  /// Reads the key again, too. Who was ill where it was is not thought to be ill elsewhere.
  func configure(_ configuration: ProviderConfiguration, localSocket: String) {
    if configuration.url != self.configuration.url || configuration.kind != self.configuration.kind { breaker = Breaker() }
    // A new reading of the file is the way to have everything tried again.
    forms = KnownForms()
    self.configuration = configuration
    server = ModelServer(name: name, configuration, localSocket: localSocket, environment: environmentVariable)
    (schedule.slots, schedule.patience, schedule.growth) = (server.slots, server.patience, server.growth)
    counters.describe(server)
  }

  /// As it is now.
  var statistics: LanguageStatistics.Provider {
    var now = counters
    now.waiting = schedule.waitingCount
    now.running = schedule.runningCount
    now.breaker = breaker.word
    return now
  }
}
