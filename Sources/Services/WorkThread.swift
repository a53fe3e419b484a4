import CSQLite
import Glibc
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
    // The thread does not keep this object: `stop` joins it before the object goes.
    let box = Unmanaged.passRetained(ThreadBody(name: name) { [unowned self] in run() }).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { box in
        // Signals are the kernel's main thread's.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        let body = Unmanaged<ThreadBody>.fromOpaque(box!).takeRetainedValue()
        pthread_setname_np(pthread_self(), body.name)
        body.run()
        return nil
      }, box)
    precondition(code == 0, "pthread_create: \(String(cString: strerror(code)))")
    return thread
  }
}

/// Waits until somebody else has posted, once.
final class OneSignal: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
  init() { sem_init(semaphore, 0, 0) }
  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }
  func post() { sem_post(semaphore) }
  func wait() { while sem_wait(semaphore) != 0 {} }
}

/// What a new thread is given, since a C function cannot be generic.
private final class ThreadBody {
  let name: String
  let run: () -> Void
  init(name: String, run: @escaping () -> Void) {
    self.name = name
    self.run = run
  }
}
