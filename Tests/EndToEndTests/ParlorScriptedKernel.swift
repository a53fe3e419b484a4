import Client
import Foundation
import Synchronization
import System
import Wire

@testable import parlor

/// A kernel that does what a test says: it listens, answers hellos, and hands every other line to the script.
///
/// The script runs on the connection's own thread.
final class ScriptedKernel: Sendable {
  typealias Script = @Sendable (_ gram: JSON, _ client: Client) -> Void

  static let welcome: JSON = [
    "version": "9.9", "wire": 1, "name": "guest-1", "seq": 0, "resumed": false,
    "limits": ["frame_bytes": 100_000, "queue_bytes": 1_000_000, "hops": 16, "deadline_ms": 600_000],
    "personas": [
      ["name": "ROBIN", "summary": "the heart", "generation": 1, "talk": "talk"],
      ["name": "BRICK", "summary": "the architect", "generation": 3, "talk": "process_architect_query"],
    ],
  ]

  let path: String
  private let listener: Int32
  private let log = Log()

  /// - Parameters:
  ///   - welcome: what a hello is answered with; `nil`: nothing.
  ///   - refusal: an error to answer it with instead.
  init(welcome: JSON? = ScriptedKernel.welcome, refusal: String? = nil, _ script: @escaping Script = { _, _ in }) throws {
    path = NSTemporaryDirectory() + "bat-\(UUID().uuidString.prefix(8)).sock"
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard bound == 0, listen(listener, 16) == 0 else { throw Errno(number: errno) }
    let log = log
    Thread.detachNewThread {
      var isFirst = true
      while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        let client = Client(descriptor: descriptor, isFirst: isFirst)
        isFirst = false
        Thread.detachNewThread { client.serve(welcome: welcome, refusal: refusal, log: log, script) }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    unlink(path)
  }

  /// Waits for a gram that fits, also one that came before; fails after 30 s.
  func received(where fits: (JSON) -> Bool) throws -> JSON { try log.wait(where: fits) }

  /// What clients have said hello with, in their order.
  var hellos: [JSON] { log.hellos.withLock { $0 } }

  /// What clients have sent up to now, hellos left out.
  var received: [JSON] { log.all }

  /// Does something with every connection that lives.
  func everyClient(_ body: (Client) -> Void) { log.clients.withLock { $0 }.forEach(body) }

  /// One client's connection.
  final class Client: Sendable {
    let descriptor: Int32
    /// Whether nobody was connected before it.
    let isFirst: Bool

    init(descriptor: Int32, isFirst: Bool) {
      self.descriptor = descriptor
      self.isFirst = isFirst
    }

    func send(_ gram: JSON) { send(raw: gram.text + "\n") }

    func send(raw text: String) {
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty {
        let n = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard n > 0 else { return }
        rest = rest.dropFirst(n)
      }
    }

    func reply(to gram: JSON, _ payload: JSON, method: String = "reply") {
      send([
        "source": gram["target"] ?? .null, "target": "guest-1", "method": .string(method), "re": gram["id"] ?? .null, "payload": payload,
      ])
    }

    func delta(to gram: JSON, _ text: String) { reply(to: gram, ["text": .string(text)], method: "delta") }

    func fail(_ gram: JSON, _ code: String, _ message: String = "it did not work") {
      reply(to: gram, ["code": .string(code), "message": .string(message)], method: "error")
    }

    /// - Parameter source: who says so; only the kernel is to be believed.
    func receipt(_ payload: JSON, source: String = "KERNEL") {
      send(["source": .string(source), "target": "guest-1", "method": "receipt", "payload": payload])
    }

    /// The kernel dies, as far as this client can tell.
    func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    fileprivate func serve(welcome: JSON?, refusal: String?, log: Log, _ script: Script) {
      log.clients.withLock { $0.append(self) }
      defer {
        log.clients.withLock { $0.removeAll { $0 === self } }
        close(descriptor)
      }
      var lines = LineReader()
      while let bytes = try? readSome(descriptor), !bytes.isEmpty {
        lines.append(bytes)
        while let line = lines.next() {
          guard let gram = try? JSON(parsing: line) else { continue }
          if gram["hello"] != nil {
            log.hellos.withLock { $0.append(gram) }
            if let refusal {
              let error: JSON = ["code": "name_refused", "message": .string(refusal)]
              send(["source": "KERNEL", "target": "guest-1", "method": "error", "payload": error])
            }
            if let welcome { send(["source": "KERNEL", "target": "guest-1", "method": "welcome", "payload": welcome]) }
          } else {
            log.append(gram)
            script(gram, self)
          }
        }
      }
    }
  }

  fileprivate final class Log: Sendable {
    private let grams = Mutex<[JSON]>([])
    let hellos = Mutex<[JSON]>([])
    let clients = Mutex<[Client]>([])
    private let changed = NSCondition()

    var all: [JSON] { grams.withLock { $0 } }

    func append(_ gram: JSON) {
      grams.withLock { $0.append(gram) }
      changed.lock()
      changed.broadcast()
      changed.unlock()
    }

    func wait(where fits: (JSON) -> Bool) throws -> JSON {
      let limit = Date(timeIntervalSinceNow: 30)
      changed.lock()
      defer { changed.unlock() }
      while true {
        if let gram = all.first(where: fits) { return gram }
        if !changed.wait(until: limit) { throw Missing(what: "a gram that fits", instead: all.map(\.text).joined(separator: "\n")) }
      }
    }
  }
}

/// What a test waited for, and what there was.
struct Missing: Error, CustomStringConvertible {
  let what: String
  let instead: String
  var description: String { "no \(what) within 30 s; there was:\n\(instead)" }
}

/// Runs a test's blocking part on a thread of its own, so that it holds no thread of the shared pool.
func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { done in
    Thread.detachNewThread { done.resume(with: Result { try body() }) }
  }
}
