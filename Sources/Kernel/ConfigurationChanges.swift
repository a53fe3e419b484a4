import Wire

/// Which keys of personas.toml differ between two readings, besides those of personas: by "PART.KEY", sorted.
struct ConfigurationChanges: Equatable {
  /// In force from now on.
  private(set) var applied: [String] = []
  /// In force when the kernel is started again.
  private(set) var restart: [String] = []

  init(from old: Configuration, to new: Configuration) {
    func compare<Value: Equatable>(_ key: String, _ path: KeyPath<Configuration, Value>, needsRestart: Bool = false) {
      if old[keyPath: path] == new[keyPath: path] { return }
      if needsRestart { restart.append(key) } else { applied.append(key) }
    }
    compare("kernel.socket", \.socketPath, needsRestart: true)
    compare("kernel.plugins", \.pluginFolders, needsRestart: true)
    compare("kernel.data", \.dataFolder, needsRestart: true)

    compare("log.format", \.log.format)
    compare("log.level", \.log.level)
    compare("log.levels", \.log.levels)

    compare("bus.frame_bytes", \.limits.frameBytes)
    compare("bus.queue_bytes", \.limits.queueBytes)
    compare("bus.mailbox_bytes", \.limits.mailboxBytes)
    compare("bus.hops", \.limits.hops)
    compare("bus.deadline_ms", \.limits.deadlineMilliseconds)
    compare("bus.requests", \.limits.requests)
    compare("bus.total_bytes", \.limits.totalBytes)
    compare("bus.connections", \.limits.connections)

    // A watch that runs is not taken back, and keeps its pause.
    compare("reload.watch", \.reload.watch, needsRestart: old.reload.watch)
    compare("reload.settle_ms", \.reload.settleMilliseconds, needsRestart: old.reload.watch)
    compare("reload.call_ms", \.reload.callMilliseconds)
    compare("reload.drain_ms", \.reload.drainMilliseconds)
    compare("reload.trial_ms", \.reload.trialMilliseconds)
    compare("reload.record", \.reload.recordedGrams)

    applied += Self.keys("llm", old.language.standard, new.language.standard)
    for name in Set(old.language.providers.keys).union(new.language.providers.keys) {
      switch (old.language.providers[name], new.language.providers[name]) {
      case (let old?, let new?): applied += Self.keys("llm.providers.\(name)", old, new)
      default: applied.append("llm.providers.\(name)")
      }
    }
    compare("llm.local.command", \.language.local.command)
    compare("llm.local.log", \.language.local.logPath)
    compare("llm.fallbacks", \.language.fallbacks)
    compare("llm.summarise", \.language.summarises)
    compare("llm.tokens_per_day", \.language.tokensPerDay)

    compare("memory.embedder", \.memory.embedder)
    compare("memory.url", \.memory.url)
    compare("memory.api_key_env", \.memory.apiKeyVariable)
    applied.sort()
    restart.sort()
  }

  /// The keys of a provider's table that differ.
  private static func keys(_ table: String, _ old: ProviderConfiguration, _ new: ProviderConfiguration) -> [String] {
    if old == new { return [] }
    var keys: [String] = []
    func compare<Value: Equatable>(_ key: String, _ path: KeyPath<ProviderConfiguration, Value>) {
      if old[keyPath: path] != new[keyPath: path] { keys.append("\(table).\(key)") }
    }
    compare("provider", \.kind)
    compare("url", \.url)
    compare("model", \.model)
    compare("api_key_env", \.apiKeyVariable)
    compare("api_key_file", \.apiKeyFile)
    compare("context_tokens", \.contextTokens)
    compare("temperature", \.temperature)
    compare("max_tokens", \.maxTokens)
    compare("silence_ms", \.silenceMilliseconds)
    compare("parallel", \.parallel)
    compare("retries", \.retries)
    return keys.isEmpty ? [table] : keys
  }
}

extension PersonaConfiguration {
  /// The keys of its table that are others than in an earlier reading, sorted.
  func keys(changedFrom old: PersonaConfiguration) -> [String] {
    func table(_ json: [UInt8]) -> [String: JSON] { (try? JSON(parsing: json))?.object ?? [:] }
    let (before, after) = (table(old.json), table(json))
    let keys = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
    // A path that is written as before may lead elsewhere.
    return keys.union(old.library == library ? [] : ["library"]).sorted()
  }
}

extension Configuration {
  /// What a later reading is compared with: the new values, but the old ones of keys that only a start takes over.
  mutating func takeOver(_ new: Configuration) {
    let old = self
    self = new
    (socketPath, pluginFolders, dataFolder) = (old.socketPath, old.pluginFolders, old.dataFolder)
    if old.reload.watch { (reload.watch, reload.settleMilliseconds) = (old.reload.watch, old.reload.settleMilliseconds) }
  }
}
