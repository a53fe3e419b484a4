import Foundation
import Protocol
import System
import Testing
import Wire

@testable import Client

@Suite("A connection over its socket") struct KernelConnectionTests {
  /// One that was welcomed, and the kernel's end of it.
  private func attached(_ listener: ScriptedListener, interrupt: Interrupt? = nil) throws -> (KernelConnection, ScriptedListener.Peer) {
    let connection = try KernelConnection(path: listener.path, name: "me", interrupt: interrupt)
    let peer = try listener.accept()
    #expect(try peer.line() == #"{"hello":1,"name":"me"}"#)
    peer.welcome()
    guard case .welcome? = try next(connection).first else { throw ScriptedListener.Silence() }
    return (connection, peer)
  }

  /// What the next read brings.
  private func next(_ connection: KernelConnection) throws -> [Incoming] {
    let end = ContinuousClock.now + .seconds(20)
    while try connection.pause(until: end) {
      let incoming = try connection.advance()
      if !incoming.isEmpty { return incoming }
    }
    throw ScriptedListener.Silence()
  }

  @Test("the hello is sent at once, and the welcome tells name, version and personas")
  func hello() throws {
    let listener = try ScriptedListener()
    let connection = try KernelConnection(path: listener.path, name: "selina", distinct: true)
    #expect(connection.welcome == nil && connection.name == "")
    let peer = try listener.accept()
    #expect(try peer.line() == #"{"distinct":true,"hello":1,"name":"selina"}"#)
    peer.welcome("selina-2")
    #expect(try next(connection).count == 1)
    #expect(connection.name == "selina-2" && connection.version == "1" && connection.personas == ["ROBIN"])
  }

