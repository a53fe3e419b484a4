import Protocol
import System

/// Asks the running instance now and then whether it is well, and more often while it is on trial, where an error brings the version
/// before it back. Event loop only.
final class HealthMonitor {
  private unowned let slot: PersonaSlot
  /// When the trial of the running instance is over.
  private var trialEnd: UInt64 = 0
  private var timer: UInt64?
  /// When the question was asked that has not been answered; 0: none.
  private var askedAt: UInt64 = 0
  /// It has been found not well, and that was logged.
  private var isSick = false

  init(of slot: PersonaSlot) { self.slot = slot }

  private var settings: ReloadConfiguration { slot.supervisor.settings }

  /// A new instance runs, and is on trial from now on.
  func begin() {
    trialEnd = MachineClock.now() + UInt64(clamping: settings.trialMilliseconds) * 1_000_000
    (askedAt, isSick) = (0, false)
    schedule()
  }

  private func schedule() {
    if let timer { slot.loop.cancel(timer: timer) }
    timer = nil
    guard let context = slot.current else { return }
    // Often in its trial, and while an answer to a question of the trial is awaited.
    let isSoon = MachineClock.now() < trialEnd || askedAt > 0 && !isSick
    let interval = isSoon ? max(10, min(100, settings.trialMilliseconds / 4)) : 10_000
    timer = slot.loop.after(milliseconds: interval) { [weak self, weak context] in
      guard let self, let context, slot.current === context else { return }
      if !slot.reload.isAttempting { look(at: context) }
      schedule()
    }
  }

  private func look(at context: InstanceContext) {
    let now = MachineClock.now()
    if askedAt == 0 { return ask(context, at: now) }
    // The last question is still out: the code does not come back.
    if now - askedAt > UInt64(clamping: settings.callMilliseconds) * 1_000_000 {
      found(
        context, askedAt: askedAt, "it has not come back from a call for \((now - askedAt) / 1_000_000) ms",
        advice: "; `parlor reload \(slot.name) --force` replaces it without its state")
    }
  }

  private func ask(_ context: InstanceContext, at now: UInt64) {
    askedAt = now
    context.instance.health(then: slot.supervisor.inbox.onLoop { [slot] result in slot.health.answered(context, askedAt: now, result) })
  }

  private func answered(_ context: InstanceContext, askedAt asked: UInt64, _ result: Result<Void, Failure>) {
    guard slot.current === context else { return }
    askedAt = 0
    switch result {
    case .success: isSick = false
    case .failure(let failure): found(context, askedAt: asked, failure.message)
    }
  }

  /// What was asked in the trial counts for the trial, however long the answer took.
  private func found(_ context: InstanceContext, askedAt asked: UInt64, _ problem: String, advice: String = "") {
    if asked < trialEnd, slot.lineage.previous != nil, !slot.reload.isAttempting {
      trialEnd = 0
      slot.rollBack(reason: "generation \(context.instance.number) failed its trial: \(problem)") { _ in }
    } else if !isSick {
      isSick = true
      slot.reload.unwell(problem + advice)
    }
  }
}
