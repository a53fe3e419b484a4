import Protocol
import System

/// The way out of the running instance when its persona is unloaded: it finishes what it has been given, saves, and goes.
/// Event loop only.
///
/// It saves when it has nothing left to do, when its time to drain is over, or when it turns out not to come back from a call.
final class Departure {
  let context: InstanceContext
  private let began = MachineClock.now()
  private var isSaving = false
  /// Called once, with the state and when it began; nil afterwards.
  private var ended: ((Result<[UInt8]?, Failure>, _ began: UInt64) -> Void)?

  init(_ context: InstanceContext, ended: @escaping (Result<[UInt8]?, Failure>, _ began: UInt64) -> Void) {
    self.context = context
    self.ended = ended
  }

  private var loop: EventLoop { context.slot.loop }
  private var settings: ReloadConfiguration { context.slot.supervisor.settings }

  func begin() {
    if context.isIdle { return save() }
    loop.after(milliseconds: settings.drainMilliseconds) { [weak self] in self?.save() }
    watch()
  }

  /// It may have nothing left to do.
  func settled() { if context.isIdle { save() } }

  /// One that does not come back from a call will finish nothing: it is not waited for until its time to drain is over.
  private func watch() {
    let limit = settings.callMilliseconds
    loop.after(milliseconds: limit) { [weak self] in
      guard let self, !isSaving else { return }
      let busy = context.instance.load(now: MachineClock.now()).busy
      if busy >= UInt64(clamping: limit) * 1_000_000 { save() } else { watch() }
    }
  }

  private func save() {
    if isSaving { return }
    isSaving = true
    context.instance.save(then: context.slot.supervisor.inbox.onLoop { [self] in end($0) })
    loop.after(milliseconds: settings.callMilliseconds) { [weak self] in
      self?.end(.failure(Failure(.deadline, "it does not come back from a call")))
    }
  }

  private func end(_ state: Result<[UInt8]?, Failure>) {
    guard let ended else { return }
    self.ended = nil
    ended(state, began)
  }
}
