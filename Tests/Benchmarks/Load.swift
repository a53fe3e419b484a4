import Foundation
import Synchronization

/// Clients that ask one echo persona without pause and check every answer, on a thread of their own.
///
/// Each keeps a few requests open. A request carries its number as `id` and in its payload; the answers must come in
/// that order, each once, with that payload; and since the persona counts what it receives, no count may come twice.
final class Load: @unchecked Sendable {
  /// What was found when all had ended.
  struct Outcome {
    var messages = 0
    var lost = 0
    var repeated = 0
    var disordered = 0
    var closed = 0
    var errors = 0
    var firstError: String?
    var seconds = 0.0
    var isClean: Bool { lost + repeated + disordered + closed + errors == 0 }
  }

  private final class Client {
    let connection: Connection
    var sent = 0
    var answered = 0
    var lastCount = 0
    var isOpen = true
    init(_ connection: Connection) { self.connection = connection }
  }

  private let clients: [Client]
  private let window: Int
  private let stopping = Atomic(false)
  private let done = DispatchSemaphore(value: 0)
  /// The thread's own until `done` was signalled.
  private var outcome = Outcome()
  private var counts: [Bool] = []

  /// Connects the clients and starts.
  init(_ kernel: KernelProcess, clients: Int, window: Int) throws {
    self.window = window
    self.clients = try (0..<clients).map { number in
      let connection = try kernel.connect()
      try connection.line("CLIENT\(number)")
      return Client(connection)
    }
    let thread = Thread { [self] in run() }
    thread.name = "load"
    thread.start()
  }

  /// Asks nothing more, waits for what is open, at most 20 s, and tells.
  func finish() -> Outcome {
    stopping.store(true, ordering: .relaxed)
    done.wait()
    return outcome
  }

  private func run() {
    let began = now()
    var polls = clients.map { pollfd(fd: $0.connection.descriptor, events: Int16(POLLIN), revents: 0) }
    for (i, client) in clients.enumerated() { attempt(client, &polls[i]) { try fill($0) } }
    var limit = UInt64.max
    while clients.contains(where: { $0.isOpen && $0.sent > $0.answered }) {
      if limit == .max, stopping.load(ordering: .relaxed) { limit = now() + 20_000_000_000 }
      if now() > limit { break }
      guard poll(&polls, nfds_t(polls.count), 100) > 0 else { continue }
      for (i, client) in clients.enumerated() where client.isOpen && polls[i].revents != 0 {
        attempt(client, &polls[i]) { client in
          while try client.connection.receive(wait: false) { while client.connection.nextLine({ check($0, client) }) != nil {} }
          if limit == .max { try fill(client) }
        }
      }
    }
    outcome.seconds = Double(now() - began) / 1e9
    outcome.messages = clients.reduce(0) { $0 + $1.answered }
    outcome.lost = clients.reduce(0) { $0 + $1.sent - $1.answered }
    done.signal()
  }

  private func attempt(_ client: Client, _ poll: inout pollfd, _ action: (Client) throws -> Void) {
    do { try action(client) } catch {
      note("\(error)")
      outcome.closed += 1
      client.isOpen = false
      poll.fd = -1
    }
  }

  private func fill(_ client: Client) throws {
    var lines = ""
    while client.sent - client.answered < window {
      client.sent += 1
      if !lines.isEmpty { lines += "\n" }
      lines += #"{"target":"ECHO","method":"echo","payload":{"n":\#(client.sent)},"id":\#(client.sent)}"#
    }
    if !lines.isEmpty { try client.connection.line(lines) }
  }

  private func check(_ line: UnsafeRawBufferPointer, _ client: Client) {
    guard let id = integer(behind: #""re":"#, in: line), integer(behind: #"{"echo":{"n":"#, in: line) == id,
      let count = integer(behind: #","count":"#, in: line)
    else {
      outcome.errors += 1
      client.answered += 1
      return note(String(decoding: line, as: UTF8.self))
    }
    if id <= client.answered {
      outcome.repeated += 1
    } else if id > client.answered + 1 {
      // What was left out counts as lost at the end, unless it still comes.
      outcome.disordered += 1
      note("an answer to \(id) came where \(client.answered + 1) was due")
    }
    client.answered += id <= client.answered ? 0 : 1
    if count <= client.lastCount { outcome.disordered += 1 }
    client.lastCount = count
    while counts.count <= count { counts.append(contentsOf: repeatElement(false, count: 1 << 20)) }
    if counts[count] { outcome.repeated += 1 }
    counts[count] = true
  }

  private func note(_ what: String) { if outcome.firstError == nil { outcome.firstError = what } }
}

/// The whole number that stands behind the first place of a text in a line.
private func integer(behind text: StaticString, in line: UnsafeRawBufferPointer) -> Int? {
  let n = text.utf8CodeUnitCount
  var at = 0
  while let found = memchr(line.baseAddress! + at, Int32(text.utf8Start.pointee), line.count - at) {
    at = UnsafeRawPointer(found) - line.baseAddress!
    if line.count - at < n { return nil }
    if memcmp(found, text.utf8Start, n) == 0 {
      var value: Int?
      for byte in line[(at + n)...] {
        guard byte >= 48, byte <= 57 else { break }
        value = (value ?? 0) * 10 + Int(byte - 48)
      }
      return value
    }
    at += 1
  }
  return nil
}
