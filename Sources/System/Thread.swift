import CPlatform
import Glibc

/// Starts a thread that ends by itself. Names of more than 15 bytes are cut.
///
/// - Parameter author: whose code it runs, told if it crashes; nil: nobody's in particular.
/// - Throws: the system has no thread left.
public func startThread(name: String, author: String? = nil, _ body: @escaping @Sendable () -> Void) throws(Errno) {
  pthread_detach(try makeThread(name, author, body))
}

/// A thread that somebody must join.
public struct JoinableThread: @unchecked Sendable {
  private let handle: pthread_t

  /// Names of more than 15 bytes are cut. No asynchronous signal comes to it: those are the main thread's.
  ///
  /// - Throws: the system has no thread left.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    handle = try makeThread(name, nil) {
      bat_block_asynchronous_signals()
      body()
    }
  }

  /// Waits for its end. Once.
  public func join() { pthread_join(handle, nil) }
}

/// Each thread has a stack for signal handlers, so that the overflow of its own is told like any other crash.
private func makeThread(_ name: String, _ author: String?, _ body: @escaping @Sendable () -> Void) throws(Errno) -> pthread_t {
  final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  let box = Unmanaged.passRetained(
    Body {
      bat_name_thread(String(name.prefix(15)))
      if let author { bat_set_author(author) }
      let stack = bat_make_alternate_stack()
      defer { bat_free_alternate_stack(stack) }
      body()
    })
  var handle = pthread_t()
  let result = pthread_create(
    &handle, nil,
    { raw in
      Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
      return nil
    }, box.toOpaque())
  guard result == 0 else {
    box.release()
    throw Errno(number: result)
  }
  return handle
}
