import Protocol
import Testing
import Wire

@testable import Client

@Suite("A connection without its socket") struct ConnectionMachineTests {
  private static let limits = Welcome.Limits(frame_bytes: 200, queue_bytes: 1000, hops: 16, deadline_ms: 1000)

  private func line(_ source: String, _ method: String, _ payload: String, re: String? = nil, id: String? = nil) -> [UInt8] {
    let re = re.map { #","re":\#($0)"# } ?? ""
    let id = id.map { #","id":\#($0)"# } ?? ""
    return Array(#"{"source":"\#(source)","target":"me","method":"\#(method)"\#(re)\#(id),"payload":\#(payload)}"#.utf8) + [0x0A]
  }

  /// One that was welcomed, among BRICK and ROBIN.
  private func attached() throws -> ConnectionMachine {
    var machine = ConnectionMachine(path: "/k.sock")
    let welcome = Welcome(
      version: "1", name: "me", seq: 0, limits: Self.limits,
      personas: [.init(name: "BRICK", talk: "process_architect_query"), .init(name: "ROBIN", talk: "talk")])
    let text = String(decoding: PayloadCoding.bytes(of: welcome), as: UTF8.self)
    let incoming = try machine.receive(line("KERNEL", "welcome", text))
    #expect(incoming == [.welcome(welcome)])
    return machine
  }

  @Test("the hello is a line that names us, if we have a name")
  func hello() {
    #expect(ConnectionMachine.hello(name: "GUI") == Array(#"{"hello":1,"name":"GUI"}"#.utf8) + [0x0A])
    #expect(ConnectionMachine.hello(name: nil) == Array(#"{"hello":1}"#.utf8) + [0x0A])
    #expect(ConnectionMachine.hello(name: "me", distinct: true) == Array(#"{"distinct":true,"hello":1,"name":"me"}"#.utf8) + [0x0A])
  }

  @Test("a hello that is refused fails with the kernel's reason")
  func refusedHello() {
    var machine = ConnectionMachine(path: "/k.sock")
    #expect(throws: ClientError.failed(ErrorReport(code: "name_refused", message: "taken"))) {
      try machine.receive(line("KERNEL", "error", #"{"code":"name_refused","message":"taken"}"#))
    }
  }

  @Test("a request is answered by its number: pieces, then its end, and nothing after that")
  func request() throws {
    var machine = try attached()
    let (id, sent) = try machine.start(Request(target: "ROBIN", method: "talk", payload: "hi", stream: true), now: .now)
    #expect(String(decoding: sent, as: UTF8.self).contains(#""method":"talk","id":1,"stream":true"#))
    let pieces = try machine.receive(line("ROBIN", "delta", #"{"text":"a","speaker":"BABS","later":1}"#, re: "1"))
    #expect(pieces == [.delta(request: id, Delta(text: "a", speaker: "BABS"))])
    #expect(machine.isOpen(id))
    #expect(
      try machine.receive(line("ROBIN", "reply", #"{"content":"a"}"#, re: "1")) == [
        .reply(request: id, Payload(Array(#"{"content":"a"}"#.utf8)))
      ])
    #expect(!machine.isOpen(id))
    #expect(try machine.receive(line("ROBIN", "reply", "{}", re: "1")).isEmpty)
  }

  @Test("what comes of a request that was taken back is passed over, and so is the answer to the cancel")
  func cancelled() throws {
    var machine = try attached()
    let (id, _) = try machine.start(Request(target: "ROBIN", method: "talk"), now: .now)
    #expect(String(decoding: machine.cancel(id), as: UTF8.self).contains(#""method":"cancel","id":2,"payload":{"id":1}"#))
    let late = line("ROBIN", "delta", #"{"text":"a"}"#, re: "1") + line("KERNEL", "error", #"{"code":"cancelled"}"#, re: "1")
    #expect(try machine.receive(late + line("KERNEL", "reply", #"{"cancelled":true}"#, re: "2")).isEmpty)
  }

  @Test("an error without a number ends the only request that is open, and is told apart when there are two")
  func errorWithoutNumber() throws {
    var machine = try attached()
    let error = line("KERNEL", "error", #"{"code":"too_long","message":"left out"}"#)
    let report = ErrorReport(code: "too_long", message: "left out")
    #expect(try machine.receive(error) == [.error(report)])
    let (first, _) = try machine.start(Request(Ping()), now: .now)
    #expect(try machine.receive(error) == [.failure(request: first, report)])
    _ = try machine.start(Request(Ping()), now: .now)
    _ = try machine.start(Request(Ping()), now: .now)
    #expect(try machine.receive(error) == [.error(report)])
  }

  @Test("only what the kernel says is a receipt, a copy or an error", arguments: ["receipt", "tap", "error", "welcome"])
  func forged(method: String) throws {
    var machine = try attached()
    let (id, _) = try machine.start(Request(Ping()), now: .now)
    let payload = #"{"persona":"BRICK","outcome":"unloaded","total_ms":1,"code":"failed","missed":3}"#
    let incoming = try machine.receive(line("MALLORY", method, payload))
    guard case .gram(let gram)? = incoming.first else { return #expect(Bool(false), "\(incoming)") }
    #expect(gram.source == "MALLORY" && gram.method == method)
    #expect(machine.personas.map(\.name) == ["BRICK", "ROBIN"])
    #expect(machine.isOpen(id))
  }

  @Test("only who was asked, or the kernel, ends a request or shows pieces of its answer", arguments: ["reply", "error", "delta"])
  func forgedAnswer(method: String) throws {
    var machine = try attached()
    let (id, _) = try machine.start(Request(target: "ROBIN", method: "talk", stream: true), now: .now)
    #expect(try machine.receive(line("MALLORY", method, #"{"text":"lies","code":"failed"}"#, re: "1")).isEmpty)
    #expect(machine.isOpen(id))
    #expect(try machine.receive(line("KERNEL", "error", #"{"code":"deadline"}"#, re: "1")).count == 1)
    #expect(!machine.isOpen(id))
  }

  @Test("nobody but the kernel welcomes or turns away")
  func forgedWelcome() throws {
    var machine = ConnectionMachine(path: "/k.sock")
    #expect(try machine.receive(line("MALLORY", "welcome", "{}") + line("MALLORY", "error", "{}")).isEmpty)
    #expect(machine.welcome == nil)
  }

  @Test("who asks us by our name is answered, and nobody who has asked everybody")
  func refusal() throws {
    var machine = try attached()
    func asked(_ target: String, id: String?) throws -> Gram {
      let id = id.map { #","id":\#($0)"# } ?? ""
      let line = Array(#"{"source":"A","target":"\#(target)","method":"talk"\#(id)}"#.utf8) + [0x0A]
      guard case .gram(let gram)? = try machine.receive(line).first else { throw ClientError.late }
      return gram
    }
    let failure = Failure(.unknownMethod, "no")
    #expect(machine.refusal(of: try asked("*", id: "7"), failure) == nil)
    #expect(machine.refusal(of: try asked("#news", id: "7"), failure) == nil)
    #expect(machine.refusal(of: try asked("me", id: nil), failure) == nil)
    let line = machine.refusal(of: try asked("me", id: "7"), failure)
    #expect(line.map { String(decoding: $0, as: UTF8.self) }?.contains(#""target":"A","method":"error","re":7"#) == true)
  }

  @Test("a piece of an answer is shown as far as it can be read")
  func oddDelta() throws {
    var machine = try attached()
    let (id, _) = try machine.start(Request(target: "ROBIN", method: "talk", stream: true), now: .now)
    let incoming = try machine.receive(line("ROBIN", "delta", #"{"text":"a","speaker":7,"event":[1]}"#, re: "1"))
    #expect(incoming == [.delta(request: id, Delta(text: "a", event: [1]))])
  }

  @Test("receipts keep the list of the personas, and how each is talked to")
  func receipts() throws {
    var machine = try attached()
    func receipt(_ name: String, _ outcome: Receipt.Outcome, talk: String?) throws {
      let receipt = Receipt(persona: name, outcome: outcome, to: 4, total_ms: 1, talk: talk)
      let text = String(decoding: PayloadCoding.bytes(of: receipt), as: UTF8.self)
      #expect(try machine.receive(line("KERNEL", "receipt", text)) == [.receipt(receipt)])
    }
    try receipt("ROBIN", .unloaded, talk: nil)
    try receipt("BABS", .loaded, talk: "chat")
    try receipt("BRICK", .reloaded, talk: "discuss")
    try receipt("NOBODY", .refused, talk: nil)
    #expect(machine.personas.map(\.name) == ["BRICK", "BABS"])
    #expect(machine.conversation(with: "BRICK", "x", thread: nil, stream: false).method == "discuss")
    #expect(machine.conversation(with: "BABS", "x", thread: "t", stream: false).payload == Array(#"{"content":"x","thread":"t"}"#.utf8))
    let unkept = machine.conversation(with: "STRANGER", "x", thread: nil, remember: false, stream: false)
    #expect(unkept.method == "talk" && unkept.payload == Array(#"{"content":"x","remember":false}"#.utf8))
  }

  @Test("a line that the kernel would refuse is not sent")
  func refusedBeforeSending() throws {
    var machine = try attached()
    let long = Request(target: "ROBIN", method: "talk", payload: .string(String(repeating: "a", count: 200)))
    #expect(throws: ClientError.self) { try machine.start(long, now: .now) }
    func lists(_ depth: Int) -> JSON { depth == 0 ? 1 : [lists(depth - 1)] }
    #expect(throws: ClientError.tooDeep(limit: 63)) { try machine.start(Request(target: "R", method: "m", payload: lists(64)), now: .now) }
    _ = try machine.start(Request(target: "R", method: "m", payload: lists(63)), now: .now)
  }

  @Test("what no reader takes is read leniently")
  func lenient() throws {
    var machine = try attached()
    let nines = String(repeating: "9", count: 5000)
    let payload = #"{"text":"half \ud83d \\ud83d \udc00\ud83d\ude00","n":[1e400,-2.5,\#(nines)]}"#
    guard case .gram(let gram)? = try machine.receive(line("A", "news", payload)).first else { return #expect(Bool(false)) }
    #expect(gram.payload.text == payload)
    #expect(
      gram.payload.json == ["text": .string("half \u{FFFD} \\ud83d \u{FFFD}\u{1F600}"), "n": ["1e400", -2.5, .string(nines)]])
    #expect(try gram.payload.value(Delta.self).text == "half \u{FFFD} \\ud83d \u{FFFD}\u{1F600}")
  }

  @Test("a line that is nested too deep is passed over; one that is no object is no kernel's")
  func unreadable() throws {
    var machine = try attached()
    let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
    #expect(try machine.receive(line("A", "news", deep) + line("A", "news", "1")).count == 1)
    #expect(throws: ClientError.self) { try machine.receive(Array("HTTP/1.1 400\r\n".utf8)) }
  }

  @Test("a deadline is waited for two seconds longer; a request without one has the kernel's own")
  func deadline() throws {
    var machine = try attached()
    let now = ContinuousClock.now
    let (id, _) = try machine.start(Request(Ping(), deadline: .seconds(3)), now: now)
    #expect(machine.end(of: id) == now + .seconds(5))
    let (other, _) = try machine.start(Request(Ping()), now: now)
    #expect(machine.end(of: other) == now + .seconds(3))
  }

  @Test("the pauses between attempts double up to the longest")
  func backoff() {
    let now = ContinuousClock.now
    var backoff = Backoff(first: .milliseconds(100), longest: .milliseconds(350), now: now)
    #expect(!backoff.isDue(now) && backoff.isDue(now + .milliseconds(100)))
    var pauses: [Duration] = []
    for _ in 0..<3 {
      backoff.failed(now)
      pauses.append(backoff.left(now))
    }
    #expect(pauses == [.milliseconds(200), .milliseconds(350), .milliseconds(350)])
  }
}
