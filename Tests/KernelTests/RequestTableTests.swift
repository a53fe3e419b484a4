import Protocol
import Testing
import Wire

@testable import Kernel

@Suite("Requests") struct RequestTableTests {
  /// Notes what it is told.
  private final class Ears: @unchecked Sendable {
    var told: [String] = []
    var takesPieces = true
    let participant: Participant
    init(_ participant: Participant) { self.participant = participant }
  }

  private struct TestAsker: Asker {
    let ears: Ears
    let id: [UInt8]
    var name: String { "A" }
    var owner: AnyObject? { ears }
    var participant: Participant? { ears.participant }
    var waits: Bool { true }
    var isInteractive: Bool { true }
    func refused(_ gram: Kernel.Gram, _ failure: Failure, isNamed: Bool) { ears.told.append("refused \(failure.code)") }
    func published(_ gram: Kernel.Gram, to count: Int) {}
    func answered(_ request: OpenRequest, _ payload: [UInt8]) { ears.told.append(String(decoding: payload, as: UTF8.self)) }
    func failed(_ request: OpenRequest, _ failure: Failure, source: [UInt8]) { ears.told.append("\(failure.code)") }
    func streamed(_ request: OpenRequest, _ text: [UInt8]) -> Bool { ears.takesPieces }
    func stepped(_ request: OpenRequest, _ step: AnswerStep) -> Bool {
      ears.told.append("step \(step.delta.event?["kind"]?.string ?? "")")
      return ears.takesPieces
    }
    func relayed(_ request: OpenRequest, _ gram: Kernel.Gram, isPiece: Bool) { ears.told.append("relayed") }
  }

  /// A persona, as far as the table knows one.
  private final class TestPersona: Endpoint, Answerer {
    let name: Participant
    var answersTo: Participant? { name }
    let worksOnGrams = true
    var topics: Set<[UInt8]> = []
    var events: [String] = []

    init(_ name: String) {
      self.name = Participant(Array(name.utf8))
      self.name.add(self)
    }
    func take(_ gram: Kernel.Gram) -> Failure? { nil }
    func tell(_ line: [UInt8]) {}
    func refused(_ gram: Kernel.Gram, _ failure: Failure, re: [UInt8]) {}
    func countFailure() { events.append("failed") }
    func dropMail(of sender: UInt64) -> [Mail] { [] }
    func willEnd(_ token: UInt64, _ result: Result<[UInt8], Failure>) { events.append("ends \(token)") }
    func gramEnded(_ token: UInt64) { events.append("ended \(token)") }
    func withdraw(_ token: UInt64) { events.append("withdrawn \(token)") }
    func cancel(request: UInt64) { events.append("cancelled \(request)") }
  }

  private let table: RequestTable
  private let asker = Ears(Participant(Array("A".utf8)))

  init() {
    var limits = Limits()
    limits.mailboxBytes = 20_000
    limits.requests = 3
    table = RequestTable(loop: EventLoop(), limits: limits, house: HouseBytes(limit: limits.totalBytes))
  }

  @discardableResult
  private func open(
    _ id: String, to target: Participant?, by ears: Ears? = nil, bytes: Int = 0, stream: Bool = false
  ) throws(Failure) -> Kernel.Gram {
    let ears = ears ?? asker
    var line = GramLine(target: target?.name ?? Router.kernelName, method: Array("m".utf8))
    line.id = Array(id.utf8)
    line.stream = stream
    line.payload = Array("\"\(String(repeating: "x", count: bytes))\"".utf8)
    return try table.open(
      Kernel.Gram(token: table.nextToken(), line, asker: TestAsker(ears: ears, id: line.id), sender: nil, senderID: 7), target: target)
  }

  @Test("a request ends once: whatever comes later finds it ended")
  func once() throws {
    let token = try open("1", to: nil).token
    #expect(table.count == 1 && table.token(askedBy: asker, id: Array("1".utf8)) == token)
    table.finish(token, payload: Array("first".utf8))
    table.finish(token, payload: Array("second".utf8))
    table.fail(token, Failure(.failed, "third"))
    table.cancel(token, Failure(.cancelled, "fourth"))
    #expect(asker.told == ["first"])
    #expect(table.count == 0 && table.count(askedBy: asker) == 0)
  }

  @Test("one who has as many open as are allowed waits for one to end")
  func limit() throws {
    let first = try open("1", to: nil).token
    for id in ["2", "3"] { try open(id, to: nil) }
    #expect(throws: Failure.self) { try open("4", to: nil) }
    table.finish(first, payload: [])
    try open("4", to: nil)
    #expect(table.cancel(id: Array("2".utf8), of: asker) && !table.cancel(id: Array("1".utf8), of: asker))
    #expect(table.count == 2)
  }

