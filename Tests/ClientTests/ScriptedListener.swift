import Foundation
import Protocol
import System

@testable import Client

/// A socket that listens in the place of a kernel. For one thread: what it says is written before anybody reads it.
final class ScriptedListener {
  let path = NSTemporaryDirectory() + "bat-\(UUID().uuidString.prefix(8)).sock"
  private let descriptor: Int32

  init(backlog: Int32 = 16) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard bound == 0, listen(descriptor, backlog) == 0 else { throw Errno.last }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// The connection of the next client.
  func accept() throws -> Peer {
    guard waitForInput([descriptor], for: .seconds(20)).first != nil else { throw Silence() }
    let accepted = Glibc.accept(descriptor, nil, nil)
    if accepted < 0 { throw Errno.last }
    return Peer(accepted)
  }

  struct Silence: Error {}

  /// The kernel's end of one connection.
  final class Peer {
    private let descriptor: Int32
    private var lines = LineReader()

    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    func send(_ line: String) { send(raw: line + "\n") }

    func send(raw text: String) {
      let bytes = Array(text.utf8)
      precondition(Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
    }

    func welcome(_ name: String = "me") {
      let limits = Welcome.Limits(frame_bytes: 1 << 24, queue_bytes: 1 << 24, hops: 8, deadline_ms: 60_000)
      let welcome = Welcome(version: "1", name: name, seq: 0, limits: limits, personas: [.init(name: "ROBIN", talk: "talk")])
      send(
        #"{"source":"KERNEL","target":"\#(name)","method":"welcome","payload":\#(String(decoding: PayloadCoding.bytes(of: welcome), as: UTF8.self))}"#
      )
    }

    func reply(_ id: Int, _ payload: String, method: String = "reply", source: String = "ROBIN") {
      send(#"{"source":"\#(source)","target":"me","method":"\#(method)","re":\#(id),"payload":\#(payload)}"#)
    }

    /// The client's next line.
    func line() throws -> String {
      while true {
        if let line = lines.next() { return String(decoding: line, as: UTF8.self) }
        guard waitForInput([descriptor], for: .seconds(20)).first != nil else { throw Silence() }
        guard let bytes = try System.readSome(descriptor) else { continue }
        if bytes.isEmpty { throw Silence() }
        lines.append(bytes)
      }
    }

  }
}
