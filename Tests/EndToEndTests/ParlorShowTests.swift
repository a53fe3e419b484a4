import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("parlor show") struct ParlorShowTests {
  private func parlor(_ arguments: [String], kernel: String = "/nowhere") async throws -> (exit: Int32, out: String, errors: String) {
    try await onThread {
      let child = try ParlorChild(arguments, kernel: kernel)
      child.endInput()
      let exit = try child.wait()
      return (exit, child.text, child.errorText)
    }
  }

  @Test("a library's file tells who it is and what it can be asked, with no kernel, also when opening it would crash")
  func file() async throws {
    let shown = try await parlor(["show", Products.folder + "/libBRICK.so"])
    #expect(shown.exit == 0 && shown.out.hasPrefix("BRICK 1.0 · The logical architect"))
    #expect(shown.out.contains("takes {content: string, delegate?: string, thread?: string}"))
    let json = try JSON(parsing: try await parlor(["show", Products.folder + "/libBRICK.so", "--json"]).out.utf8)
    #expect(json["about"]?["methods"]?.array?.first?["takes"]?["required"] == ["content"])
    let crashing = try Fixtures.build("crashes_on_open")
    #expect(try await parlor(["show", crashing]).exit == 0)
    let wrong = try await parlor(["show", "/etc/passwd"])
    #expect(wrong.exit == 1 && wrong.errors == "parlor: /etc/passwd: the file is no shared library (no ELF header)\n")
  }

  @Test("a folder's personas are listed, other libraries are passed over, and a broken one is named")
  func folder() async throws {
    let folder = TemporaryFolder()
    try Fixtures.install("echo", as: "ECHO", in: folder.path, defines: ["NAME": "ECHO"])
    try Fixtures.install("missing_symbol", as: "NOBODY", in: folder.path)
    let listed = try await parlor(["personas", folder.path])
    #expect(listed.exit == 0 && listed.errors == "" && listed.out.hasPrefix("ECHO 1 ") && listed.out.split(separator: "\n").count == 1)
    try "half".write(toFile: folder.path + "/libHALF.so", atomically: true, encoding: .utf8)
    let broken = try await parlor(["personas", folder.path])
    #expect(broken.exit == 1 && broken.errors.contains("libHALF.so") && broken.out == listed.out)
  }

  @Test("of a running persona it tells the state, the generations and who waits for them, and the last change")
  func running() async throws {
    let kernel = try RealKernel("[persona.ECHO]\n", start: false)
    try Fixtures.install("echo", as: "ECHO", in: kernel.folder, defines: ["NAME": "ECHO"])
    try kernel.start()
    let client = try kernel.client("GUI")
    try client.line(#"{"target":"ECHO","method":"later","payload":60000,"id":1}"#)
    _ = try client.ask("ECHO", "echo", "1", id: 2)
    _ = try client.ask("KERNEL", "personas.reload", #"{"name":"ECHO","force":true}"#, id: 3)
    let shown = try await parlor(["show", "echo"], kernel: kernel.socket)
    #expect(shown.exit == 0, "\(shown)")
    #expect(shown.out.contains("state:       running, generation 2"))
    #expect(shown.out.contains("draining · answers GUI") && shown.out.contains(" · live\n"))
    #expect(shown.out.contains("messages:    2 received, 0 failed, 0 waiting"))
    #expect(shown.out.contains("last change: ECHO reloaded: generation 1 → 2"))
    let unknown = try await parlor(["show", "ECCO"], kernel: kernel.socket)
    #expect(unknown.exit == 4 && unknown.errors.contains("did you mean ECHO?"))
  }

  @Test(
    "a schema is told in a few words",
    arguments: [
      (#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b"]}"#, "{b: string, a?: integer}"),
      (#"{"type":"array","items":{"enum":["x",1]}}"#, #"["x"|1]"#), ("{}", "anything"),
      (#"{"type":["string","null"]}"#, "string|null"), (#"{"anyOf":[{"type":"string"},{"const":5}]}"#, "string|5"),
    ])
  func schema(text: String, short: String) throws { #expect(SchemaText.short(try JSON(parsing: text.utf8)) == short) }
}
