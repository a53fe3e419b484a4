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

    compare("llm", \.language.standard)
    compare("llm.providers", \.language.providers)
    compare("llm.local", \.language.local)
    compare("llm.fallbacks", \.language.fallbacks)
    compare("llm.summarise", \.language.summarises)
    compare("llm.tokens_per_day", \.language.tokensPerDay)

    compare("memory.embedder", \.memory.embedder)
    compare("memory.url", \.memory.url)
    compare("memory.api_key_env", \.memory.apiKeyVariable)
    applied.sort()
    restart.sort()
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
