import Foundation
import Protocol
import System
import Testing

@testable import Client

@Suite("A connection that comes back") struct KernelLinkTests {
  private static let pauses = (first: Duration.milliseconds(100), longest: Duration.milliseconds(400))

  /// One that was welcomed once.
  private func linked(_ listener: ScriptedListener, distinct: Bool = false) throws -> (KernelLink, ScriptedListener.Peer) {
    let connection = try KernelConnection(path: listener.path, name: "me")
    let peer = try listener.accept()
    _ = try peer.line()
    peer.welcome()
    while connection.welcome == nil {
      _ = try connection.pause(until: .now + .seconds(20))
      _ = try connection.advance()
    }
    return (KernelLink(connection, name: "me", distinct: distinct, pauses: Self.pauses), peer)
  }

  /// Advances until something happens; the clock stands.
  private func events(_ link: KernelLink, _ now: ContinuousClock.Instant) throws -> [KernelLink.Event] {
    while true {
      let events = try link.advance(now)
      if !events.isEmpty { return events }
      guard let descriptor = link.descriptor, !waitForInput([descriptor], for: .seconds(20)).isEmpty else {
        throw ScriptedListener.Silence()
      }
    }
  }

  private func isLost(_ events: [KernelLink.Event]) -> Bool { if case .lost? = events.last { true } else { false } }

  @Test("when the kernel goes, that is told once, and it is tried again after a pause")
  func lost() throws {
    let listener = try ScriptedListener()
    var (link, peer): (KernelLink, ScriptedListener.Peer?) = try linked(listener)
    #expect(link.timeout(.now) == nil)
    peer = nil
    withExtendedLifetime(peer) {}
    let now = ContinuousClock.now
    #expect(isLost(try events(link, now)))
    #expect(link.connection == nil && link.descriptor == nil)
    #expect(link.timeout(now) == .milliseconds(100))
    #expect(try link.advance(now + .milliseconds(99)).isEmpty && link.descriptor == nil)
  }

  @Test("when it is back, that is told, under the name of before, and nothing that came with the welcome is missed")
  func back() throws {
    let listener = try ScriptedListener()
    var (link, peer): (KernelLink, ScriptedListener.Peer?) = try linked(listener, distinct: true)
    peer = nil
    withExtendedLifetime(peer) {}
    var now = ContinuousClock.now
    #expect(isLost(try events(link, now)))
    now += .milliseconds(100)
    #expect(try link.advance(now).isEmpty)
    let again = try listener.accept()
    #expect(try again.line() == #"{"distinct":true,"hello":1,"name":"me"}"#)
    again.welcome("me-2")
    again.send(#"{"source":"A","target":"*","method":"news"}"#)
    var seen: [String] = []
    while seen.count < 2 {
      for event in try events(link, now) {
        switch event {
        case .attached: seen.append("attached")
        case .incoming(.gram(let gram)): seen.append(gram.method)
        default: seen.append("\(event)")
        }
      }
    }
    #expect(seen == ["attached", "news"] && link.connection?.name == "me-2")
    #expect(link.timeout(now) == nil)
  }

  @Test("pauses grow while nobody listens, and while who listens says nothing")
  func absent() throws {
    var listener: ScriptedListener? = try ScriptedListener()
    var (link, peer): (KernelLink, ScriptedListener.Peer?) = try linked(listener!)
    peer = nil
    withExtendedLifetime(peer) {}
    var now = ContinuousClock.now
    #expect(isLost(try events(link, now)))
    now += .milliseconds(100)
    #expect(try link.advance(now).isEmpty)
    // It has connected, and waits for the welcome: two seconds, and no longer.
    #expect(link.descriptor != nil && link.timeout(now) == .seconds(2))
    now += .seconds(2)
    #expect(try link.advance(now).isEmpty)
    #expect(link.descriptor == nil && link.timeout(now) == .milliseconds(200))
    listener = nil
    now += .milliseconds(200)
    #expect(try link.advance(now).isEmpty && link.timeout(now) == .milliseconds(400))
    now += .milliseconds(400)
    #expect(try link.advance(now).isEmpty && link.timeout(now) == .milliseconds(400))
  }

  @Test("a name that is refused when the kernel is back will not get better by waiting")
  func refused() throws {
    let listener = try ScriptedListener()
    var (link, peer): (KernelLink, ScriptedListener.Peer?) = try linked(listener)
    peer = nil
    withExtendedLifetime(peer) {}
    let now = ContinuousClock.now
    #expect(isLost(try events(link, now)))
    #expect(try link.advance(now + .milliseconds(100)).isEmpty)
    let again = try listener.accept()
    again.send(#"{"source":"KERNEL","method":"error","payload":{"code":"name_refused","message":"me is a persona"}}"#)
    #expect(throws: ClientError.failed(ErrorReport(code: "name_refused", message: "me is a persona"))) {
      try events(link, now + .milliseconds(100))
    }
  }
}
