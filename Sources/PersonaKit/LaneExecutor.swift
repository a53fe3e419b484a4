import Dispatch
import Glibc
import PersonaABI
import Synchronization

/// Runs the actor's work on the kernel's lane, through `host->post`.
///
/// After the generation's end the lane is gone; tasks that still have something to finish (they are
/// cancelled) run on a queue of their own. Only one job is with either of the two at a time, so that
/// the last ones on the lane and the first ones after it cannot overlap.
public final class LaneExecutor: SerialExecutor {
  private let host: HostReference
  private let afterwards = DispatchQueue(label: "persona.afterwards")
  private static let afterwardsKey = DispatchSpecificKey<ObjectIdentifier>()
  /// The lane's thread; set by the first call of the kernel.
  private let thread = Atomic<UInt>(0)

  private struct Queue {
    var jobs: Deque = Deque()
    /// A call of `runNext` is on its way.
    var scheduled = false
  }
  private let queue = Mutex(Queue())

  init(_ host: HostReference) {
    self.host = host
    afterwards.setSpecific(key: Self.afterwardsKey, value: ObjectIdentifier(self))
  }

  /// The kernel has called: this thread is the lane.
  func entered() { thread.store(UInt(pthread_self()), ordering: .relaxed) }

  /// The kernel will not call any more; the thread may soon be somebody else's.
  func left() { thread.store(0, ordering: .relaxed) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let mustSchedule = queue.withLock { queue in
      queue.jobs.append(job)
      defer { queue.scheduled = true }
      return !queue.scheduled
    }
    if mustSchedule { schedule() }
  }

  private func schedule() {
    if host.post({ self.runNext() }) { return }
    afterwards.async { self.runNext() }
  }

  private func runNext() {
    guard let job = queue.withLock({ $0.jobs.popFirst() }) else { preconditionFailure("what is scheduled has a job") }
    job.runSynchronously(on: asUnownedSerialExecutor())
    let more = queue.withLock { queue in
      queue.scheduled = !queue.jobs.isEmpty
      return queue.scheduled
    }
    if more { schedule() }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  public func isIsolatingCurrentContext() -> Bool? {
    thread.load(ordering: .relaxed) == UInt(pthread_self()) || DispatchQueue.getSpecific(key: Self.afterwardsKey) == ObjectIdentifier(self)
  }

  public func checkIsolated() { precondition(isIsolatingCurrentContext() == true, "this code belongs to the persona's lane") }

  /// First in, first out, without moving what waits at each step.
  private struct Deque {
    private var jobs: [UnownedJob] = []
    private var head = 0
    var isEmpty: Bool { head == jobs.count }
    mutating func append(_ job: UnownedJob) { jobs.append(job) }
    mutating func popFirst() -> UnownedJob? {
      if isEmpty { return nil }
      defer {
        head += 1
        if head == jobs.count {
          jobs.removeAll(keepingCapacity: head < 1024)
          head = 0
        }
      }
      return jobs[head]
    }
  }
}
