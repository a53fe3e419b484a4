import Glibc
import Kernel
import Synchronization

/// A thread that does jobs in their order, and begins with the first.
final class WorkThread<Job: Sendable>: Sendable {
  private struct State {
    var jobs: [Job] = []
    var thread: pthread_t?
    var isStopped = false
  }

  /// Posted once for each job and once for the end.
  private struct Semaphore: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<sem_t>
  }

  private let state = Mutex(State())
  private let semaphore = Semaphore(pointer: .allocate(capacity: 1))
  private let name: String
  private let makeBody: @Sendable () -> ([Job]) -> Void

  /// - Parameters:
  ///   - name: for debuggers, of at most 15 bytes.
  ///   - makeBody: called on the thread, and what it returns for all jobs that have queued up; that is freed when the thread ends.
  init(name: String, makeBody: @escaping @Sendable () -> ([Job]) -> Void) {
    self.name = name
    self.makeBody = makeBody
    sem_init(semaphore.pointer, 0, 0)
  }

  deinit {
    sem_destroy(semaphore.pointer)
    semaphore.pointer.deallocate()
  }

  /// - Returns: false if the thread has been stopped.
  func post(_ job: Job) -> Bool {
    state.withLock { state in
      guard !state.isStopped else { return false }
      // It does not keep this object: `stop` joins it before the object goes.
      if state.thread == nil { state.thread = startJoinableThread(name: name) { [unowned self] in run() } }
      state.jobs.append(job)
      sem_post(semaphore.pointer)
      return true
    }
  }

  /// Ends the thread when it has done every job, and waits for its end.
  func stop() {
    let thread: pthread_t? = state.withLock { state in
      guard !state.isStopped else { return nil }
      state.isStopped = true
      sem_post(semaphore.pointer)
      return state.thread
    }
    if let thread { pthread_join(thread, nil) }
  }

  private func run() {
    let body = makeBody()
    while true {
      while sem_wait(semaphore.pointer) != 0 {}
      let (jobs, isStopped) = state.withLock { state in
        defer { state.jobs = [] }
        return (state.jobs, state.isStopped)
      }
      if !jobs.isEmpty { body(jobs) } else if isStopped { return }
    }
  }
}
