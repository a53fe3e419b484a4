import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("parlor capture, replay and shadow") struct ParlorReplayTests {
  private func parlor(_ arguments: [String], kernel: String = "/nowhere") async throws -> (exit: Int32, out: String, errors: String) {
    try await onThread {
      let child = try ParlorChild(arguments, kernel: kernel)
      child.endInput()
      let exit = try child.wait()
      return (exit, child.text, child.errorText)
    }
  }

  private let words =
    #"{"bat-recording":1,"persona":"WORDS","messages":[{"gram":{"source":"G","method":"x","payload":PAYLOAD},"reply":REPLY}]}"#
  private func recording(_ folder: TemporaryFolder, _ payload: String, _ reply: String) throws -> String {
    try folder.write("r.json", words.replacing("PAYLOAD", with: payload).replacing("REPLY", with: reply))
  }

  @Test("a recording that is written by hand is a test: 0 when the reply is the same, 1 and both replies when not")
  func byHand() async throws {
    let folder = TemporaryFolder()
    let library = try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS"])
    let file = try recording(folder, "null", #"{"content":"yes"}"#)
    let same = try await parlor(["replay", file, "--library", library])
    #expect(same.exit == 0 && same.out == "1. G x : same\nWORDS: 1 of 1 message the same\n" && same.errors == "", "\(same)")
    _ = try recording(folder, "null", #"{"content":"perhaps"}"#)
    let other = try await parlor(["replay", file, "--library", library])
    #expect(other.exit == 1 && other.out.contains("1. G x : differs\n   then: perhaps\n   now:  yes\n"), "\(other)")
    let json = try await parlor(["replay", file, "--library", library, "--json"])
    #expect(try JSON(parsing: json.out.utf8)["same"] == false && json.exit == 1)
  }

  @Test("a message that crashes the persona says so with the signal, and parlor lives to tell it")
  func crash() async throws {
    let folder = TemporaryFolder()
    let library = try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS"])
    let told = try await parlor(["replay", try recording(folder, "\"boom\"", "null"), "--library", library])
    #expect(told.exit == 1 && told.out.contains("broke") && told.out.contains("it crashed: Aborted (signal 6)"), "\(told)")
  }

  @Test("a replay waits for a debugger at the persona's process, and for Enter")
  func debugger() async throws {
    let folder = TemporaryFolder()
    let library = try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS"])
    let file = try recording(folder, "null", #"{"content":"yes"}"#)
    try await onThread {
      let child = try ParlorChild(
        ["replay", file, "--library", library, "--persona", "OTHER", "--wait"], kernel: "/nowhere", onTerminal: true)
      try child.expect("is loaded in process ")
      try child.expect("press Enter here")
      let digits = child.text.split(separator: "gdb -p ").last?.prefix { $0.isNumber } ?? ""
      #expect(String(decoding: try readBytes("/proc/\(digits)/maps"), as: UTF8.self).contains(library))
      child.type("\n")
      #expect(try child.wait() == 0)
      #expect(child.text.contains("OTHER: 1 of 1 message the same"))
    }
  }

  @Test("after a persona's error the tap shows the command that keeps the message")
  func tapped() {
    func line(_ source: String) -> String {
      let gram: JSON = ["source": .string(source), "target": "GUI", "method": "error", "payload": ["message": "no"]]
      return TapLine.text(gram, at: .init(), personas: ["ROBIN"], style: Style(for: .answer))
    }
    #expect(line("ROBIN").hasSuffix("no (parlor capture ROBIN --failed)") && line("KERNEL").hasSuffix(" no"))
  }

  @Test("what cannot be replayed says what is in the way")
  func refusals() async throws {
    let folder = TemporaryFolder()
    let file = try recording(folder, "null", "null")
    #expect(try await parlor(["replay", file]).errors.contains("names no library"))
    #expect(try await parlor(["replay", file, "--library", "/no.so"]).errors.contains("/no.so: there is no such library"))
    #expect(try await parlor(["replay", file, "--library", "/etc/passwd"]).errors.contains("no shared library"))
    #expect(try await parlor(["replay", folder.path + "/none"]).errors.contains("cannot be opened"))
    #expect(try await parlor(["replay", try folder.write("x", "{")]).errors.contains("no JSON at byte 1"))
    #expect(try await parlor(["replay", try folder.write("x", "{}")]).errors.contains("this is no recording"))
  }

  @Test("the last failed message is captured with one command, and played again with no kernel and a recorded model")
  func captured() async throws {
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(server.configuration + "[persona.ROBIN]\nprompt = \"p\"\n")
    let folder = TemporaryFolder()
    let client = try kernel.client("GUI")
    #expect(try client.ask("ROBIN", "talk", #"{"content":"hello"}"#, id: 1).method == "reply")
    #expect(try client.ask("ROBIN", "dance", "null", id: 2).code == "unknown_method")
    let talk = folder.path + "/talk.json"
    let all = try await parlor(["capture", "robin", "--last", "2", "--output", talk], kernel: kernel.socket)
    #expect(all.exit == 0 && all.out.hasPrefix("kept 2 messages of ROBIN in \(talk); "), "\(all)")
    let failed = try await parlor(["capture", "ROBIN", "--failed"], kernel: kernel.socket)
    #expect(try JSON(parsing: failed.out.utf8)["messages"]?.array?.map { $0["gram"]?["method"] } == ["dance"], "\(failed)")
    let list = try await parlor(["capture", "ROBIN", "--list"], kernel: kernel.socket)
    let rows = list.out.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
    #expect(
      rows.count == 3 && rows[1][1...2] == ["GUI", "talk"] && rows[1].last == "hello" && rows[2].contains("unknown_method"), "\(list)")
    let one = try await parlor(["capture", "ROBIN", "--token", rows[1][0]], kernel: kernel.socket)
    #expect(try JSON(parsing: one.out.utf8)["messages"]?.array?.map { $0["gram"]?["method"] } == ["talk"], "\(one)")
    #expect(try await parlor(["capture", "ROBIN", "--token", "4711"], kernel: kernel.socket).exit == 4)
    kill(kernel.process.processIdentifier, SIGKILL)
    let replayed = try await parlor(["replay", talk])
    #expect(replayed.exit == 0 && replayed.out.hasSuffix("ROBIN: 2 of 2 messages the same\n"), "\(replayed)")
  }

  @Test("a shadow shows what would change, in words; promoted, it lives; and until then nobody sees it")
  func shadow() async throws {
    let kernel = try RealKernel("[persona.WORDS]\n", start: false)
    try Fixtures.install("crashes_on_word", as: "WORDS", in: kernel.folder, defines: ["NAME": "WORDS"])
    try kernel.start()
    let client = try kernel.client("GUI")
    for id in 1...3 { _ = try client.ask("WORDS", "x", "\"\(id)\"", id: id) }
    let new = try Fixtures.build("crashes_on_word", defines: ["NAME": "WORDS", "VERSION": "2", "ANSWER": "no"])
    let shown = try await parlor(["reload", "words", "--shadow", "2", "--library", new], kernel: kernel.socket)
    #expect(shown.exit == 1 && shown.out.contains("1. GUI x 2: differs\n   then: yes\n   now:  no\n"), "\(shown)")
    #expect(shown.out.contains("version 2: 0 of 2 messages the same\n`parlor reload WORDS --promote` switches to it"))
    #expect(try client.ask("WORDS", "x", "null", id: 4)["content"] == "yes")
    let promoted = try await parlor(["reload", "WORDS", "--promote"], kernel: kernel.socket)
    #expect(promoted.exit == 0 && promoted.out.hasPrefix("WORDS reloaded: generation 1 → 2"), "\(promoted)")
    #expect(try client.ask("WORDS", "x", "null", id: 5)["content"] == "no")
    let none = try await parlor(["reload", "WORDS", "--drop"], kernel: kernel.socket)
    #expect(none.exit == 4 && none.errors.contains("WORDS has no shadow"), "\(none)")
  }
}
