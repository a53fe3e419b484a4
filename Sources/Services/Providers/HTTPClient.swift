import CCurl
import Glibc
import System

/// One request over HTTP/1.1. Times in milliseconds.
struct HTTPRequest {
  var url: String
  /// The Unix socket to connect to instead of the URL's host.
  var socketPath: String?
  var headers: [String] = []
  /// Nil: GET. Else POST.
  var body: [UInt8]?
  var connectMilliseconds = 10_000
  /// No byte for so long ends it.
  var silenceMilliseconds: Int
  /// Longer it may not take, whatever comes; nil: as long as it likes.
  var totalMilliseconds: Int?
}

package enum HTTPEnd: Equatable, Sendable {
  case complete(status: Int, retryAfter: Int?)
  /// The server answers elsewhere. Nobody is sent there: it may be anybody, and the question and the key are not for them.
  case moved(status: Int, to: String)
  /// There was no connection; why.
  case unreachable(String)
  /// There was one, and it broke; why.
  case broken(String)
  case notHTTP(String)
  case silent
  /// The receiver wanted no more.
  case refused
}

/// Once in a process, by the first who needs it: it takes a few milliseconds.
let curlIsReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

/// HTTP over libcurl's multi interface, for one thread, which calls everything here and is called back by it.
///
/// Keeps connections for the next request. Cancelling closes the connection at once.
final class HTTPClient {
  private final class Transfer {
    let easy: UnsafeMutableRawPointer
    var headers: UnsafeMutablePointer<curl_slist>?
    let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    var silence: Int
    var lastByte: Milliseconds
    let receive: (_ status: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool
    let end: (HTTPEnd) -> Void

    init(
      easy: UnsafeMutableRawPointer, silence: Int, receive: @escaping (Int, UnsafeBufferPointer<UInt8>) -> Bool,
      end: @escaping (HTTPEnd) -> Void
    ) {
      self.easy = easy
      self.silence = silence
      self.receive = receive
      self.end = end
      lastByte = MachineClock.nowMilliseconds()
      errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    var status: Int {
      var status = 0
      bat_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
      return status
    }

    deinit {
      curl_easy_cleanup(easy)
      curl_slist_free_all(headers)
      errorText.deallocate()
    }
  }

  typealias ID = UInt64

  let multi: UnsafeMutableRawPointer
  private var transfers: [ID: Transfer] = [:]
  private var nextID: ID = 1

  /// `multi` comes from curl_multi_init and is freed by the caller, after `cancelAll`.
  init(multi: UnsafeMutableRawPointer) { self.multi = multi }

  /// One with a handle of its own, which `close` frees.
  convenience init() {
    guard curlIsReady, let multi = curl_multi_init() else { preconditionFailure("libcurl does not begin") }
    self.init(multi: multi)
  }

  /// After `cancelAll`; nothing else may be called then.
  func close() { curl_multi_cleanup(multi) }

  /// Ends `wait` from any thread, while the client is not closed.
  struct Waker: @unchecked Sendable {
    fileprivate let multi: UnsafeMutableRawPointer
    func wake() { curl_multi_wakeup(multi) }
  }
  var waker: Waker { Waker(multi: multi) }

  /// Starts a request. `receive` gets the body in pieces, and says false when it wants no more; then, unless it
  /// was cancelled, `end` is called once. Both are called by `perform`, never inside this call.
  func start(
    _ request: HTTPRequest, receive: @escaping (_ status: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool,
    end: @escaping (HTTPEnd) -> Void
  ) -> ID {
    guard let easy = curl_easy_init() else { preconditionFailure("libcurl has no memory for a handle") }
    let transfer = Transfer(easy: easy, silence: request.silenceMilliseconds, receive: receive, end: end)
    set(easy, CURLOPT_URL, request.url)
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https")
    if let path = request.socketPath { set(easy, CURLOPT_UNIX_SOCKET_PATH, path) }
    if request.socketPath != nil || Self.isLoopback(request.url) { set(easy, CURLOPT_PROXY, "") }
    set(easy, CURLOPT_NOSIGNAL, 1)
    // Not compressed: each piece shall be there when it has been sent. What comes compressed all the same is read.
    set(easy, CURLOPT_ACCEPT_ENCODING, "identity")
    // Cancelling does not wait for a name server.
    set(easy, CURLOPT_QUICK_EXIT, 1)
    // HTTP/1.1: one connection is one answer, so closing it tells the server that nobody wants it.
    set(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, request.connectMilliseconds)
    if let total = request.totalMilliseconds { set(easy, CURLOPT_TIMEOUT_MS, total) }
    set(easy, CURLOPT_TCP_KEEPALIVE, 1)
    bat_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, transfer.errorText)
    for header in request.headers + ["Expect:"] { transfer.headers = curl_slist_append(transfer.headers, header) }
    bat_curl_set_pointer(easy, CURLOPT_HTTPHEADER, transfer.headers)
    if let body = request.body {
      set(easy, CURLOPT_POSTFIELDSIZE_LARGE, body.count)
      body.withUnsafeBytes {
        _ = bat_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress ?? UnsafeRawPointer(transfer.errorText))
      }
    }
    let context = Unmanaged.passUnretained(transfer).toOpaque()
    bat_curl_set_pointer(easy, CURLOPT_PRIVATE, context)
    bat_curl_set_write(
      easy,
      { bytes, _, count, context in
        let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
        transfer.lastByte = MachineClock.nowMilliseconds()
        let body = UnsafeRawBufferPointer(start: bytes, count: count).bindMemory(to: UInt8.self)
        return transfer.receive(transfer.status, body) ? count : Int(CURL_WRITEFUNC_ERROR)
      }, context)
    let id = nextID
    nextID += 1
    transfers[id] = transfer
    let code = curl_multi_add_handle(multi, easy)
    precondition(code == CURLM_OK, "curl_multi_add_handle: \(String(cString: curl_multi_strerror(code)))")
    return id
  }

