import Foundation

/// One client's socket: lines out, lines in.
final class Connection {
  let descriptor: Int32
  private var buffer: [UInt8] = []
  private var head = 0
  private var lastID = 0

  /// Nil if nobody listens there.
  init?(_ path: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    if result != 0 {
      close(descriptor)
      return nil
    }
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func line(_ text: String) throws {
    var bytes = Array(text.utf8)
    bytes.append(10)
    var at = 0
    while at < bytes.count {
      let n = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + at, $0.count - at, Int32(MSG_NOSIGNAL)) }
      if n < 0 { throw Broken("the kernel closed a connection: \(reason())") }
      at += n
    }
  }

  /// Takes what has come into the buffer. False: nothing was there.
  func receive(wait: Bool) throws -> Bool {
    if head > 1 << 16 || head == buffer.count {
      buffer.removeFirst(head)
      head = 0
    }
    return try withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { chunk in
      let n = recv(descriptor, chunk.baseAddress!, chunk.count, wait ? 0 : Int32(MSG_DONTWAIT))
      if n == 0 { throw Broken("the kernel closed a connection") }
      if n < 0 {
        if errno == EINTR || errno == EAGAIN && !wait { return false }
        if errno == EAGAIN { throw Broken("nothing came within 30 s") }
        throw Broken("the kernel closed a connection: \(reason())")
      }
      buffer.append(contentsOf: chunk[..<n])
      return true
    }
  }

  /// Lends the next whole line, without its newline, if one is in the buffer.
  func nextLine<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R? {
    try buffer.withUnsafeBytes { raw in
      guard head < raw.count, let end = memchr(raw.baseAddress! + head, 10, raw.count - head) else { return nil }
      let line = UnsafeRawBufferPointer(
        start: raw.baseAddress! + head, count: end - UnsafeMutableRawPointer(mutating: raw.baseAddress! + head))
      head += line.count + 1
      return try body(line)
    }
  }

  /// The next gram for which this holds; waits for it, and passes over others.
  func gram(where wanted: ([String: Any]) -> Bool) throws -> [String: Any] {
    while true {
      while let found = try nextLine({ try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] ?? [:] }) {
        if wanted(found) { return found }
      }
      _ = try receive(wait: true)
    }
  }

  /// Asks, and returns the payload of the reply.
  func ask(_ target: String, _ method: String, _ payload: String = "{}") throws -> [String: Any] {
    lastID += 1
    let id = lastID
    try line(#"{"target":"\#(target)","method":"\#(method)","payload":\#(payload),"id":\#(id)}"#)
    let answer = try gram { $0["re"] as? Int == id }
    let result = answer["payload"] as? [String: Any] ?? [:]
    if answer["method"] as? String != "reply" {
      throw Broken("\(method) of \(target) was answered with an error: \(result["message"] ?? "")")
    }
    return result
  }

  /// Says hello, to be attached: receipts come from now on.
  func hello(_ name: String) throws {
    try line(#"{"hello":1,"name":"\#(name)"}"#)
    _ = try gram { $0["method"] as? String == "welcome" }
  }

  /// Reloads a persona and returns the receipt; anything but "reloaded" breaks the claim.
  func reload(_ name: String) throws -> Receipt {
    let answer = try ask("KERNEL", "personas.reload", #"{"name":"\#(name)"}"#)
    return try Receipt((answer["receipts"] as? [[String: Any]])?.first ?? [:])
  }
}

/// What the kernel tells of one reload.
struct Receipt {
  let to: Int
  let version: String
  let pause: Double
  let held: Int
  let rehearsal: Double
  let total: Double

  init(_ fields: [String: Any]) throws {
    guard fields["outcome"] as? String == "reloaded" else {
      throw Broken("a reload ended in \(fields["outcome"] ?? "nothing"): \(fields["reason"] ?? "")")
    }
    to = fields["to"] as? Int ?? 0
    version = fields["version"] as? String ?? ""
    pause = fields["pause_us"] as? Double ?? .nan
    held = fields["held"] as? Int ?? 0
    rehearsal = fields["rehearsal_ms"] as? Double ?? .nan
    total = fields["total_ms"] as? Double ?? .nan
  }
}
