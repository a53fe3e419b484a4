import Client
import Foundation
import Protocol
import System
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("parlor's commands") struct ParlorCommandTests {
  struct Outcome: Sendable { let exit: Int32, out: String, errors: String }

  private func parlor(_ arguments: [String], kernel: ScriptedKernel, input: String? = nil) async throws -> Outcome {
    let path = kernel.path
    return try await onThread {
      let child = try ParlorChild(arguments, kernel: path)
      if let input { child.type(input) }
      child.endInput()
      let exit = try child.wait()
      return Outcome(exit: exit, out: child.text, errors: child.errorText)
    }
  }

  /// A kernel whose personas say back what they hear.
  private func echo() throws -> ScriptedKernel {
    try ScriptedKernel { gram, client in
      let heard = gram["payload"]?["content"]?.string ?? ""
      if gram["stream"] == true { client.delta(to: gram, "heard ") }
      client.reply(to: gram, ["persona": gram["target"]!, "content": .string("heard \(heard)")])
    }
  }

  @Test("ask into a pipe prints the answer whole, once, and nothing else")
  func askIntoPipe() async throws {
    let outcome = try await parlor(["ask", "what", "is", "it?"], kernel: echo())
    #expect(outcome.out == "heard what is it?\n")
    #expect(outcome.errors == "")
    #expect(outcome.exit == 0)
  }

  @Test("ask on a terminal streams, prints nothing twice, and lets no escape sequence through")
  func askOnTerminal() async throws {
    let kernel = try ScriptedKernel { gram, client in
      #expect(gram["stream"] == true)
      client.delta(to: gram, "one \u{1B}[2J")
      client.delta(to: gram, "two")
      client.reply(to: gram, ["content": "one \u{1B}[2Jtwo three"])
    }
    let path = kernel.path
    try await onThread {
      let child = try ParlorChild(["ask", "x"], kernel: path, onTerminal: true)
      #expect(try child.wait() == 0)
      #expect(child.text == "one ␛[2Jtwo three\r\n")
    }
    withExtendedLifetime(kernel) {}
  }

  @Test("BRICK is asked as an architect and by default; the others are talked to, whatever the case of their name")
  func methods() async throws {
    let kernel = try echo()
    _ = try await parlor(["ask", "a"], kernel: kernel)
    _ = try await parlor(["ask", "-p", "robin", "--thread", "t1", "--deadline", "1.5", "--", "-b"], kernel: kernel)
    let first = try kernel.received { $0["target"] == "BRICK" }
    #expect(first["method"] == "process_architect_query")
    #expect(first["payload"]?["content"] == "a" && first["payload"]?["thread"]?.string?.hasPrefix("ask:") == true)
    let second = try kernel.received { $0["target"] == "ROBIN" }
    #expect(second["method"] == "talk")
    #expect(second["payload"] == ["content": "-b", "thread": "t1"])
    #expect(second["deadline_ms"] == 1500)
  }

  @Test("a question comes from standard input, newlines inside and all")
  func standardInput() async throws {
    let outcome = try await parlor(["ask", "-"], kernel: echo(), input: "two\nlines\n")
    #expect(outcome.out == "heard two\nlines\n")
  }

  @Test("--json prints the reply's payload in one line")
  func json() async throws {
    let outcome = try await parlor(["ask", "--json", "a\nb"], kernel: echo())
    #expect(outcome.out == #"{"content":"heard a\nb","persona":"BRICK"}"# + "\n")
  }

  @Test(
    "an error's code decides the exit status, and its message goes to standard error",
    arguments: [
      ("unknown_target", 4), ("deadline", 5), ("llm_unreachable", 7), ("llm_garbled", 7), ("llm_too_long", 7), ("failed", 1),
      ("hop_limit", 1), ("retired", 1),
    ] as [(String, Int32)])
  func exitStatus(code: String, status: Int32) async throws {
    let outcome = try await parlor(["ask", "x"], kernel: ScriptedKernel { gram, client in client.fail(gram, code, "what to do") })
    #expect(outcome.exit == status)
    #expect(outcome.out == "")
    #expect(outcome.errors.hasPrefix("parlor: what to do (\(code))"))
  }

  @Test("without a kernel the status is 3, and the message says how to start one")
  func noKernel() async throws {
    let outcome = try await onThread {
      let child = try ParlorChild(["--socket", "/nonexistent/kernel.sock", "personas"], kernel: "/unused")
      return Outcome(exit: try child.wait(), out: child.text, errors: child.errorText)
    }
    #expect(outcome.exit == 3)
    #expect(outcome.errors.contains("/nonexistent/kernel.sock"))
    #expect(outcome.errors.contains("./bat up"))
  }

  @Test("a kernel that dies before it has answered is status 3")
  func kernelDies() async throws {
    let outcome = try await parlor(["ask", "x"], kernel: ScriptedKernel { _, client in client.hangUp() })
    #expect(outcome.exit == 3)
  }

  @Test("something that listens and says nothing is told from a kernel")
  func silence() async throws {
    let kernel = try ScriptedKernel(welcome: nil)
    let path = kernel.path
    let thrown = await #expect(throws: ClientError.self) {
      try await onThread { _ = try KernelConnection(path: path, name: nil, within: .milliseconds(20)) }
    }
    let error = try CLIError(#require(thrown))
    #expect(error.exit == .noKernel)
    #expect(error.message.contains("does not answer"))
    withExtendedLifetime(kernel) {}
  }

  @Test("a refused name is told with the kernel's reason")
  func refusedName() async throws {
    let outcome = try await parlor(["--name", "GUI", "ping"], kernel: ScriptedKernel(welcome: nil, refusal: "GUI is taken"))
    #expect(outcome.exit == 1)
    #expect(outcome.errors == "parlor: GUI is taken (name_refused)\n")
  }

  @Test(
    "what is not understood is status 2, and standard output stays empty",
    arguments: [
      ["foo"], ["ask", "--bogus"], ["ask", "--deadline"], ["ask", "--deadline", "soon", "x"], ["load"], ["load", "A", "B"], ["reload"],
      ["reload", "--all", "X"], ["send", "X"], ["send", "X", "m", "{"], ["personas", "--json=1"], ["ask", "  "],
      ["--name", "*", "ping"], ["--name", "KERNEL ", "ping"], ["--name", "a\u{9B}b", "ping"], ["--name", "\u{200B}", "ping"],
      ["ask", "--no-history", "--thread", "t", "x"], ["history", "--asks", "ROBIN", "main"],
    ])
  func usage(arguments: [String]) async throws {
    let outcome = try await parlor(arguments, kernel: echo())
    #expect(outcome.exit == 2)
    #expect(outcome.out == "")
    #expect(outcome.errors.hasPrefix("parlor: "))
  }

  @Test("every command has a help, which names every option that it takes", arguments: [Commands.conversation] + Commands.all)
  func help(command: any Command) async throws {
    let words = command.name.isEmpty ? ["--help"] : [command.name, "--help"]
    let outcome = try await onThread {
      let child = try ParlorChild(words, kernel: "/nonexistent")
      return Outcome(exit: try child.wait(), out: child.text, errors: child.errorText)
    }
    #expect(outcome.exit == 0)
    for option in command.flags.union(command.values).union(["--socket", "--name", "--help"]) { #expect(outcome.out.contains(option)) }
  }

  @Test("Ctrl-C during ask cancels in the kernel and is status 130")
  func interrupted() async throws {
    let kernel = try ScriptedKernel()
    let path = kernel.path
    try await onThread {
      let child = try ParlorChild(["ask", "x"], kernel: path)
      let question = try kernel.received { $0["target"] == "BRICK" }
      kill(child.pid, SIGINT)
      #expect(try child.wait() == 130)
      let cancel = try kernel.received { $0["method"] == "cancel" }
      #expect(cancel["payload"]?["id"] == question["id"])
      #expect(child.text == "")
    }
  }

  @Test("a reader of the output who leaves early is no error")
  func closedOutput() async throws {
    let kernel = try ScriptedKernel()
    let path = kernel.path
    try await onThread {
      let child = try ParlorChild(["tap"], kernel: path)
      _ = try kernel.received { $0["method"] == "tap" }
      shutdown(child.terminal, Int32(SHUT_RDWR))
      kernel.everyClient { $0.send(["source": "KERNEL", "method": "tap", "payload": ["gram": ["source": "A", "target": "B"]]]) }
      #expect(try child.wait() == 0)
      #expect(child.errorText == "")
    }
  }

  @Test("a reload says each receipt; a refused one goes to standard error and is status 1")
  func reload() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.reply(
        to: gram,
        [
          "receipts": [
            ["persona": "BRICK", "outcome": "reloaded", "from": 3, "to": 4, "pause_us": 310, "held": 2, "total_ms": 1],
            ["persona": "ROBIN", "outcome": "refused", "from": 1, "reason": "ABI 2.0 is not 1.x", "total_ms": 1],
          ]
        ])
    }
    let outcome = try await parlor(["reload", "brick", "ROBIN", "--force"], kernel: kernel)
    #expect(outcome.out == "BRICK reloaded: generation 3 → 4, 0.3 ms pause, 2 messages held\n")
    #expect(outcome.errors == "parlor: ROBIN not changed: ABI 2.0 is not 1.x; generation 1 goes on\n")
    #expect(outcome.exit == 1)
    #expect(kernel.received.first?["payload"] == ["names": ["BRICK", "ROBIN"], "force": true])
  }

  @Test("reload --all reloads those that run")
  func reloadAll() async throws {
    let kernel = try ScriptedKernel { gram, client in
      let all: [Personas.Status] = [
        .init(name: "BRICK", library: "BRICK", state: .running), .init(name: "BABS", library: "BABS", state: .unloaded),
        .init(name: "ROBIN", library: "ROBIN", state: .failed),
      ]
      let list = PayloadCoding.bytes(of: Personas.List.Reply(personas: all))
      client.reply(to: gram, gram["method"] == "personas.list" ? Payload(list).json : ["receipts": []])
    }
    #expect(try await parlor(["reload", "--all"], kernel: kernel).exit == 0)
    #expect(try kernel.received { $0["method"] == "personas.reload" }["payload"] == ["names": ["BRICK", "ROBIN"]])
  }

  @Test(
    "a persona that cannot be found is status 4, and the message says who is there", arguments: ["load", "unload", "rollback", "reload"])
  func unknownPersona(verb: String) async throws {
    let outcome = try await parlor([verb, "NOB"], kernel: ScriptedKernel { gram, client in client.fail(gram, "not_found") })
    #expect(outcome.exit == 4)
    #expect(outcome.errors.contains("here are: ROBIN, BRICK"))
  }

  @Test("send passes any JSON on, and prints what is answered")
  func send() async throws {
    let kernel = try ScriptedKernel { gram, client in client.reply(to: gram, ["got": gram["payload"]!]) }
    let outcome = try await parlor(["send", "#weather", "rain", #"{"mm":[1,2.5,null,true]}"#], kernel: kernel)
    #expect(outcome.out == #"{"got":{"mm":[1,2.5,null,true]}}"# + "\n")
    #expect(kernel.received.first?["target"] == "#weather")
  }

  @Test("tap prints one line for each message, and says what it missed")
  func tap() async throws {
    let kernel = try ScriptedKernel { gram, client in
      let said: JSON = ["source": "GUI", "target": "BRICK", "method": "talk", "payload": ["content": "hello\n\u{1B}[31mthere"]]
      client.send(["source": "KERNEL", "method": "tap", "payload": ["gram": said]])
      client.send(["source": "KERNEL", "method": "tap", "payload": ["missed": 12]])
      client.hangUp()
    }
    let outcome = try await parlor(["tap"], kernel: kernel)
    #expect(outcome.out.wholeMatch(of: /\d\d:\d\d:\d\d\.\d\d\d GUI → BRICK talk \d+ hello ␛\[31mthere\n/) != nil)
    #expect(outcome.errors.contains("12 messages are not shown"))
  }

  @Test("a line that is not JSON is told as such")
  func notAKernel() async throws {
    let outcome = try await parlor(["ping"], kernel: ScriptedKernel { _, client in client.send(raw: "HTTP/1.1 400\r\n") })
    #expect(outcome.exit == 1)
    #expect(outcome.errors.contains("not JSON"))
  }

  @Test("send --list tells the methods of the kernel, and needs none")
  func methodList() async throws {
    let outcome = try await onThread {
      let child = try ParlorChild(["send", "--list"], kernel: "/nonexistent")
      return Outcome(exit: try child.wait(), out: child.text, errors: child.errorText)
    }
    #expect(outcome.exit == 0)
    let lines = outcome.out.split(separator: "\n")
    #expect(lines.map { $0.prefix { $0 != " " } } == KernelMethods.descriptions.map { Substring($0.name) })
    #expect(lines.contains { $0.hasPrefix("ping ") && $0.hasSuffix("  is the kernel there?") })
    let json = try await onThread {
      let child = try ParlorChild(["send", "--list", "--json"], kernel: "/nonexistent")
      _ = try child.wait()
      return try JSON(parsing: child.text.utf8)
    }
    #expect(json["methods"]?.array?.count == KernelMethods.all.count)
  }

  @Test("what the kernel would not take is not sent, and told at once")
  func refusedBeforeSending() async throws {
    let kernel = try echo()
    let long = try await parlor(["ask", "-"], kernel: kernel, input: String(repeating: "a", count: 100_001))
    #expect(long.exit == 1 && long.errors.contains("the kernel takes 100000 at the most"), "\(long.errors)")
    let lists = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    let deep = try await parlor(["send", "ROBIN", "m", lists], kernel: kernel)
    #expect(deep.exit == 1 && deep.errors.contains("more than 63 arrays and objects"), "\(deep.errors)")
    #expect(kernel.received.isEmpty)
  }

  @Test("an error of the kernel that names no request ends the one that is open")
  func errorWithoutRequest() async throws {
    let kernel = try ScriptedKernel { _, client in
      client.send(["source": "MALLORY", "method": "error", "payload": ["code": "deadline", "message": "not mine to say"]])
      client.send(["source": "KERNEL", "method": "error", "payload": ["code": "too_long", "message": "a line was left out"]])
    }
    let outcome = try await parlor(["ask", "x"], kernel: kernel)
    #expect(outcome.exit == 1 && outcome.errors == "parlor: a line was left out (too_long)\n")
  }

  /// Runs parlor by a shell, which can close descriptors; what does not end is ended after a minute, with status 124.
  private func shell(_ command: String, kernel: ScriptedKernel) async throws -> Outcome {
    let path = kernel.path
    return try await onThread {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
      process.arguments = ["60", "/bin/sh", "-c", command]
      process.environment = ["PATH": "/usr/bin:/bin", "BAT_SOCKET": path, "parlor": ParlorChild.binary]
      let (out, errors) = (Pipe(), Pipe())
      (process.standardOutput, process.standardError, process.standardInput) = (out, errors, FileHandle.nullDevice)
      try process.run()
      let text = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      return Outcome(exit: process.terminationStatus, out: text, errors: said)
    }
  }

  @Test(
    "a descriptor that is closed is as good as /dev/null",
    arguments: [
      ("\"$parlor\" <&-", 0, ""), ("\"$parlor\" ask -p BRICK - <&-", 2, ""), ("\"$parlor\" ask x >&-", 0, ""),
      ("\"$parlor\" ask x 2>&-", 0, "heard x\n"), ("\"$parlor\" ask x <&- 2>&-", 0, "heard x\n"), ("\"$parlor\" ping <&- >&- 2>&-", 0, ""),
    ] as [(String, Int32, String)])
  func closed(command: String, exit: Int32, out: String) async throws {
    let outcome = try await shell(command, kernel: echo())
    #expect(outcome.exit == exit && outcome.out == out, "\(outcome)")
  }

  @Test("a reader of the diagnostics who has left takes nothing from the answer")
  func closedDiagnostics() async throws {
    let kernel = try ScriptedKernel { gram, client in client.reply(to: gram, ["content": "half", "cut_short": true]) }
    let outcome = try await shell("\"$parlor\" ask x 2>&1 >/dev/null | true; \"$parlor\" ask x 2>/dev/full", kernel: kernel)
    #expect(outcome.exit == 0 && outcome.out == "half\n")
  }

  @Test("a full disk is told")
  func fullDisk() async throws {
    let outcome = try await shell("\"$parlor\" ask x >/dev/full", kernel: echo())
    #expect(outcome.exit == 1 && outcome.errors.contains("cannot write the output: No space left"))
  }

  @Test("input without an end is not read to its end")
  func endless() async throws {
    let outcome = try await shell("\"$parlor\" ask - </dev/zero; \"$parlor\" send X m - </dev/zero", kernel: echo())
    #expect(outcome.exit == 1 && outcome.errors.components(separatedBy: "the kernel takes 100000 at the most").count == 3)
    let replay = try await shell("\"$parlor\" replay /dev/zero", kernel: echo())
    #expect(replay.exit == 1 && replay.errors.contains("a device"))
  }

  @Test("Ctrl-C ends a command whose output nobody reads")
  func unreadOutput() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.reply(to: gram, ["content": .string(String(repeating: "x", count: 8 << 20))])
    }
    let path = kernel.path
    try await onThread {
      let child = try ParlorChild(["ask", "x"], kernel: path)
      // It has begun to write, and does not come to an end.
      while !waitForInput([child.terminal], for: .seconds(20)).contains(child.terminal) {}
      kill(child.pid, SIGINT)
      var status: Int32 = 0
      let end = ContinuousClock.now + .seconds(30)
      while waitpid(child.pid, &status, WNOHANG) == 0, .now < end { _ = waitForInput([], for: .milliseconds(10)) }
      #expect((status >> 8) & 0xFF == 130)
    }
  }

  @Test("what a person must know of an answer stands on standard error, also when it goes into a pipe; --json has all of it")
  func notes() async throws {
    let reply: JSON = [
      "content": "yes", "fallback_from": "main", "provider": "spare", "model": "m", "cut_short": true,
      "tool_calls": [["tool": "BABS.observe", "ms": 3]],
      "citations": [["collection": "USER/library", "id": "1", "source": "/home/me/notes.md", "place": "lines 3–9"]],
    ]
    let kernel = try ScriptedKernel { gram, client in client.reply(to: gram, reply) }
    let outcome = try await parlor(["ask", "x"], kernel: kernel)
    #expect(outcome.exit == 0 && outcome.out == "yes\n")
    #expect(
      outcome.errors == """
        parlor: answered by spare (m), because main could not
        parlor: the answer is cut: the model had no tokens left for it; max_tokens in personas.toml gives it more
        parlor: the model called BABS.observe
        [1] /home/me/notes.md, lines 3–9

        """)
    let json = try await parlor(["ask", "--json", "x"], kernel: kernel)
    #expect(json.errors == "" && json.out == reply.text + "\n")
  }

  @Test("--no-history asks that nothing is kept")
  func noHistory() async throws {
    let kernel = try echo()
    _ = try await parlor(["ask", "--no-history", "x"], kernel: kernel)
    let payload = try kernel.received { $0["target"] == "BRICK" }["payload"]
    #expect(payload?["remember"] == false)
    // Who does not know of it keeps it under a name that goes after a while.
    #expect(payload?["thread"]?.string?.hasPrefix("ask:") == true)
  }

  @Test("single questions are listed apart")
  func asks() throws {
    func thread(_ name: String) -> History.Thread {
      .init(persona: "ROBIN", thread: name, turns: 1, bytes: 1, summarised_turns: 0, left_out_turns: 0, began_ms: 0, used_ms: 0)
    }
    let threads = [thread("main"), thread("ask:20260101-1"), thread("ask:20260101-2")]
    let style = Style(for: .answer)
    let table = HistoryText.table(threads, style: style)
    #expect(
      table.contains("main") && !table.contains("ask:2026") && table.hasSuffix("2 single questions of `parlor ask`; --asks lists them\n"))
    let asks = HistoryText.table(threads, asks: true, style: style)
    #expect(!asks.contains("main") && asks.contains("ask:20260101-1") && asks.contains("ask:20260101-2"))
    #expect(HistoryText.table([], style: style) == "no conversations\n")
  }

  @Test("the person's name comes from --name, parlor.toml or the user; only the first is taken to the letter")
  func names() async throws {
    let temporary = TemporaryFolder()
    try temporary.write("bat/parlor.toml", "name = \"Kyle\"\n")
    try temporary.write("wrong/bat/parlor.toml", "nmae = \"Kyle\"\n")
    let kernel = try echo()
    let path = kernel.path
    func run(_ words: [String], _ environment: [String: String]) async throws -> String {
      try await onThread {
        let child = try ParlorChild(words, kernel: path, environment: environment)
        child.endInput()
        #expect(try child.wait() == 0)
        return child.errorText
      }
    }
    _ = try await run(["ping"], ["USER": "Selina"])
    _ = try await run([], ["USER": "CORP\\Selina"])
    _ = try await run(["ping"], ["USER": "Selina", "XDG_CONFIG_HOME": temporary.path])
    let told = try await run(["ping"], ["USER": "Selina", "XDG_CONFIG_HOME": temporary.path + "/wrong"])
    #expect(told == "parlor: \(temporary.path)/wrong/bat/parlor.toml:1: the only line here is name = \"NAME\"\n")
    _ = try await run(["--name", "Cat", "ping"], ["USER": "Selina"])
    #expect(
      kernel.hellos == [
        ["hello": 1, "name": "Selina-ping", "distinct": true], ["hello": 1, "name": "CORP-Selina", "distinct": true],
        ["hello": 1, "name": "Kyle-ping", "distinct": true], ["hello": 1, "name": "Selina-ping", "distinct": true],
        ["hello": 1, "name": "Cat"],
      ])
  }

  /// A terminal gets nothing that steers it, and JSON that is the same; a pipe gets every byte.
  @Test(
    "whatever others have said, a terminal is not steered by it",
    arguments: [
      ["ask", "x"], ["ask", "--json", "x"], ["send", "BRICK", "m"], ["history", "BRICK", "main", "--export", "md"],
      ["history", "BRICK", "main", "--export", "json"], ["history", "BRICK", "main"], ["history", "BRICK", "main", "--json"], ["history"],
      ["memory", "export", "c"], ["memory", "query", "c", "x"], ["memory", "open", "c", "1"], ["capture", "BRICK"],
      ["capture", "BRICK", "--list"], ["personas"], ["personas", "--json"], ["show", "BRICK"], ["models"], ["tap"], ["tap", "--json"],
      ["reload", "BRICK"],
    ])
  func hostile(words: [String]) async throws {
    let evil = "\u{1B}[31m\u{07}\u{7F}\u{85}\u{9B}2J\u{200E}\u{202E}\u{2066}\u{2028}\u{2029}\u{FFF9}x"
    let kernel = try ScriptedKernel { gram, client in Self.speak(evil, to: gram, client) }
    let path = kernel.path
    let (terminal, pipe) = try await onThread {
      let child = try ParlorChild(words, kernel: path, onTerminal: true, environment: ["NO_COLOR": "1"])
      _ = try child.wait()
      let piped = try ParlorChild(words, kernel: path)
      piped.endInput()
      _ = try piped.wait()
      return (child.text, piped.text)
    }
    let steering = terminal.unicodeScalars.filter { $0.steersDisplay && !"\r\n\t".unicodeScalars.contains($0) }
    #expect(steering.isEmpty && terminal.contains("x"), "\(terminal.debugDescription)")
    if words.contains("--json") || words.first == "send" || words.contains("export") || words.contains("json") {
      for line in terminal.split(whereSeparator: \.isNewline) where !line.hasPrefix("parlor: ") {
        #expect(throws: Never.self) { try JSON(parsing: line.utf8) }
      }
      #expect(pipe.contains("\u{7F}\u{85}\u{9B}2J"), "\(pipe.debugDescription)")
    }
  }

  /// Replies with the text wherever others' words may stand.
  @Sendable private static func speak(_ evil: String, to gram: JSON, _ client: ScriptedKernel.Client) {
    let text = JSON.string(evil)
    let status: JSON = [
      "name": text, "summary": text, "library": text, "state": "failed", "reason": text, "kept": 1, "generations": [], "draining": 0,
      "received": 1,
      "failed": 1, "queued": 0, "busy_ms": 0,
    ]
    let thread: [String: JSON] = [
      "persona": text, "thread": text, "turns": 1, "bytes": 1, "summarised_turns": 1, "left_out_turns": 0, "began_ms": 0, "used_ms": 0,
    ]
    let turn: JSON = ["number": 1, "at_ms": 0, "model": text, "messages": [["role": text, "content": text]]]
    let document: JSON = ["id": text, "text": text, "source": text, "place": text, "persona": text, "metadata": [:], "added": 0]
    let said: JSON = ["source": text, "target": text, "method": text, "payload": ["content": text]]
    switch gram["method"]?.string {
    case "history.list": client.reply(to: gram, ["threads": [.object(thread)]])
    case "history.get":
      client.reply(to: gram, .object(thread.merging(["total_turns": 1, "summary": text, "turns": [turn]]) { $1 }))
    case "history.export":
      let isJSON = gram["payload"]?["format"] == "json"
      let whole = isJSON ? JSON.object(["a": text]).text + "\n" : evil
      client.reply(to: gram, ["persona": text, "thread": text, "format": .string(isJSON ? "json" : "markdown"), "text": .string(whole)])
    case "memory.export": client.reply(to: gram, ["lines": .string(JSON.object(["text": text]).text + "\n"), "next": .null])
    case "memory.query":
      let passage = (document.object ?? [:]).merging(["score": 1, "collection": text]) { $1 }
      client.reply(to: gram, ["passages": [.object(passage)], "note": text])
    case "memory.get": client.reply(to: gram, ["documents": [document]])
    case "recordings.get": client.reply(to: gram, ["persona": text, "messages": [said]])
    case "recordings.list":
      let entry: JSON = [
        "token": 1, "source": text, "method": text, "text": text, "steps": 0, "bytes": 1, "generation": 1, "ms": 1, "end": text,
        "error": text,
      ]
      client.reply(to: gram, ["persona": text, "messages": [entry]])
    case "personas.list": client.reply(to: gram, ["personas": [status]])
    case "personas.show":
      client.reply(to: gram, ["persona": status, "generations": [], "values": ["count": 0, "bytes": 0], "saved": []])
    case "personas.reload":
      client.reply(to: gram, ["receipts": [["persona": text, "outcome": "reloaded", "from": 1, "to": 2, "total_ms": 1]]])
    case "models.list":
      client.reply(to: gram, ["providers": [["name": text, "provider": text, "url": text, "model": text, "models": [text]]]])
    case "tap":
      client.send(["source": "KERNEL", "method": "tap", "payload": ["gram": said]])
      client.hangUp()
    default:
      client.delta(to: gram, evil)
      client.reply(to: gram, ["content": text, "citations": [["collection": text, "id": text, "source": text]]])
    }
  }

  @Test("--json prints what no reader takes as it came")
  func jsonAsItCame() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.send(raw: #"{"source":"BRICK","re":\#(gram["id"]!.text),"method":"reply","payload":{"content":"\ud83d","n":1e400}}"# + "\n")
    }
    #expect(try await parlor(["ask", "--json", "x"], kernel: kernel).out == #"{"content":"\ud83d","n":1e400}"# + "\n")
    #expect(try await parlor(["ask", "x"], kernel: kernel).out == "\u{FFFD}\n")
  }
}
