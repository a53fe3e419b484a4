import CCurl
import Glibc
import Synchronization

/// HTTP with streamed answers, over TCP, TLS or a Unix socket: libcurl's multi interface on one thread.
///
/// The thread is started with the first request. Events of one request come in order, on that thread.
final class HTTPClient: Sendable {
  struct Request: Sendable {
    var url: String
    /// Connect here instead of to the URL's host.
    var socketPath: String?
    var headers: [String] = []
    /// Nil: GET.
    var body: [UInt8]?
    /// No byte for so long ends it.
    var silenceMilliseconds: Int
  }
  enum Event: Sendable {
    /// Part of the answer's body, with the answer's HTTP status.
    case body([UInt8], status: Int)
    /// The end, once. The status is 0 if no answer came.
    case finished(status: Int, Problem?)
  }
  enum Problem: Sendable, Equatable {
    case unreachable(String)
    case cutOff(String)
    case silence
    case cancelled
    case other(String)
  }

  private enum Command: Sendable {
    case start(UInt64, Request, @Sendable (Event) -> Void)
    case cancel(UInt64)
    case stop
  }
  private struct Shared: @unchecked Sendable {
    var commands: [Command] = []
    var multi: UnsafeMutableRawPointer?
    var last: UInt64 = 0
    var stopped = false
  }
  private let shared = Mutex(Shared())

  /// Any thread. The number names it in `cancel`.
  func start(_ request: Request, onEvent: @escaping @Sendable (Event) -> Void) -> UInt64 {
    let (number, begin, refused) = shared.withLock { shared -> (UInt64, Bool, Bool) in
      if shared.stopped { return (0, false, true) }
      shared.last += 1
      shared.commands.append(.start(shared.last, request, onEvent))
      let begin = shared.multi == nil
      if begin {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        shared.multi = curl_multi_init()
      }
      curl_multi_wakeup(shared.multi)
      return (shared.last, begin, false)
    }
    if refused { onEvent(.finished(status: 0, .cancelled)) }
    if begin {
      var handle = pthread_t()
      let result = pthread_create(
        &handle, nil,
        { raw in
          Unmanaged<HTTPClient>.fromOpaque(raw!).takeRetainedValue().serve()
          return nil
        }, Unmanaged.passRetained(self).toOpaque())
      precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
      pthread_detach(handle)
    }
    return number
  }

  /// Closes its connection; it ends with `.cancelled`. Ended ones are no error. Any thread.
  func cancel(_ number: UInt64) { command(.cancel(number)) }

  /// Cancels everything; the thread ends.
  func stop() { command(.stop) }

  private func command(_ command: Command) {
    shared.withLock { shared in
      if case .stop = command { shared.stopped = true }
      shared.commands.append(command)
      if let multi = shared.multi { curl_multi_wakeup(multi) }
    }
  }

  /// One request on the wire. Lives on the client's thread.
  private final class Transfer {
    let number: UInt64
    let easy: UnsafeMutableRawPointer
    let silence: Int
    let onEvent: @Sendable (Event) -> Void
    let headers: UnsafeMutablePointer<curl_slist>?
    let body: [UInt8]
    var lastByte = Transfer.now()
    var received = 0

    init?(_ number: UInt64, _ request: Request, _ onEvent: @escaping @Sendable (Event) -> Void) {
      guard let easy = curl_easy_init() else { return nil }
      self.number = number
      self.easy = easy
      self.onEvent = onEvent
      silence = request.silenceMilliseconds
      body = request.body ?? []
      // Without "Expect", curl would wait a second for servers that do not know it.
      var list = curl_slist_append(nil, "Expect:")
      for header in request.headers { list = curl_slist_append(list, header) }
      headers = list
      request.url.withCString { _ = bat_curl_set_pointer(easy, CURLOPT_URL, $0) }
      if let path = request.socketPath { path.withCString { _ = bat_curl_set_pointer(easy, CURLOPT_UNIX_SOCKET_PATH, $0) } }
      _ = bat_curl_set_pointer(easy, CURLOPT_HTTPHEADER, list)
      _ = bat_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
      _ = bat_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, 10_000)
      _ = bat_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
      if request.body != nil {
        _ = bat_curl_set_long(easy, CURLOPT_POSTFIELDSIZE, body.count)
        body.withUnsafeBytes { _ = bat_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress) }
      }
      _ = bat_curl_set_write(
        easy,
        { bytes, size, count, context in
          let transfer = Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
          transfer.lastByte = Transfer.now()
          transfer.received += size * count
          transfer.onEvent(.body(Array(UnsafeRawBufferPointer(start: bytes, count: size * count)), status: transfer.status))
          return size * count
        }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
      curl_easy_cleanup(easy)
      curl_slist_free_all(headers)
    }

    var status: Int {
      var value = 0
      _ = bat_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &value)
      return value
    }

    static func now() -> UInt64 {
      var t = timespec()
      clock_gettime(CLOCK_MONOTONIC, &t)
      return UInt64(t.tv_sec) * 1000 + UInt64(t.tv_nsec) / 1_000_000
    }

    func problem(_ code: CURLcode) -> Problem? {
      if code == CURLE_OK { return nil }
      let text = String(cString: curl_easy_strerror(code))
      switch code {
      case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return .unreachable(text)
      case CURLE_OPERATION_TIMEDOUT where status == 0: return .unreachable(text)
      case CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_HTTP2_STREAM: return .cutOff(text)
      default: return .other(text)
      }
    }
  }

  private func serve() {
    let multi = shared.withLock { LoopHandle($0.multi) }.value
    var transfers: [UInt64: Transfer] = [:]
    func end(_ transfer: Transfer, _ problem: Problem?) {
      let status = transfer.status
      curl_multi_remove_handle(multi, transfer.easy)
      transfers[transfer.number] = nil
      transfer.onEvent(.finished(status: status, problem))
    }
    while true {
      let commands = shared.withLock { shared in
        let commands = shared.commands
        shared.commands = []
        return commands
      }
      for command in commands {
        switch command {
        case .start(let number, let request, let onEvent):
          guard let transfer = Transfer(number, request, onEvent) else {
            onEvent(.finished(status: 0, .other("libcurl gives no handle")))
            continue
          }
          transfers[number] = transfer
          curl_multi_add_handle(multi, transfer.easy)
        case .cancel(let number): if let transfer = transfers[number] { end(transfer, .cancelled) }
        case .stop:
          for transfer in Array(transfers.values) { end(transfer, .cancelled) }
          shared.withLock { $0.multi = nil }
          curl_multi_cleanup(multi)
          return
        }
      }
      var running: Int32 = 0
      curl_multi_perform(multi, &running)
      var left: Int32 = 0
      while let message = curl_multi_info_read(multi, &left) {
        guard message.pointee.msg == CURLMSG_DONE, let transfer = transfers.values.first(where: { $0.easy == message.pointee.easy_handle }) else { continue }
        end(transfer, transfer.problem(message.pointee.data.result))
      }
      let now = Transfer.now()
      for transfer in Array(transfers.values) where now - transfer.lastByte > UInt64(transfer.silence) { end(transfer, .silence) }
      curl_multi_poll(multi, nil, 0, transfers.isEmpty ? 60_000 : 200, nil)
    }
  }
}

/// Carries a C handle out of a lock to the one thread that uses it.
private struct LoopHandle: @unchecked Sendable {
  let value: UnsafeMutableRawPointer?
  init(_ value: UnsafeMutableRawPointer?) { self.value = value }
}
