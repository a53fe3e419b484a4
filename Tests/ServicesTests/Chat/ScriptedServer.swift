import Dispatch
import Foundation
import Glibc
import Synchronization

/// An HTTP server that answers the n-th request with the n-th script, byte for byte, and tells what it sees.
final class ScriptedServer: Sendable {
  enum Step: Sendable {
    case send([UInt8])
    /// Goes on when the test says so.
    case wait(Gate)
    /// Goes on when the client has closed the connection, and tells it.
    case untilClosed
    /// Sends it again and again, until the client has closed the connection.
    case flood([UInt8])
    /// Closes the connection; otherwise it is kept for the next request.
    case close
    /// Closes it with a reset.
    case reset

    static func text(_ text: String) -> Step { .send(Array(text.utf8)) }
    /// A whole answer with a length.
    static func answer(_ status: Int, _ body: String, headers: String = "", type: String = "application/json") -> Step {
      .text("HTTP/1.1 \(status) X\r\nContent-Type: \(type)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
    /// The head of an answer in chunks.
    static func head(_ type: String = "application/x-ndjson") -> Step {
      .text("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nTransfer-Encoding: chunked\r\n\r\n")
    }
    static func chunk(_ text: String) -> Step { .text(String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n") }
    static let lastChunk = Step.text("0\r\n\r\n")
  }

  final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func open() { semaphore.signal() }
    fileprivate func pass() { semaphore.wait() }
  }

  struct Request: Sendable {
    var connection: Int
    var head: String
    var body: String
    var line: String { String(head.prefix { $0 != "\r\n" }) }
    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]) ?? [:] }
    var contents: [String] { (json["messages"] as? [[String: Any]] ?? []).compactMap { $0["content"] as? String } }
  }

  enum Event: Sendable {
    case request(Request)
    /// The client closed the connection, seen at that time of the monotonic clock.
    case closed(ContinuousClock.Instant)
  }

  let url: String
  let events: AsyncStream<Event>
  private let continuation: AsyncStream<Event>.Continuation
  private let listener: Int32
  private let scripts: [[Step]]
  private let choose: @Sendable (Request, Int) -> Int
  private let served = Mutex<[Request]>([])

  var requests: [Request] { served.withLock { $0 } }

  /// The last script answers all further requests. `socketPath` nil: TCP on the loopback. `choose`: which script answers a request,
  /// the n-th of which there are as many as there were requests.
  init(socketPath: String? = nil, _ scripts: [[Step]], choose: @escaping @Sendable (Request, Int) -> Int = { $1 }) {
    self.scripts = scripts
    self.choose = choose
    (events, continuation) = AsyncStream.makeStream()
    let listener = socket(socketPath == nil ? AF_INET : AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    if let socketPath {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
      precondition(bound == 0, "bind \(socketPath): \(String(cString: strerror(errno)))")
      url = "unix:\(socketPath)"
    } else {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let bound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) == 0 && getsockname(listener, $0, &size) == 0 }
      }
      precondition(bound, "bind: \(String(cString: strerror(errno)))")
      url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    }
    listen(listener, 64)
    let acceptor = Thread { [self] in
      var connection = 0
      while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        connection += 1
        let number = connection
        Thread { [self] in serve(descriptor, number) }.start()
      }
    }
    acceptor.start()
  }

  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve(_ descriptor: Int32, _ connection: Int) {
    defer { Glibc.close(descriptor) }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    while let request = read(from: descriptor, connection) {
      let number = served.withLock { requests in
        requests.append(request)
        return requests.count
      }
      continuation.yield(.request(request))
      for step in scripts[min(choose(request, number), scripts.count) - 1] {
        switch step {
        case .send(let bytes):
          guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return }
        case .flood(let bytes):
          while send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count {}
          return
        case .wait(let gate): gate.pass()
        case .untilClosed:
          var byte: UInt8 = 0
          while recv(descriptor, &byte, 1, 0) > 0 {}
          continuation.yield(.closed(.now))
          return
        case .close: return
        case .reset:
          var linger = linger(l_onoff: 1, l_linger: 0)
          setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
          return
        }
      }
    }
  }

  private func read(from descriptor: Int32, _ connection: Int) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let end = text.range(of: "\r\n\r\n") {
        let head = String(text[..<end.lowerBound])
        let length =
          head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
          .flatMap { Int($0.dropFirst("content-length:".count).trimmingCharacters(in: .whitespaces)) } ?? 0
        let body = text[end.upperBound...]
        if body.utf8.count >= length { return Request(connection: connection, head: head, body: String(body)) }
      }
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
  }
}