  @Test("an instance is told of the end of what it was handed, and only while it has it")
  func answerers() throws {
    let persona = TestPersona("P")
    let (first, second) = (try open("1", to: persona.name).token, try open("2", to: persona.name).token)
    table.handed(first, to: persona)
    table.handed(second, to: persona)
    table.takenBack(second)
    #expect(table.tokens(answeredBy: persona) == [first])
    table.fail(second, Failure(.failed, ""))
    table.cancel(first, Failure(.cancelled, ""))
    #expect(persona.events == ["failed", "withdrawn \(first)", "ends \(first)", "ended \(first)", "failed"])
    #expect(table.tokens(answeredBy: persona).isEmpty)
  }

  @Test("what is begun for a request is cancelled with it, has a limit, and is forgotten when it has ended")
  func subrequests() throws {
    let persona = TestPersona("P")
    let token = try open("1", to: persona.name).token
    for number in 1...3 { #expect(table.begin(UInt64(number), of: persona, for: token) == nil) }
    #expect(table.begin(4, of: persona, for: token)?.code == .queueFull)
    table.ended(2)
    #expect(table.begin(4, of: persona, for: token) == nil)
    table.cancel(token, Failure(.cancelled, ""))
    #expect(persona.events == ["failed", "cancelled 1", "cancelled 3", "cancelled 4"])
    #expect(table.begin(5, of: persona, for: token)?.code == .cancelled)
  }

  @Test("a persona's unfinished grams are charged to their sender until they end")
  func charges() throws {
    let (persona, other) = (TestPersona("P"), TestPersona("Q"))
    let first = try open("1", to: persona.name, bytes: 6000).token
    #expect(throws: Failure.self) { try open("2", to: persona.name, bytes: 6000) }
    try open("2", to: other.name, bytes: 6000)
    table.finish(first, payload: [])
    try open("3", to: persona.name, bytes: 6000)
  }

  @Test("a stream whose asker cannot take more ends the request")
  func streams() throws {
    let persona = TestPersona("P")
    let token = try open("1", to: persona.name, stream: true).token
    table.handed(token, to: persona)
    table.stream(token, Array("a".utf8))
    #expect(table.count == 1)
    asker.takesPieces = false
    table.stream(token, Array("b".utf8))
    #expect(asker.told == ["queueFull"] && persona.events.first == "withdrawn \(token)" && table.count == 0)
  }

  @Test("a client is asked under the asker's id, or under another one while that is taken; the id may be used again when it is answered")
  func forwarded() throws {
    let client = Participant(Array("B".utf8))
    // Another connection of the same name.
    let twin = Ears(asker.participant)
    let first = try open("1", to: client)
    #expect(first.id == Array("1".utf8))
    let second = try open("1", to: client, by: twin)
    #expect(second.id != first.id && second.id.first == 0x22)
    func answered(_ id: [UInt8]) -> OpenRequest? {
      table.request(answeredBy: client, asker: asker.participant, id: id, isPiece: false)
    }
    #expect(answered(second.id)?.token == second.token && answered(first.id)?.token == first.token)
    #expect(Set(table.tokens(askedOf: client)) == [first.token, second.token])
    table.relay(first, for: try #require(answered(first.id)), isPiece: false)
    #expect(try open("1", to: client).id == Array("1".utf8))
  }
}

@Suite("Held text") struct HeldTextTests {
  @Test("pieces end between two characters, and together are the text")
  func characters() {
    var held = HeldText()
    var out: [String] = []
    for byte in Array("aé€😀".utf8) {
      held.append([byte])
      while let piece = held.next(isLast: false, atMost: 1000) { out.append(piece) }
    }
    #expect(out == ["a", "é", "€", "😀"] && held.count == 0)
  }

  @Test("a long text comes in pieces of the length that is asked for, and what is cut off at the end comes all the same")
  func long() {
    var held = HeldText()
    held.append(Array(String(repeating: "é", count: 50).utf8) + [0xc3])
    var out: [String] = []
    while let piece = held.next(isLast: true, atMost: 21) { out.append(piece) }
    // What stands for the cut character is two bytes longer than its rest.
    #expect(out.allSatisfy { $0.utf8.count <= 23 } && out.joined() == String(repeating: "é", count: 50) + "\u{fffd}")
  }
}
