import Foundation
import TestSupport
import Testing

@testable import Workbench
@testable import parlor

/// The examples of docs/examples, built by their own Makefiles and run in a real kernel.
@Suite("Personas in other languages") struct ForeignPersonaTests {
  /// In CI nothing may be missing; elsewhere a machine without the compiler runs the rest.
  private static func has(_ program: String) -> Bool {
    if ProcessInfo.processInfo.environment["CI"] == "true" { return true }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") + ["/usr/bin"]
    return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
  }
  static let hasRust = has("rustc")
  static let hasPython = has("python3-config") && FileManager.default.fileExists(atPath: "/usr/bin/python3-config")

  /// A copy of an example's folder, so that it can be edited.
  private func copy(_ example: String) throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    let source = "\(TemporaryHouse.repository)/docs/examples/\(example)"
    for name in try FileManager.default.contentsOfDirectory(atPath: source) where !name.hasPrefix(".") && !name.hasSuffix(".so") {
      try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: "\(folder.path)/\(name)")
    }
    let makefile = try String(contentsOfFile: folder.path + "/Makefile", encoding: .utf8)
    let include = TemporaryHouse.repository + "/Sources/PersonaABI/include"
    try folder.write("Makefile", makefile.replacing("$(HERE)../../../Sources/PersonaABI/include", with: include))
    return folder
  }

  private func make(_ folder: TemporaryFolder, _ name: String, _ arguments: String...) async throws -> BuildProcess.Outcome {
    let step = BuildPlan.Step(words: ["make", "NAME=\(name)"] + arguments, folder: folder.path)
    return try await onThread { try BuildProcess(step).wait() }
  }

  private func edit(_ folder: TemporaryFolder, _ file: String, _ old: String, _ new: String) throws {
    let text = try String(contentsOfFile: "\(folder.path)/\(file)", encoding: .utf8)
    try #require(text.contains(old))
    try folder.write(file, text.replacing(old, with: new))
  }

  /// So many reloads by force, under a stream of questions: every one is answered.
  private func reloads(_ count: Int, of name: String, asking method: String, payload: String, _ kernel: RealKernel) async throws {
    let (asker, keeper) = (try kernel.client("ASKER"), try kernel.client("KEEPER"))
    try await onThread {
      for round in 1...count {
        try keeper.line(#"{"target":"KERNEL","method":"personas.reload","payload":{"name":"\#(name)","force":true},"id":\#(round)}"#)
        for question in 1...3 {
          let reply = try asker.ask(name, method, payload, id: round * 10 + question)
          guard reply.method == "reply" else { throw Client.Lost(description: "\(reply)") }
        }
        let receipt = try keeper.gram { $0.re == "\(round)" }
        guard receipt.line.contains(#""outcome":"reloaded""#) else { throw Client.Lost(description: "\(receipt)") }
      }
    }
  }

  @Test("Rust: it answers, streams, asks the model, keeps its state over a hundred reloads, and a panic is an error", .enabled(if: hasRust))
  func rust() async throws {
    let folder = try copy("rust")
    let built = try await make(folder, "HAROLD")
    try #require(built.status == 0, "\(built.output)")
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(server.configuration + "[persona.HAROLD]\nlibrary = \"\(folder.path)/libHAROLD.so\"\nprompt = \"Be dry\"\n")
    let client = try kernel.client("GUI")
    let remark = try client.ask("HAROLD", "remark", id: 1)
    #expect(remark["content"] == "It compiles. How unusual.", "\(remark)")
    try client.line(#"{"target":"HAROLD","method":"remark","id":2,"stream":true}"#)
    #expect(try client.gram { $0.method == "delta" }["text"]?.hasPrefix("It ") == true)
    #expect(try client.ask("HAROLD", "talk", #"{"content":"hello \"you\""}"#, id: 3)["content"] == "Be dry")
    #expect(try client.ask("HAROLD", "panic", id: 4).message == "it panicked: as he was asked to")
    #expect(try client.ask("HAROLD", "dance", id: 5).code == "unknown_method")
    try await reloads(100, of: "HAROLD", asking: "remark", payload: "null", kernel)
    #expect(try client.ask("HAROLD", "count", id: 6)["count"] == "302")
  }

  @Test(
    "Python: it answers, streams, asks the model and others, keeps state and values over reloads, and its errors are words",
    .enabled(if: hasPython))
  func python() async throws {
    let folder = try copy("python")
    let built = try await make(folder, "ORACLE")
    try #require(built.status == 0, "\(built.output)")
    let server = try ScriptedModelServer(.openai)
    let kernel = try RealKernel(
      server.configuration
        + "[persona.ORACLE]\nlibrary = \"\(folder.path)/libORACLE.so\"\nprompt = \"Riddles\"\n[persona.ROBIN]\nprompt = \"Warm\"\n")
    let client = try kernel.client("GUI")
    #expect(try client.ask("ORACLE", "count", #"{"content":"one two three"}"#, id: 1)["words"] == "3")
    try client.line(#"{"target":"ORACLE","method":"spell","payload":{"content":"a b"},"id":2,"stream":true}"#)
    #expect(try client.gram { $0.method == "delta" }["text"]?.hasPrefix("a ") == true)
    #expect(try client.ask("ORACLE", "talk", #"{"content":"who?"}"#, id: 3)["content"] == "Riddles")
    #expect(try client.ask("ORACLE", "through", #"{"colleague":"ROBIN","content":"who?"}"#, id: 4)["content"] == "Warm")
    #expect(try client.ask("ORACLE", "through", #"{"colleague":"NOBODY","content":"who?"}"#, id: 5).code == "unknown_target")
    #expect(try client.ask("ORACLE", "dance", id: 6).message == "ORACLE has no method dance")
    #expect(try client.ask("ORACLE", "count", "7", id: 7).message?.contains("AttributeError") == true)
    try await reloads(100, of: "ORACLE", asking: "count", payload: #"{"content":"x y"}"#, kernel)
    #expect(try client.ask("ORACLE", "count", #"{"content":""}"#, id: 8)["texts"] == "303", "one count fell in the middle")
    #expect(try client.ask("ORACLE", "last", id: 9)["content"] == "")
  }

  @Test("a Python script is reloaded like any library, and one with a mistake is refused with its line", .enabled(if: hasPython))
  func pythonReload() async throws {
    let folder = try copy("python")
    try #require(try await make(folder, "ORACLE").status == 0)
    let kernel = try RealKernel("[persona.ORACLE]\nlibrary = \"\(folder.path)/libORACLE.so\"\n")
    let client = try kernel.client("GUI")
    #expect(try client.ask("ORACLE", "count", #"{"content":"a"}"#, id: 1)["texts"] == "1")
    try edit(folder, "oracle.py", #""texts": texts}"#, #""texts": texts, "new": True}"#)
    try #require(try await make(folder, "ORACLE").status == 0)
    _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }
    let after = try client.ask("ORACLE", "count", #"{"content":"a"}"#, id: 2)
    #expect(after["new"] == "1" && after["texts"] == "2", "\(after)")
    // The build tells it as a compiler does …
    try edit(folder, "oracle.py", "texts = 0\n", "texts = = 0\n")
    let failed = try await make(folder, "ORACLE")
    #expect(
      failed.status != 0
        && Diagnostic.read(failed.output).first?.text(from: folder.path).hasPrefix("oracle.py:19: error: invalid syntax") == true,
      "\(failed)")
    // … and what only shows when it runs, the rehearsal.
    try edit(folder, "oracle.py", "texts = = 0\n", "texts = nothing\n")
    try #require(try await make(folder, "ORACLE").status == 0)
    let refused = try client.gram { $0.method == "receipt" && $0["outcome"] == "refused" }
    #expect(refused["reason"]?.contains("oracle.py:19: NameError: name 'nothing' is not defined") == true, "\(refused)")
    #expect(try client.ask("ORACLE", "count", #"{"content":"a"}"#, id: 3)["texts"] == "3")
  }

  @Test("two Python personas share the interpreter and not their names, and the standard library is there", .enabled(if: hasPython))
  func twoScripts() async throws {
    let folder = try copy("python")
    try folder.write(
      "delphi.py",
      """
      #: bat-persona 1
      #: name = DELPHI
      #: version = 1
      import sqlite3, ctypes, json

      async def receive(gram, kernel):
          with sqlite3.connect(":memory:") as base:
              return {"two": base.execute("select 1 + 1").fetchone()[0], "texts": "texts" in globals()}

      """)
    try #require(try await make(folder, "ORACLE").status == 0)
    let built = try await make(folder, "DELPHI", "SCRIPT=delphi.py")
    try #require(built.status == 0, "\(built.output)")
    let kernel = try RealKernel(
      "[reload]\ncall_ms = 60000\n[persona.ORACLE]\nlibrary = \"\(folder.path)/libORACLE.so\"\n[persona.DELPHI]\nlibrary = \"\(folder.path)/libDELPHI.so\"\n"
    )
    let client = try kernel.client("GUI")
    let told = try client.ask("DELPHI", "x", id: 1)
    #expect(told["two"] == "2" && told["texts"] == "0", "\(told)")
    #expect(try client.ask("ORACLE", "count", #"{"content":"a"}"#, id: 2)["texts"] == "1")
  }
}
