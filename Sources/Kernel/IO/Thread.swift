import CPlatform
import Glibc

/// Starts a detached thread. Names of more than 15 bytes are cut.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) { pthread_detach(makeThread(name, body)) }

/// Starts a thread that somebody must join. No signal comes to it: signals are the main thread's, and SIGPIPE is nobody's.
package func startJoinableThread(name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t {
  makeThread(name) {
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    body()
  }
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
