import Foundation

/// A client of the kernel for the tests: lines out, lines in, over any connected socket.
public final class Client: @unchecked Sendable {
  public let descriptor: Int32
  private var buffer: [UInt8] = []

  public struct Lost: Error, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
  }

  /// Takes the socket over.
  public init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Connects to a Unix socket.
  public convenience init(socket path: String) throws {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    if result != 0 {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw Lost(description: "connect \(path): \(reason)")
    }
    self.init(descriptor)
  }

  deinit { close(descriptor) }

  /// Writes all of it, as it is.
  public func write(_ text: String) throws { try write(Array(text.utf8)) }
  public func write(_ bytes: [UInt8]) throws {
    var at = 0
    while at < bytes.count {
      let n = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + at, $0.count - at, Int32(MSG_NOSIGNAL)) }
      if n < 0 {
        if errno == EINTR { continue }
        throw Lost(description: "send: \(String(cString: strerror(errno)))")
      }
      at += n
    }
  }
  public func line(_ text: String) throws { try write(text + "\n") }

  /// The next line as it came, without the newline; throws when there is none within the time.
  public func next(seconds: Double = 20) throws -> String {
    let deadline = Date().addingTimeInterval(seconds)
    while true {
      let end = buffer.withUnsafeBytes { raw in
        memchr(raw.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, 10, raw.count).map { UnsafeRawPointer($0) - raw.baseAddress! }
      }
      if let end {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer.removeFirst(end + 1)
        return line
      }
      let left = deadline.timeIntervalSinceNow
      if left <= 0 { throw Lost(description: "nothing came within \(seconds) s") }
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if Glibc.poll(&poll, 1, Int32(left * 1000) + 1) <= 0 { continue }
      var chunk = [UInt8](repeating: 0, count: 1 << 20)
      let n = recv(descriptor, &chunk, chunk.count, 0)
      if n == 0 { throw Lost(description: "the kernel closed the connection") }
      if n < 0 {
        if errno == EINTR || errno == EAGAIN { continue }
        throw Lost(description: "recv: \(String(cString: strerror(errno)))")
      }
      buffer.append(contentsOf: chunk[..<n])
    }
  }

  /// The next gram.
  public func gram(seconds: Double = 20) throws -> Gram { try Gram(next(seconds: seconds)) }

  /// The next gram for which this holds; others are passed over.
  public func gram(seconds: Double = 20, where wanted: (Gram) -> Bool) throws -> Gram {
    while true {
      let gram = try gram(seconds: seconds)
      if wanted(gram) { return gram }
    }
  }

  /// Asks, and returns what answers it, passing over everything else.
  public func ask(_ target: String, _ method: String, _ payload: String = "null", id: Int, extra: String = "") throws -> Gram {
    try line("{\"target\":\"\(target)\",\"method\":\"\(method)\",\"payload\":\(payload),\"id\":\(id)\(extra)}")
    return try gram { $0.re == "\(id)" && $0.method != "delta" }
  }

  /// Says hello and returns the welcome.
  @discardableResult
  public func hello(_ name: String) throws -> Gram {
    try line("{\"hello\":1,\"name\":\"\(name)\"}")
    return try gram()
  }
}

/// A received gram.
public struct Gram: @unchecked Sendable, CustomStringConvertible {
  public let line: String
  public let fields: [String: Any]

  public init(_ line: String) throws {
    self.line = line
    guard let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
      throw Client.Lost(description: "not an object: \(line)")
    }
    self.fields = fields
  }

  public var source: String? { fields["source"] as? String }
  public var target: String? { fields["target"] as? String }
  public var method: String? { fields["method"] as? String }
  public var re: String? { fields["re"].map { "\($0)" } }
  public var payload: [String: Any] { fields["payload"] as? [String: Any] ?? [:] }
  /// Of an error.
  public var code: String? { payload["code"] as? String }
  public var message: String? { payload["message"] as? String }
  public subscript(_ key: String) -> String? { payload[key].map { "\($0)" } }
  public var description: String { line }
}
