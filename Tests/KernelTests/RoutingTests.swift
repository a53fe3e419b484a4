import System
import TestSupport
import Testing

@testable import Kernel

@Suite("Routing") struct RoutingTests {
  @Test("a gram that is as it should be arrives byte for byte")
  func verbatim() throws {
    let house = try House()
    let (a, b) = (try house.client("A"), try house.attached("B"))
    let line = #" {"payload" : {"x":[1, 2]},  "target":"B","method":"m" , "source":"A"} "#
    try a.line(line)
    #expect(try b.next() == line)
  }

  @Test("the Python original's sequence works unchanged: a bare name, then JSON lines, and nothing comes that was not sent")
  func original() throws {
    let house = try House()
    let (brick, gui) = (try house.client("BRICK"), try house.client("GUI"))
    try brick.line(#"{"source": "BRICK", "target": "KERNEL-LIKE-NOBODY", "method": "x", "payload": 1}"#)
    #expect(try brick.gram().code == "unknown_target")
    let query = #"{"source": "GUI", "target": "BRICK", "method": "process_architect_query", "payload": {"content": "Gr\u00fc\u00dfe"}}"#
    try gui.line(query)
    #expect(try brick.next() == query)
    let answer = #"{"source": "BRICK", "target": "GUI", "method": "display", "payload": {"content": "ok"}}"#
    try brick.line(answer)
    #expect(try gui.next() == answer)
  }

  @Test("nobody speaks in another's name")
  func stamped() throws {
    let house = try House()
    let (a, b) = (try house.client("A"), try house.attached("B"))
    try a.line(#"{"source":"KERNEL","target":"B","method":"m","payload":1}"#)
    #expect(try b.next() == #"{"source":"A","target":"B","method":"m","payload":1}"#)
    try a.line(#"{"target":"B","method":"m"}"#)
    #expect(try b.next() == #"{"source":"A","target":"B","method":"m"}"#)
    try a.line(#"{ "target":"B","source":"\u0041"}"#)
    #expect(try b.next() == #"{ "target":"B","source":"A"}"#)
  }

  @Test("an unknown target fails at once, with the nearest name")
  func unknown() throws {
    let house = try House()
    let (a, brick) = (try house.attached("A"), try house.attached("BRICK"))
    _ = try brick.ask("KERNEL", "ping", id: 1)
    let error = try a.ask("BRIK", "m", id: 2)
    #expect(error.code == "unknown_target")
    #expect(error.message?.contains("did you mean BRICK?") == true)
  }

  @Test("bad JSON and an over-long line get an error, and the connection lives on")
  func badLines() throws {
    let house = try House { $0.limits.frameBytes = 1000 }
    let a = try house.attached("A")
    try a.line("{nonsense")
    #expect(try a.gram().code == "bad_json")
    try a.line("")
    try a.line(#"{"target":"KERNEL","method":"ping","payload":"\#(String(repeating: "x", count: 2000))"}"#)
    #expect(try a.gram().code == "too_long")
    // Over-long and not even finished: told once, the rest thrown away.
    try a.write(String(repeating: "y", count: 300_000))
    #expect(try a.gram().code == "too_long")
    try a.write(String(repeating: "y", count: 300_000) + "\n")
    #expect(try a.ask("KERNEL", "ping", id: 1).method == "reply")
  }

  @Test("a frame of 16 MiB goes through whole")
  func large() throws {
    let house = try House()
    let (a, b) = (try house.attached("A"), try house.attached("B"))
    let head = #"{"source":"A","target":"B","payload":""#
    let line = head + String(repeating: "z", count: (16 << 20) - head.utf8.count - 3) + "\"}"
    try a.line(line)
    #expect(try b.next() == line)
  }

  @Test("a frame may come in any pieces")
  func pieces() throws {
    let house = try House()
    let (a, b) = (try house.attached("A"), try house.attached("B"))
    let line = #"{"source":"A","target":"B","method":"m","payload":"é"}"#
    for byte in Array((line + "\n").utf8) { try a.write([byte]) }
    #expect(try b.next() == line)
    try a.write(line + "\n" + line + "\n" + String(line.prefix(20)))
    #expect(try b.next() == line)
    #expect(try b.next() == line)
    try a.write(String(line.dropFirst(20)) + "\n")
    #expect(try b.next() == line)
  }

  @Test("a request ends in the answer, which reaches only the connection that asked")
  func requests() throws {
    let house = try House()
    let (a1, a2, b) = (try house.attached("A"), try house.attached("A"), try house.attached("B"))
    try a1.line(#"{"target":"B","method":"q","id":"x-1"}"#)
    #expect(try b.gram()["none"] == nil)
    try b.line(#"{"target":"A","method":"reply","re":"x-1","payload":{"ok":1}}"#)
    #expect(try a1.gram()["ok"] == "1")
    try b.line(#"{"target":"A","method":"news"}"#)
    #expect(try a1.gram().method == "news")
    #expect(try a2.gram().method == "news")
    try b.line(#"{"target":"A","method":"reply","re":"x-1","payload":2}"#)
    #expect(try b.gram().code == "not_found")
  }

  @Test("two clients of one name that use the same id get each its own answer, under its own id")
  func sameName() throws {
    let house = try House()
    let (a1, a2, b) = (try house.attached("A"), try house.attached("A"), try house.attached("B"))
    let line = #"{"source":"A","target":"B","method":"q","id":1,"payload":"first"}"#
    try a1.line(line)
    #expect(try b.next() == line, "without a conflict it is passed on byte for byte")
    try a2.line(#"{"source":"A","target":"B","method":"q","id":1,"payload":"second"}"#)
    let second = try b.gram()
    let id = try #require(second.fields["id"] as? String)
    #expect(second.fields["payload"] as? String == "second")
    // In the order in which they came, and the first of them twice.
    try b.line(#"{"target":"A","method":"reply","re":1,"payload":{"to":"first"}}"#)
    #expect(try a1.gram()["to"] == "first")
    try b.line(#"{"target":"A","method":"reply","re":1,"payload":{"to":"first"}}"#)
    #expect(try b.gram().code == "not_found")
    try b.line(#"{"target":"A","method":"reply","re":"\#(id)","payload":{"to":"second"}}"#)
    let answer = try a2.gram()
    #expect(answer["to"] == "second" && answer.fields["re"] as? Int == 1, "\(answer)")
    // The other way round, with a piece ahead.
    for (client, payload) in [(a1, 1), (a2, 2)] {
      try client.line(#"{"source":"A","target":"B","method":"q","id":"x","stream":true,"payload":\#(payload)}"#)
    }
    _ = try b.gram()
    let other = try #require(try b.gram().fields["id"] as? String)
    try b.line(#"{"target":"A","method":"delta","re":"\#(other)","payload":{"text":"t"}}"#)
    try b.line(#"{"target":"A","method":"reply","re":"\#(other)","payload":{"to":2}}"#)
    try b.line(#"{"target":"A","method":"reply","re":"x","payload":{"to":1}}"#)
    #expect(try a2.gram()["text"] == "t")
    #expect(try a2.gram()["to"] == "2")
    #expect(try a1.gram()["to"] == "1")
  }

  @Test("an answer that comes too late is not taken for the answer to another's request with the same id")
  func late() throws {
    let house = try House()
    let (a1, a2, b) = (try house.attached("A"), try house.attached("A"), try house.attached("B"))
    try a1.line(#"{"target":"B","method":"q","id":1}"#)
    _ = try b.gram()
    #expect(try a1.ask("KERNEL", "cancel", #"{"id":1}"#, id: 2)["cancelled"] == "1")
    try a2.line(#"{"target":"B","method":"q","id":1}"#)
    let id = try #require(try b.gram().fields["id"] as? String)
    try b.line(#"{"target":"A","method":"reply","re":1,"payload":{"to":"first"}}"#)
    #expect(try b.gram().code == "not_found")
    try b.line(#"{"target":"A","method":"reply","re":"\#(id)","payload":{"to":"second"}}"#)
    let answer = try a2.gram()
    #expect(answer["to"] == "second" && answer.re == "1")
  }

  @Test("one who comes back under its name does not get the answer that its predecessor waited for")
  func back() throws {
    let house = try House()
    let (b, observer) = (try house.attached("B"), try house.attached("O"))
    var a: Client? = try house.attached("A")
    try a?.line(#"{"target":"B","method":"q","id":1}"#)
    _ = try b.gram()
    a = nil
    while try observer.ask("KERNEL", "stats", id: 1)["connections"] != "2" {}
    let again = try house.attached("A")
    try again.line(#"{"target":"B","method":"q","id":1}"#)
    let id = try #require(try b.gram().fields["id"] as? String)
    try b.line(#"{"target":"A","method":"reply","re":1,"payload":{"to":"first"}}"#)
    #expect(try b.gram().code == "not_found")
    try b.line(#"{"target":"A","method":"reply","re":"\#(id)","payload":{"to":"second"}}"#)
    #expect(try again.gram()["to"] == "second")
  }

  @Test("clients that wait for each other in a long chain may all go at once")
  func chain() throws {
    let house = try House()
    var clients: [Client] = []
    for n in 0..<1500 {
      let client = try house.attached("C\(n)")
      if n > 0 { try client.line(#"{"target":"C\#(n - 1)","method":"q","id":1}"#) }
      clients.append(client)
    }
    let observer = try house.attached("O")
    let (isHeld, goesOn) = (Promise<Bool>(), Promise<Bool>())
    house.inbox.post { _ in
      isHeld.fulfill(true)
      _ = goesOn.wait(milliseconds: 20_000)
    }
    _ = isHeld.wait(milliseconds: 20_000)
    clients = []
    goesOn.fulfill(true)
    while try observer.ask("KERNEL", "stats", id: 1)["connections"] != "1" {}
    #expect(try observer.ask("KERNEL", "stats", id: 2)["requests"] == "1")
  }

  @Test("a request to a client that goes away ends in an error, and one that takes too long in its deadline")
  func lost() throws {
    let house = try House()
    let a = try house.attached("A")
    var b: Client? = try house.attached("B")
    try a.line(#"{"target":"B","method":"q","id":1}"#)
    _ = try b?.gram()
    b = nil
    #expect(try a.gram { $0.re == "1" }.code == "unknown_target")
    let c = try house.attached("C")
    try a.line(#"{"target":"C","method":"q","id":2,"deadline_ms":30}"#)
    _ = try c.gram()
    #expect(try a.gram { $0.re == "2" }.code == "deadline")
  }

  @Test("an id that is open cannot be used again until it has ended")
  func duplicate() throws {
    let house = try House()
    let (a, b) = (try house.attached("A"), try house.attached("B"))
    try a.line(#"{"target":"B","method":"q","id":1}"#)
    try a.line(#"{"target":"B","method":"q","id":1}"#)
    #expect(try a.gram().code == "invalid")
    _ = try b.gram()
    #expect(try a.ask("KERNEL", "cancel", #"{"id":1}"#, id: 2)["cancelled"] == "1")
    try a.line(#"{"target":"B","method":"q","id":1}"#)
    #expect(try b.gram().method == "q")
  }

  @Test("a broadcast reaches everybody else, a topic its subscribers, and the sender learns how many")
  func spread() throws {
    let house = try House()
    let (a, b, c) = (try house.attached("A"), try house.attached("B"), try house.attached("C"))
    #expect(try a.ask("*", "hello", id: 1)["delivered"] == "2")
    #expect(try b.gram().method == "hello")
    #expect(try c.gram().method == "hello")
    #expect(try b.ask("KERNEL", "topics.subscribe", #"{"topic":"weather"}"#, id: 1)["subscribers"] == "1")
    #expect(try a.ask("#weather", "rain", "{}", id: 2)["delivered"] == "1")
    #expect(try b.gram().method == "rain")
    #expect(try a.ask("#nothing", "rain", id: 3)["delivered"] == "0")
    _ = try b.ask("KERNEL", "topics.unsubscribe", #"{"topic":"weather"}"#, id: 2)
    #expect(try a.ask("#weather", "rain", id: 4)["delivered"] == "0")
  }

  @Test("a reader that stops harms only itself: its quota is kept, the sender is told, others get theirs")
  func slowReader() throws {
    let house = try House { $0.limits.queueBytes = 1 << 20 }
    let (a, slow, quick) = (try house.attached("A"), try house.attached("SLOW"), try house.attached("QUICK"))
    let text = String(repeating: "s", count: 10_000)
    var told = 0
    for i in 0..<500 {
      try a.line(#"{"source":"A","target":"SLOW","method":"m","payload":{"n":\#(i),"t":"\#(text)"}}"#)
      try a.line(#"{"source":"A","target":"QUICK","method":"m","payload":{"n":\#(i)}}"#)
      #expect(try quick.gram()["n"] == "\(i)")
    }
    _ = try a.line(#"{"target":"KERNEL","method":"ping","id":1}"#)
    while true {
      let gram = try a.gram()
      if gram.re == "1" { break }
      #expect(gram.code == "queue_full")
      told += 1
    }
    #expect(told > 100)
    // What was within the quota comes, in order, without a gap before the first refusal.
    for i in 0..<(500 - told) { #expect(try slow.gram()["n"] == "\(i)") }
    try a.line(#"{"source":"A","target":"SLOW","method":"last"}"#)
    #expect(try slow.gram().method == "last")
  }

  @Test(
    "a name that is not free or no name is refused, and the connection is closed",
    arguments: ["KERNEL", "*", "#x", "", "a\u{1}b", #"{"hello":2}"#, #"{"x":1}"#, #"{"#])
  func names(name: String) throws {
    let house = try House()
    let client = try house.client()
    try client.line(name)
    #expect(try client.gram().code == "name_refused")
    #expect(throws: Client.Lost.self) { try client.gram() }
  }

  @Test("who wants to be told apart gets a name that nobody has; who does not shares it; capitals tell nobody from a persona")
  func distinct() throws {
    let house = try House([("ECHO", "echo", [:])])
    func hello(_ name: String, distinct: Bool = true) throws -> (Client, String?) {
      let client = try house.client()
      try client.line(#"{"hello":1,"name":"\#(name)"\#(distinct ? #","distinct":true"# : "")}"#)
      let gram = try client.gram()
      return (client, gram.code ?? gram["name"])
    }
    var clients: [Client] = []
    var names: [String?] = []
    let long = String(repeating: "n", count: 64)
    for name in ["selina", "selina", "selina", "echo", long, long] {
      let (client, name) = try hello(name)
      clients.append(client)
      names.append(name)
    }
    #expect(names == ["selina", "selina-2", "selina-3", "echo-2", long, String(repeating: "n", count: 62) + "-2"])
    #expect(try hello("selina", distinct: false).1 == "selina")
    #expect(try hello("Echo", distinct: false).1 == "name_refused")
  }

  @Test("a hello is welcomed with limits, and a name is given to one who brings none")
  func welcome() throws {
    let house = try House()
    let client = try house.client()
    try client.line(#"{"hello":1}"#)
    let welcome = try client.gram()
    #expect(welcome.method == "welcome")
    #expect(welcome["name"]?.hasPrefix("client-") == true)
    #expect((welcome.payload["limits"] as? [String: Any])?["hops"] as? Int == 8)
  }

  @Test("a tap sees what others send, and not its own")
  func tap() throws {
    let house = try House()
    let (a, b, watcher) = (try house.attached("A"), try house.attached("B"), try house.attached("W"))
    _ = try watcher.ask("KERNEL", "tap", #"{"on":true}"#, id: 1)
    try a.line(#"{"target":"B","method":"m","payload":5}"#)
    #expect(try b.gram().method == "m")
    let copy = try watcher.gram()
    #expect(copy.method == "tap")
    #expect((copy.payload["gram"] as? [String: Any])?["target"] as? String == "B")
  }

  @Test("KERNEL says which methods it has, and what a payload lacks")
  func control() throws {
    let house = try House()
    let a = try house.attached("A")
    let unknown = try a.ask("KERNEL", "persona.list", id: 1)
    #expect(unknown.code == "unknown_method")
    #expect(unknown.message?.contains("personas.list") == true)
    #expect(try a.ask("KERNEL", "personas.load", "{}", id: 2).message?.contains("\"name\" is missing") == true)
    #expect(try a.ask("KERNEL", "stats", id: 3)["connections"] == "1")
  }
}