  @Test("who waits for one request gets its steps in order, and what else comes is passed over")
  func waiting() throws {
    let listener = try ScriptedListener()
    let (connection, peer) = try attached(listener)
    let id = try connection.start(Request(target: "ROBIN", method: "talk", stream: true))
    #expect(try peer.line().contains(#""id":1,"stream":true"#))
    peer.send(#"{"source":"A","target":"*","method":"news"}"#)
    peer.reply(id, #"{"text":"a"}"#, method: "delta", source: "MALLORY")
    peer.reply(id, #"{"text":"a"}"#, method: "delta")
    // A line that is cut anywhere is one line.
    peer.send(raw: #"{"source":"ROBIN","target":"me","method":"delta","re":1,"#)
    peer.send(raw: #""payload":{"text":"b"}}"# + "\n")
    peer.reply(id, #"{"content":"ab"}"#)
    #expect(try connection.wait(for: id) == .delta(Delta(text: "a")))
    #expect(try connection.wait(for: id) == .delta(Delta(text: "b")))
    #expect(try connection.wait(for: id) == .end(Payload(Array(#"{"content":"ab"}"#.utf8))))
  }

  @Test("a method of the kernel is called in types; what is not its reply, and an error, are told")
  func calling() throws {
    let listener = try ScriptedListener()
    let (connection, peer) = try attached(listener)
    peer.reply(1, #"{"cancelled":true}"#, source: "KERNEL")
    #expect(try connection.call(Cancel(id: .number(7))) == .init(cancelled: true))
    peer.reply(2, #"{"cancelled":"perhaps"}"#, source: "KERNEL")
    #expect(throws: ClientError.self) { try connection.call(Cancel(id: .number(7))) }
    peer.reply(3, #"{"code":"denied","message":"no"}"#, method: "error", source: "KERNEL")
    #expect(throws: ClientError.failed(ErrorReport(code: "denied", message: "no"))) { try connection.call(Ping()) }
  }

  @Test("a kernel that goes ends what waits for it")
  func closing() throws {
    let listener = try ScriptedListener()
    var (connection, peer): (KernelConnection, ScriptedListener.Peer?) = try attached(listener)
    _ = try connection.start(Request(Ping()))
    peer = nil
    withExtendedLifetime(peer) {}
    #expect(throws: ClientError.closed(path: listener.path)) { try connection.wait(for: 1) }
    #expect(throws: ClientError.closed(path: listener.path)) { _ = try connection.advance() }
  }

  @Test("an interrupt ends the wait, and takes the request back")
  func interrupted() throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    let reading = ends[0]
    defer { ends.forEach { close($0) } }
    let interrupt = Interrupt(descriptor: reading) {
      var byte: UInt8 = 0
      return poll([reading]) && read(reading, &byte, 1) == 1
    }
    let listener = try ScriptedListener()
    let (connection, peer) = try attached(listener, interrupt: interrupt)
    let id = try connection.start(Request(target: "ROBIN", method: "talk"))
    var byte: UInt8 = 1
    #expect(write(ends[1], &byte, 1) == 1)
    #expect(throws: ClientError.interrupted) { try connection.wait(for: id) }
    #expect(try peer.line().contains(#""method":"talk""#))
    #expect(try peer.line().contains(#""method":"cancel","id":2,"payload":{"id":1}"#))
  }

  /// Whether one of them can be read now.
  private func poll(_ descriptors: [Int32]) -> Bool { !waitForInput(descriptors, for: .zero).isEmpty }

  @Test("what the kernel does not take at once waits, and arrives whole")
  func backPressure() throws {
    let listener = try ScriptedListener()
    let (connection, peer) = try attached(listener)
    let text = String(repeating: "x", count: 4 << 20)
    _ = try connection.start(Request(target: "ROBIN", method: "talk", payload: .string(text)))
    #expect(connection.wantsToWrite)
    let writer = Promise<Bool>()
    let moving = LoopOnlyBox(connection)
    try! startThread(name: "writer") {
      while moving.connection.wantsToWrite { _ = try? moving.connection.pause(until: nil); _ = try? moving.connection.advance() }
      writer.fulfill(true)
    }
    #expect(try peer.line().utf8.count > text.utf8.count)
    #expect(writer.wait(milliseconds: 20_000) == true)
  }

  /// Handed from one thread to another, which then has it alone.
  private final class LoopOnlyBox: @unchecked Sendable {
    let connection: KernelConnection
    init(_ connection: KernelConnection) { self.connection = connection }
  }

  @Test("a request to many is not refused; one to us is")
  func refusing() throws {
    let listener = try ScriptedListener()
    let (connection, peer) = try attached(listener)
    peer.send(#"{"source":"A","target":"*","method":"all","id":1}"#)
    peer.send(#"{"source":"A","target":"me","method":"one","id":2}"#)
    var seen = 0
    while seen < 2 {
      for case .gram(let gram) in try next(connection) {
        connection.refuse(gram, Failure(.unknownMethod, "no"))
        seen += 1
      }
    }
    #expect(try peer.line().contains(#""target":"A","method":"error","re":2"#))
  }

  @Test("where nobody listens, or so many want to connect that nobody is taken, that is told")
  func unreachable() throws {
    #expect(throws: ClientError.self) { try KernelConnection(path: "/nonexistent/k.sock", name: nil) }
    let long = "/" + String(repeating: "x", count: 200)
    #expect(throws: ClientError.unreachable(path: long, why: "the path is longer than a socket's may be")) {
      try KernelConnection(path: long, name: nil)
    }
    let listener = try ScriptedListener(backlog: 0)
    var queued: [KernelConnection] = []
    let full = #expect(throws: ClientError.self) {
      while queued.count < 100 { queued.append(try KernelConnection(path: listener.path, name: nil)) }
    }
    guard case .unreachable? = full else { return #expect(Bool(false), "\(String(describing: full))") }
    #expect(throws: full!) { try KernelConnection(path: listener.path, name: nil, within: .milliseconds(30)) }
  }

  @Test("something that accepts and says nothing is told from a kernel")
  func silent() throws {
    let listener = try ScriptedListener()
    #expect(throws: ClientError.silent(path: listener.path)) {
      try KernelConnection(path: listener.path, name: nil, within: .milliseconds(30))
    }
  }
}
