import CSQLite
import Glibc
import Synchronization

/// One request on its way to the store's thread.
struct StoreJob: Sendable {
  let request: MemoryRequest
  let access: Access
  let onEnd: @Sendable (Result<MemoryReply, MemoryError>) -> Void
}

/// The store's thread, which begins with the first job.
final class StoreThread: Sendable {
  private struct State {
    var jobs: [StoreJob] = []
    var thread: pthread_t?
    var isStopped = false
  }

  /// Posted once for each job and once for the end.
  private struct Semaphore: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<sem_t>
  }

  private let state = Mutex(State())
  private let semaphore = Semaphore(pointer: .allocate(capacity: 1))
  private let makeBody: @Sendable () -> ([StoreJob]) -> Void

  /// `makeBody` is called on the thread, and what it returns for all jobs that have queued up; it is freed when the thread ends.
  init(makeBody: @escaping @Sendable () -> ([StoreJob]) -> Void) {
    self.makeBody = makeBody
    sem_init(semaphore.pointer, 0, 0)
  }

  deinit {
    sem_destroy(semaphore.pointer)
    semaphore.pointer.deallocate()
  }

  /// - Returns: false if the thread has been stopped.
  func post(_ job: StoreJob) -> Bool {
    state.withLock { state in
      guard !state.isStopped else { return false }
      if state.thread == nil { state.thread = start() }
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

  private func start() -> pthread_t {
    var thread = pthread_t()
    // Not retained: `stop` joins the thread before this object goes.
    let box = Unmanaged.passUnretained(self).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { box in
        // Signals are the kernel's main thread's.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        pthread_setname_np(pthread_self(), "memory")
        Unmanaged<StoreThread>.fromOpaque(box!).takeUnretainedValue().run()
        return nil
      }, box)
    precondition(code == 0, "pthread_create: \(String(cString: strerror(code)))")
    return thread
  }
}
