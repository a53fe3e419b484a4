import Protocol
import Wire

/// The grams that have not ended. Event loop only.
struct RequestTable {
  unowned let router: Router

  func request(_ token: UInt64) -> Request? { router.request(token) }
  func finish(_ token: UInt64, payload: [UInt8]) { router.finish(token, payload: payload) }
  func fail(_ token: UInt64, _ failure: Failure) { router.fail(token, failure) }
  func cancel(_ token: UInt64, _ failure: Failure) { router.cancel(token, failure) }
  func stream(_ token: UInt64, _ text: [UInt8]) { router.stream(token, text) }
}