  /// Closes the connection; neither closure is called any more. An unknown transfer is no error.
  func cancel(_ id: ID) {
    guard let transfer = transfers.removeValue(forKey: id) else { return }
    curl_multi_remove_handle(multi, transfer.easy)
  }

  /// From now on so long a silence ends it. An unknown transfer is no error.
  func setSilence(of id: ID, to milliseconds: Int) { transfers[id]?.silence = milliseconds }

  func cancelAll() { for id in Array(transfers.keys) { cancel(id) } }

  /// Does what can be done without waiting.
  func perform() {
    var running: Int32 = 0
    let code = curl_multi_perform(multi, &running)
    precondition(code == CURLM_OK, "curl_multi_perform: \(String(cString: curl_multi_strerror(code)))")
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
      let result = message.pointee.data.result
      guard let (id, transfer) = transfers.first(where: { $0.value.easy == easy }) else { continue }
      let end = Self.end(of: transfer, result)
      cancel(id)
      transfer.end(end)
    }
    let time = MachineClock.nowMilliseconds()
    for (id, transfer) in transfers where time - transfer.lastByte >= transfer.silence {
      cancel(id)
      transfer.end(.silent)
    }
  }

  /// When the next transfer will have been silent for too long.
  var nextTimer: Milliseconds? { transfers.values.map { $0.lastByte + Milliseconds($0.silence) }.min() }

  /// Waits until there is something to perform, `descriptor` can be read, curl_multi_wakeup is called, or the time is over.
  /// - Returns: whether the descriptor can be read.
  func wait(milliseconds: Int32, descriptor: Int32?) -> Bool {
    var extra = curl_waitfd(fd: descriptor ?? -1, events: Int16(CURL_WAIT_POLLIN), revents: 0)
    let code = curl_multi_poll(multi, &extra, descriptor == nil ? 0 : 1, milliseconds, nil)
    precondition(code == CURLM_OK, "curl_multi_poll: \(String(cString: curl_multi_strerror(code)))")
    return extra.revents != 0
  }

  private static func end(of transfer: Transfer, _ code: CURLcode) -> HTTPEnd {
    let detail = String(cString: transfer.errorText)
    let why = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    switch code {
    case CURLE_OK:
      var seconds: curl_off_t = 0
      bat_curl_get_offset(transfer.easy, CURLINFO_RETRY_AFTER, &seconds)
      if (300..<400).contains(transfer.status), let address = bat_curl_get_text(transfer.easy, CURLINFO_REDIRECT_URL) {
        return .moved(status: transfer.status, to: String(String(cString: address).prefix(500)))
      }
      return .complete(status: transfer.status, retryAfter: seconds > 0 ? Int(seconds) : nil)
    case CURLE_WRITE_ERROR: return .refused
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY: return .notHTTP(why)
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
      CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT:
      return .unreachable(why)
    default: return .broken(why)
    }
  }

  private static func isLoopback(_ url: String) -> Bool {
    ["://127.", "://localhost", "://[::1]"].contains { url.contains($0) }
  }

  private func set(_ easy: UnsafeMutableRawPointer, _ option: CURLoption, _ value: Int) {
    let code = bat_curl_set_long(easy, option, value)
    precondition(code == CURLE_OK, "curl_easy_setopt \(option.rawValue): \(String(cString: curl_easy_strerror(code)))")
  }

  /// curl copies the text.
  private func set(_ easy: UnsafeMutableRawPointer, _ option: CURLoption, _ value: String) {
    let code = value.withCString { bat_curl_set_pointer(easy, option, $0) }
    precondition(code == CURLE_OK, "curl_easy_setopt \(option.rawValue): \(String(cString: curl_easy_strerror(code)))")
  }
}
