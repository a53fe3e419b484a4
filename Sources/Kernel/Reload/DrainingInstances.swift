import Protocol

/// Instances of one persona that have been replaced or unloaded, and finish what they have, within a limit. Event loop only.
final class DrainingInstances {
  private unowned let slot: PersonaSlot
  private(set) var contexts: [InstanceContext] = []
  var count: Int { contexts.count }

  init(of slot: PersonaSlot) { self.slot = slot }

  private var supervisor: Supervisor { slot.supervisor }

  /// No new mail comes to it. `reason`: what those are told whom it does not answer in time.
  func add(_ old: InstanceContext, _ reason: String) {
    old.instance.enter(.draining)
    contexts.append(old)
    slot.loop.after(milliseconds: supervisor.settings.drainMilliseconds) { [weak self, weak old] in
      guard let self, let old, contexts.contains(where: { $0 === old }) else { return }
      supervisor.log.warning(
        "a generation did not finish in time and is ended",
        ["persona": slot.name, "generation": old.instance.number, "open": old.openGrams])
      retire(old, Failure(.retired, reason))
    }
    settled(old)
  }

  /// It does not come back from a call and will finish nothing: whoever waits for it is told at once.
  func giveUp(_ old: InstanceContext, _ reason: String) {
    old.instance.enter(.draining)
    contexts.append(old)
    retire(old, Failure(.retired, reason))
  }

  /// It may have nothing left to do.
  func settled(_ context: InstanceContext) {
    if context.instance.phase == .draining, context.isIdle { retire(context, Failure(.retired, "\(slot.name) was replaced")) }
  }

  private func retire(_ context: InstanceContext, _ failure: Failure) {
    guard let index = contexts.firstIndex(where: { $0 === context }) else { return }
    contexts.remove(at: index)
    context.abandon(failure)
    // Until it has come back from its stop it may still say something. The context keeps the slot for so long.
    let box = LoopOnly(context)
    let inbox = supervisor.inbox
    context.instance.end {
      inbox.post {
        $0.supervisor.leftBehind.remove(box.value.instance)
        Self.ended(box.value, failure)
      }
    }
    slot.loop.after(milliseconds: supervisor.settings.callMilliseconds) {
      let supervisor = context.slot.supervisor
      if supervisor.isKnown(context) { supervisor.leftBehind.add(context.instance, of: context.slot.name) }
      Self.ended(context, failure)
    }
  }

  /// It has come back from its end, or is not waited for any longer.
  private static func ended(_ context: InstanceContext, _ failure: Failure) {
    let supervisor = context.slot.supervisor
    guard supervisor.isKnown(context) else { return }
    context.instance.enter(.retired)
    context.abandon(failure)
    supervisor.log.debug("retired", ["persona": context.slot.name, "generation": context.instance.number])
    supervisor.remove(context)
  }
}
