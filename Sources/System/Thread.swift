import CPlatform
import Glibc

/// Starts a thread that ends by itself. Names of more than 15 bytes are cut.
public func startThread(name: String, _ body: @escaping @Sendable () -> Void) { pthread_detach(makeThread(name, body)) }

/// A thread that somebody must join.
public struct JoinableThread: @unchecked Sendable {
  private let handle: pthread_t

  /// Names of more than 15 bytes are cut. No asynchronous signal comes to it: those are the main thread's.
  public init(name: String, _ body: @escaping @Sendable () -> Void) {
    handle = makeThread(name) {
      bat_block_asynchronous_signals()
      body()
    }
  }

  /// Waits for its end. Once.
  public func join() { pthread_join(handle, nil) }
}

private func makeThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t {
  final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  let box = Unmanaged.passRetained(
    Body {
      bat_name_thread(String(name.prefix(15)))
      body()
    })
  var handle = pthread_t()
  let result = pthread_create(
    &handle, nil,
    { raw in
      Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
      return nil
    }, box.toOpaque())
  precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
  return handle
}
