import CPlatform
import Glibc

/// Starts a detached thread. Names of more than 15 bytes are cut.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
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
  pthread_detach(handle)
}
