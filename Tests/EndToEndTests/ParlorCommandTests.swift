import Client
import Foundation
import Protocol
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
    #expect(first["payload"] == ["content": "a"])
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
    let outcome = try await parlor(["--name", "*", "ping"], kernel: ScriptedKernel(welcome: nil, refusal: "a name may not be *"))
    #expect(outcome.exit == 1)
    #expect(outcome.errors == "parlor: a name may not be * (name_refused)\n")
  }

  @Test(
    "what is not understood is status 2, and standard output stays empty",
    arguments: [
      ["foo"], ["ask", "--bogus"], ["ask", "--deadline"], ["ask", "--deadline", "soon", "x"], ["load"], ["load", "A", "B"], ["reload"],
      ["reload", "--all", "X"], ["send", "X"], ["send", "X", "m", "{"], ["personas", "--json=1"], ["ask", "  "],
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

  @Test("--json prints what no reader takes as it came")
  func jsonAsItCame() async throws {
    let kernel = try ScriptedKernel { gram, client in
      client.send(raw: #"{"source":"BRICK","re":\#(gram["id"]!.text),"method":"reply","payload":{"content":"\ud83d","n":1e400}}"# + "\n")
    }
    #expect(try await parlor(["ask", "--json", "x"], kernel: kernel).out == #"{"content":"\ud83d","n":1e400}"# + "\n")
    #expect(try await parlor(["ask", "x"], kernel: kernel).out == "\u{FFFD}\n")
  }
}
