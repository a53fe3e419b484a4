import Kernel
import Synchronization
import System

/// A thread that does operations in their order, and refuses what would be too much to wait there. Any thread may post.
///
/// An operation counts until it ends, with the bytes of its arguments, on the account of whoever asked for it. One asker may
/// have half of what the limits allow, so that it leaves room for the others.
final class OperationThread: Sendable {
  private struct Load {
    var operations = 0
    var bytes = 0

    mutating func add(_ operations: Int, _ bytes: Int) {
      self.operations += operations
      self.bytes += bytes
    }
    func exceeds(_ operations: Int, _ bytes: Int) -> Bool { self.operations > operations || self.bytes > bytes }
  }

  private struct Loads {
    var all = Load()
    var byAsker: [MemoryRequest.Actor: Load] = [:]
  }

  private let thread: SerialThread<@Sendable () -> Void>
  private let loads = Mutex(Loads())
  private let limits: MemoryLimits

  init(name: String, limits: MemoryLimits) {
    self.limits = limits
    thread = SerialThread(name: name) { SerialWorker { jobs in for job in jobs { job() } } }
  }

  /// - Throws: `.queueFull`, `.stopped`; then the job is not done.
  func post(_ request: MemoryRequest, _ job: @escaping @Sendable () -> Void) throws(MemoryError) {
    let (asker, bytes) = (request.actor, request.arguments.count)
    try admit(asker, bytes)
    do throws(MemoryError) {
      try post { [self] in
        job()
        release(asker, bytes)
      }
    } catch {
      release(asker, bytes)
      throw error
    }
  }

  /// Does a job of the memory's own, which nobody is charged for.
  func post(_ job: @escaping @Sendable () -> Void) throws(MemoryError) {
    switch thread.post(job) {
    case .success: return
    case .failure(.noThread(let error)):
      throw MemoryError(.queueFull, "no thread can be started for the memory: \(error); try again later")
    case .failure: throw MemoryError(.stopped, "the kernel is stopping; the memory takes nothing any more")
    }
  }

  /// Does what has been posted, and returns when all of it is done.
  func stop() { thread.stop() }

  private func admit(_ asker: MemoryRequest.Actor, _ bytes: Int) throws(MemoryError) {
    let refusal: String? = loads.withLock { loads in
      var (all, own) = (loads.all, loads.byAsker[asker, default: Load()])
      all.add(1, bytes)
      own.add(1, bytes)
      if own.exceeds(limits.waiting / 2, limits.waitingBytes / 2) {
        return "\(own.operations) operations of \(asker.name) with \(own.bytes) bytes of arguments would wait for the memory; "
          + "\(limits.waiting / 2) operations and \(limits.waitingBytes / 2) bytes are the limit for one asker"
      }
      if all.exceeds(limits.waiting, limits.waitingBytes) {
        return "\(all.operations) operations with \(all.bytes) bytes of arguments would wait for the memory; "
          + "\(limits.waiting) operations and \(limits.waitingBytes) bytes are the limit"
      }
      loads.all = all
      loads.byAsker[asker] = own
      return nil
    }
    if let refusal { throw MemoryError(.queueFull, "\(refusal): wait for replies before you ask for more") }
  }

  private func release(_ asker: MemoryRequest.Actor, _ bytes: Int) {
    loads.withLock { loads in
      loads.all.add(-1, -bytes)
      loads.byAsker[asker]?.add(-1, -bytes)
      if loads.byAsker[asker]?.operations == 0 { loads.byAsker[asker] = nil }
    }
  }
}

extension MemoryRequest.Actor {
  fileprivate var name: String {
    switch self {
    case .persona(let name), .client(let name): name
    }
  }
}
