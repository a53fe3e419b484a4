import Dispatch
import Glibc
import PersonaABI
import Synchronization

/// Runs the actor's work on the kernel's lane, through `host->post`.
///
/// After the generation's end the lane is gone; tasks that still have something to finish (they are
/// cancelled) run on a queue of their own, one at a time.
public final class LaneExecutor: SerialExecutor {
  private let host: HostReference
  private let afterwards = DispatchQueue(label: "persona.afterwards")
  private static let afterwardsKey = DispatchSpecificKey<Bool>()
  /// The lane's thread; set by the first call of the kernel.
  private let thread = Atomic<UInt>(0)

  init(_ host: HostReference) {
    self.host = host
    afterwards.setSpecific(key: Self.afterwardsKey, value: true)
  }

  /// The kernel has called: this thread is the lane.
  func entered() { thread.store(UInt(pthread_self()), ordering: .relaxed) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if !host.post({ job.runSynchronously(on: self.asUnownedSerialExecutor()) }) {
      afterwards.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  public func isIsolatingCurrentContext() -> Bool? {
    thread.load(ordering: .relaxed) == UInt(pthread_self()) || DispatchQueue.getSpecific(key: Self.afterwardsKey) == true
  }

  public func checkIsolated() { precondition(isIsolatingCurrentContext() == true, "this code belongs to the persona's lane") }
}
