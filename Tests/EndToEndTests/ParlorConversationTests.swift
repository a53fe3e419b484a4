import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("parlor's conversation") struct ParlorConversationTests {
  /// Runs a conversation on a terminal, on a thread of its own; the prompt has come when the body begins.
  private func onTerminal(_ kernel: ScriptedKernel, _ body: @escaping @Sendable (ParlorChild) throws -> Void) async throws {
    try await onThread {
      let child = try ParlorChild([], kernel: kernel.path, onTerminal: true)
      try child.expect("BRICK> ")
      try body(child)
    }
  }

  @Sendable private static func echo(_ gram: JSON, _ client: ScriptedKernel.Client) {
    guard gram["target"] != "KERNEL" else { return client.reply(to: gram, [:]) }
    let heard = gram["payload"]?["content"]?.string ?? ""
    client.delta(to: gram, "heard ")
    client.reply(to: gram, ["content": .string("heard \(heard)")])
  }

  @Test("what is typed and corrected on the line is what is sent, and the answer stands below it")
  func editing() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      // "wörld" with "hello " put before it, one letter too many deleted, and a wide character taken back whole.
      child.type("wöörld\u{1B}[D\u{1B}[D\u{1B}[D\u{7F}\u{01}hello \u{05}漢\u{7F}!\r")
      try child.expect("heard hello wörld!")
      try child.expect("BRICK> ")
      #expect(child.screen.suffix(3) == ["BRICK> hello wörld!", "heard hello wörld!", "BRICK> "])
    }
    #expect(try kernel.received { $0["target"] == "BRICK" }["payload"] == ["content": "hello wörld!", "thread": "main"])
  }

  @Test("@NAME speaks to another persona and stays with it")
  func turning() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      child.type("@rob\t one\r")
      try child.expect("heard one")
      try child.expect("ROBIN> ")
      child.type("two\r")
      try child.expect("heard two")
      #expect(kernel.received.map { $0["target"] } == ["ROBIN", "ROBIN"])
      #expect(kernel.received.map { $0["method"] } == ["talk", "talk"])
    }
  }

  @Test("a receipt appears above the line that is being written, and the line stays")
  func receiptAtThePrompt() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      child.type("half a lin")
      try child.expect("half a lin")
      kernel.everyClient { $0.receipt(["persona": "ROBIN", "outcome": "reloaded", "from": 3, "to": 4, "pause_us": 310, "total_ms": 1]) }
      try child.expectScreen("receipt above the line") {
        $0.suffix(2) == ["ROBIN reloaded: generation 3 → 4, 0.3 ms pause", "BRICK> half a lin"]
      }
      child.type("e\r")
      try child.expect("heard half a line")
    }
  }

  @Test("a receipt during an answer waits for the end of its line")
  func receiptDuringAnAnswer() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.delta(to: gram, "first ")
      client.receipt(["persona": "ROBIN", "outcome": "unloaded", "from": 1, "total_ms": 1])
      client.delta(to: gram, "line\nsecond")
      client.reply(to: gram, ["content": "first line\nsecond line"])
    }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expectScreen("answer with the receipt between its lines") {
        $0.suffix(4) == ["first line", "ROBIN unloaded: generation 1 is retired", "second line", "BRICK> "]
      }
    }
  }

  @Test("Ctrl-C stops an answer in the kernel, and what still comes of it is not shown")
  func stopping() async throws {
    let kernel = try ScriptedKernel { gram, client in
      switch gram["method"] {
      case "cancel":
        let id: JSON = ["target": "BRICK", "id": gram["payload"]!["id"]!]
        client.delta(to: id, "too late")
        client.fail(id, "cancelled")
      default:
        gram["payload"]?["content"] == "again" ? Self.echo(gram, client) : client.delta(to: gram, "begun")
      }
    }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expect("begun")
      child.type("typed ahead\u{03}")
      try child.expect("(stopped)")
      try child.expect("BRICK> ")
      child.type("again\r")
      try child.expect("heard again")
      #expect(!child.text.contains("too late"))
      #expect(!child.text.contains("typed ahead"))
    }
    let question = try kernel.received { $0["target"] == "BRICK" }
    #expect(try kernel.received { $0["method"] == "cancel" }["payload"] == ["id": question["id"]!])
  }

  @Test("what is typed during an answer is there when the prompt is")
  func typeAhead() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if gram["payload"]?["content"] == "wait" { client.delta(to: gram, "begun") } else { Self.echo(gram, client) }
    }
    try await onTerminal(kernel) { child in
      child.type("wait\r")
      try child.expect("begun")
      child.type("next\rlast")
      let question = try kernel.received { $0["target"] == "BRICK" }
      kernel.everyClient { $0.reply(to: question, ["content": "begun"]) }
      try child.expect("heard next")
      try child.expectScreen("line that was begun") { $0.last == "BRICK> last" }
    }
  }

  @Test("a paste of several lines is sent once, when Enter says so")
  func paste() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      child.type("\u{1B}[200~one\rtwo\r\nthree\r\u{1B}[201~")
      try child.expectScreen("paste in rows") { $0.suffix(4) == ["BRICK> one", "  two", "  three", "  "] }
      #expect(kernel.received.isEmpty)
      child.type("\r")
      try child.expect("heard")
    }
    #expect(kernel.received.count == 1)
    #expect(kernel.received.first?["payload"] == ["content": "one\ntwo\nthree", "thread": "main"])
  }

  @Test(
    "Ctrl-D ends with 0, Ctrl-C twice with 130; the terminal is as it was",
    arguments: [("\u{04}", 0), ("\u{03}\u{03}", 130)] as [(String, Int32)])
  func quitting(keys: String, status: Int32) async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      var mode = termios()
      #expect(tcgetattr(child.terminal, &mode) == 0)
      #expect(mode.c_lflag & tcflag_t(ICANON) == 0)
      // Kept open, so that the terminal can still be asked when parlor has gone.
      child.type(keys)
      try child.expect("\u{1B}[?2004l")
      #expect(tcgetattr(child.terminal, &mode) == 0)
      #expect(mode.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == tcflag_t(ICANON | ECHO | ISIG))
      #expect(try child.wait() == status)
    }
  }

  @Test("a question over which the kernel ended is not offered again: Up brings it back, and it is sent by who says so twice")
  func kernelGoes() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if client.isFirst { client.hangUp() } else { Self.echo(gram, client) }
    }
    try await onTerminal(kernel) { child in
      child.type("do not lose me\r")
      try child.expect("is gone")
      try child.expect("ended before it had answered: do not lose me")
      try child.expect("connected again: kernel 9.9")
      try child.expectScreen("an empty line") { $0.last == "BRICK> " }
      child.type("\u{1B}[A\r")
      try child.expect("Enter once more sends it all the same")
      try child.expectScreen("question on the line") { $0.last == "BRICK> do not lose me" }
      #expect(kernel.received.count == 1)
      child.type("\r")
      try child.expect("heard do not lose me")
    }
  }

  @Test("what was typed ahead when the kernel goes is a draft of its own")
  func draft() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if client.isFirst { client.delta(to: gram, "begun") } else { Self.echo(gram, client) }
    }
    try await onTerminal(kernel) { child in
      child.type("deadly\r")
      try child.expect("begun")
      child.type("my draft")
      kernel.everyClient { $0.hangUp() }
      try child.expect("connected again")
      try child.expectScreen("the draft alone on the line") { $0.last == "BRICK> my draft" }
      child.type("\r")
      try child.expect("heard my draft")
      #expect(kernel.received.map { $0["payload"]?["content"] } == ["deadly", "my draft"])
    }
  }

  @Test("a name ends at a comma or a colon, and one that nobody has leaves the prompt as it was")
  func addressing() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      child.type("@NOPE hello\r")
      try child.expect("nobody is called NOPE; here are: ROBIN, BRICK")
      try child.expect("BRICK> ")
      child.type("@robin, hello\r")
      try child.expect("heard hello")
      try child.expect("ROBIN> ")
      child.type("@BRICK: you\r")
      try child.expect("heard you")
      try child.expect("BRICK> ")
      #expect(kernel.received.map { $0["target"] } == ["ROBIN", "BRICK"])
    }
  }

  @Test("@all asks each persona, one after the other, under its name; Ctrl-C ends the round")
  func everybody() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if gram["payload"]?["content"] == "wait" { client.delta(to: gram, "begun") } else { Self.echo(gram, client) }
    }
    try await onTerminal(kernel) { child in
      child.type("@all hello\r")
      try child.expectScreen("both answers") {
        $0.suffix(5) == ["[ROBIN]", "heard hello", "[BRICK]", "heard hello", "BRICK> "]
      }
      child.type("@all wait\r")
      try child.expect("begun")
      child.type("\u{03}")
      try child.expect("(stopped)")
      try child.expect("BRICK> ")
      #expect(kernel.received.count { $0["payload"]?["content"] == "wait" } == 1)
    }
  }

  @Test("many personas that start again are one line")
  func restarts() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      kernel.everyClient { client in
        for number in 1...11 { client.receipt(["persona": .string("P\(number)"), "outcome": "unloaded", "from": 1, "total_ms": 1]) }
        for number in 1...11 { client.receipt(["persona": .string("P\(number)"), "outcome": "loaded", "to": 2, "total_ms": 1]) }
      }
      try child.expect("P10 and P11 loaded")
      #expect(!child.text.contains("retired") && child.text.components(separatedBy: "loaded").count == 2)
    }
  }

  @Test("a request to everybody is not answered, so nobody complains of the answer")
  func broadcast() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      kernel.everyClient {
        $0.send(["source": "OBSERVER", "target": "*", "method": "news", "id": 7, "payload": ["content": "to all"]])
        $0.send(["source": "OBSERVER", "target": "guest-1", "method": "news", "id": 8, "payload": ["content": "to you"]])
      }
      try child.expect("to you")
      _ = try kernel.received { $0["re"] == 8 }
      let answered = kernel.received.map { $0["re"] }
      #expect(!answered.contains(7))
    }
  }

  @Test("Ctrl-Z gives the terminal back while an answer streams, and it goes on behind that")
  func suspending() async throws {
    let kernel = try ScriptedKernel { gram, client in client.delta(to: gram, "begun ") }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expect("begun")
      // Nobody has a shell here that could go on with it: so it goes on at once.
      child.type("\u{1A}")
      try child.expect("\u{1B}[?2004l")
      try child.expect("\u{1B}[?2004h")
      var mode = termios()
      #expect(tcgetattr(child.terminal, &mode) == 0 && mode.c_lflag & tcflag_t(ICANON) == 0)
      let question = try kernel.received { $0["target"] == "BRICK" }
      kernel.everyClient { $0.reply(to: question, ["content": "begun and done"]) }
      try child.expect("and done")
      try child.expect("BRICK> ")
    }
  }

  @Test("a crash gives the terminal back", arguments: [SIGSEGV, SIGABRT, SIGILL, SIGQUIT])
  func crashing(signal: Int32) async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onThread {
      // Swift's own report of a crash would wait for a key.
      let child = try ParlorChild([], kernel: kernel.path, onTerminal: true, environment: ["SWIFT_BACKTRACE": "enable=no"])
      try child.expect("BRICK> ")
      kill(child.pid, signal)
      try child.expect("\u{1B}[?2004l")
      let status = try child.wait()
      #expect(status == -signal)
      var mode = termios()
      #expect(tcgetattr(child.terminal, &mode) == 0)
      #expect(mode.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == tcflag_t(ICANON | ECHO | ISIG))
    }
  }

  @Test("a paste whose end mark is lost ends with Ctrl-C, and can be sent")
  func lostPaste() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      child.type("\u{1B}[200~pasted text")
      child.type("\u{03}")
      try child.expectScreen("paste on the line") { $0.last == "BRICK> pasted text" }
      child.type("\r")
      try child.expect("heard pasted text")
    }
  }

  @Test("a home that is not there is not made")
  func homeless() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    let temporary = TemporaryFolder()
    try await onThread {
      let home = temporary.path + "/nonexistent"
      let child = try ParlorChild([], kernel: kernel.path, onTerminal: true, environment: ["HOME": home])
      try child.expect("BRICK> ")
      child.type("x\r")
      try child.expect("heard x")
      try child.expect("BRICK> ")
      child.type("\u{04}")
      #expect(try child.wait() == 0)
      #expect(!FileManager.default.fileExists(atPath: home) && !child.text.contains("not kept"))
    }
  }

  @Test("what was written is there for Up the next time")
  func keptLines() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    let temporary = TemporaryFolder()
    try await onThread {
      for (typed, heard) in [("remember me\r", "heard remember me"), ("\u{1B}[A\r", "heard remember me")] {
        let child = try ParlorChild([], kernel: kernel.path, onTerminal: true, environment: ["XDG_STATE_HOME": temporary.path])
        try child.expect("BRICK> ")
        child.type(typed)
        try child.expect(heard)
        try child.expect("BRICK> ")
        child.type("\u{04}")
        #expect(try child.wait() == 0)
      }
    }
  }

  @Test("what an answer cannot say in its words stands below it")
  func notes() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.reply(to: gram, ["content": "half", "cut_short": true, "tool_calls": [["tool": "BABS.observe"]]])
    }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expect("half")
      try child.expect("the answer is cut")
      try child.expect("the model called BABS.observe")
    }
  }

  @Test("words are not broken at the edge while they stream")
  func wrapping() async throws {
    let words = Array(repeating: "internationalization", count: 12).joined(separator: " ")
    let kernel = try ScriptedKernel { gram, client in
      for start in stride(from: 0, to: words.count, by: 7) { client.delta(to: gram, String(words.dropFirst(start).prefix(7))) }
      client.reply(to: gram, ["content": .string(words)])
    }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expectScreen("whole words") { screen in
        screen.last == "BRICK> " && screen.suffix(5).dropLast().allSatisfy { $0.trimmed == String(words.prefix(62)) }
      }
    }
  }

  @Test("without a terminal each line is a question, answers alone go to standard output, and the last one decides the status")
  func lines() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if gram["target"] == "NOB" { client.fail(gram, "unknown_target", "nobody is called NOB") } else { Self.echo(gram, client) }
    }
    try await onThread {
      let child = try ParlorChild([], kernel: kernel.path)
      child.type("one\n\n@robin two\n@NOB three")
      child.endInput()
      #expect(try child.wait() == 4)
      #expect(child.text == "heard one\nheard two\n")
      #expect(child.errorText.contains("nobody is called NOB"))
    }
  }

  @Test("without a terminal a question that the kernel's end cut off is told, and not asked again; the next lines go on")
  func linesAgain() async throws {
    let kernel = try ScriptedKernel { gram, client in
      if client.isFirst || gram["payload"]?["content"] == "deadly" { client.hangUp() } else { Self.echo(gram, client) }
    }
    try await onThread {
      let child = try ParlorChild([], kernel: kernel.path)
      child.type("one\ntwo\ndeadly\nfour\n")
      child.endInput()
      #expect(try child.wait() == 0)
      #expect(child.text == "heard two\nheard four\n")
      #expect(child.errorText.contains("it ended before it had answered: one"))
      #expect(child.errorText.contains("it ended before it had answered: deadly"))
      #expect(kernel.received.count == 4)
    }
  }

  @Test("without a terminal nobody waits for a kernel that has gone with the last line")
  func lastLine() async throws {
    let kernel = try ScriptedKernel { _, client in client.hangUp() }
    try await onThread {
      let child = try ParlorChild([], kernel: kernel.path)
      child.type("deadly\n")
      child.endInput()
      #expect(try child.wait() == 3)
    }
  }

  @Test("somebody who asks the person at the terminal is told that nothing answers there")
  func asked() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      kernel.everyClient {
        $0.send(["source": "OBSERVER", "target": "guest-1", "method": "talk", "id": "q1", "payload": ["content": "hey\u{07}"]])
      }
      try child.expect("hey␇")
      let answer = try kernel.received { $0["method"] == "error" }
      #expect(answer["re"] == "q1")
      #expect(answer["target"] == "OBSERVER")
    }
  }

  @Test("only what the kernel says is a receipt or an error; others only say something")
  func forgeries() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      kernel.everyClient { client in
        client.receipt(["persona": "BRICK", "outcome": "unloaded", "from": 3, "total_ms": 1], source: "MALLORY")
        client.send(["source": "MALLORY", "method": "error", "payload": ["code": "failed", "content": "all is lost"]])
      }
      try child.expect("\"outcome\":\"unloaded\"")
      try child.expect(": all is lost")
      child.type("@BR\tstill here\r")
      try child.expect("heard still here")
      #expect(!child.text.contains("is retired"))
    }
  }

  @Test("a line that no reader takes whole ends nothing")
  func oddLines() async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onTerminal(kernel) { child in
      kernel.everyClient { client in
        let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        for payload in [#"{"content":"half \ud83d"}"#, "1e400", String(repeating: "9", count: 5000), deep] {
          client.send(raw: #"{"source":"OBSERVER","target":"*","method":"news","payload":\#(payload)}"# + "\n")
        }
      }
      try child.expect(": half \u{FFFD}")
      try child.expect(": 1e400")
      child.type("still here\r")
      try child.expect("heard still here")
    }
  }

  @Test("other voices stream under their names, and steps of the work are lines of their own")
  func voices() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.reply(to: gram, ["event": ["kind": "plan", "text": "ask ROBIN"]], method: "delta")
      client.reply(to: gram, ["text": "Hope.", "speaker": "ROBIN", "event": ["kind": "part"]], method: "delta")
      client.delta(to: gram, "I agree.")
      client.reply(to: gram, ["content": "I agree."])
    }
    try await onTerminal(kernel) { child in
      child.type("x\r")
      try child.expectScreen("voices under their names") {
        $0.suffix(6) == ["plan: ask ROBIN", "[ROBIN]", "Hope.", "[BRICK]", "I agree.", "BRICK> "]
      }
    }
  }

  @Test("/reload tells each receipt once, though it comes as a reply and as a receipt")
  func reload() async throws {
    let receipt: JSON = ["persona": "BRICK", "outcome": "reloaded", "from": 1, "to": 2, "total_ms": 1]
    let kernel = try ScriptedKernel { gram, client in
      client.receipt(receipt)
      client.reply(to: gram, ["receipts": [receipt]])
    }
    try await onTerminal(kernel) { child in
      child.type("/reload\r")
      try child.expect("BRICK reloaded: generation 1 → 2")
      child.type("/quit\r")
      #expect(try child.wait() == 0)
      #expect(child.text.components(separatedBy: "reloaded").count == 2)
    }
  }

  @Test("NO_COLOR and a dumb terminal get no colours", arguments: [["NO_COLOR": "1"], ["TERM": "dumb"]])
  func colours(environment: [String: String]) async throws {
    let kernel = try ScriptedKernel(Self.echo)
    try await onThread {
      let child = try ParlorChild([], kernel: kernel.path, onTerminal: true, environment: environment)
      child.type("/foo\rx\r")
      try child.expect("heard x")
      child.type(String(repeating: "words ", count: 40) + "\r")
      try child.expect("heard words words")
      try child.expect("words")
      // A terminal that only prints lines cannot take a word back.
      #expect(environment["TERM"] == nil || !child.text.contains("\u{1B}"))
      #expect(child.text.firstMatch(of: /\u{1B}\[[0-9;]*m/) == nil)
    }
  }
}
