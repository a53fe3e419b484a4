import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

/// A house of a test's own: the repository's sources and what the tests were built with, but other Plugins and personas.
final class TemporaryHouse: @unchecked Sendable {
  let kernel: RealKernel
  var path: String { kernel.folder }
  static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  init(_ configuration: String = "") throws {
    kernel = try RealKernel(configuration, start: false)
    let files = FileManager.default
    for name in ["Package.swift", "Sources"] {
      try files.createSymbolicLink(atPath: "\(path)/\(name)", withDestinationPath: "\(Self.repository)/\(name)")
    }
    for name in ["Plugins", ".build"] { try files.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: false) }
    try files.createSymbolicLink(atPath: "\(path)/.build/debug", withDestinationPath: Products.folder)
    // As `./bat test` says after its build, which these tests follow.
    try Data().write(to: URL(filePath: path + "/.build/PersonaKit-debug.stamp"))
  }

  func parlor(_ arguments: [String]) async throws -> (exit: Int32, out: String, errors: String) {
    let (socket, environment) = (kernel.socket, TemporaryHouse.environment)
    return try await onThread {
      let child = try ParlorChild(arguments, kernel: socket, environment: environment)
      child.patience = .seconds(240)
      child.endInput()
      let exit = try child.wait()
      return (exit, child.text, child.errorText)
    }
  }

  /// The compilers must be found, and SwiftPM wants a home.
  static var environment: [String: String] {
    var environment: [String: String] = ["USER": "Selina"]
    for key in ["PATH", "HOME"] { environment[key] = ProcessInfo.processInfo.environment[key] }
    return environment
  }
}

@Suite("parlor new") struct ParlorNewTests {
  @Test(
    "a table is put at the end, and everything before it stays byte for byte",
    arguments: [
      ("", "[persona.A]\nsummary = \"s\"\n"), ("# mine\n[llm]", "# mine\n[llm]\n\n[persona.A]\nsummary = \"s\"\n"),
      ("[llm]\n", "[llm]\n\n[persona.A]\nsummary = \"s\"\n"),
      ("[llm]\r\nx = 1\r\n", "[llm]\r\nx = 1\r\n\r\n[persona.A]\r\nsummary = \"s\"\r\n"),
      (
        "[persona.B]\nprompt = \"\"\"\n[persona.A]\n\"\"\"\n",
        "[persona.B]\nprompt = \"\"\"\n[persona.A]\n\"\"\"\n\n[persona.A]\nsummary = \"s\"\n"
      ),
    ])
  func adding(old: String, new: String) throws {
    #expect(try PersonasFile(text: old).adding("A", [("summary", "s")]) == new)
  }

  @Test(
    "a persona that is there already is found with its line, however it is written",
    arguments: [
      ("\n[persona.A]", 2), ("[ persona . \"A\" ]", 1), ("['persona'.'A'] # x", 1), ("[persona.A.more]", 1), ("x = 1\npersona.A.y = 2", 2),
      ("[persona]\nB = 1\nA = {}", 3), ("[persona]\nA.x = 1", 2), ("a = 1\r\n[persona.A]\r\n", 2), ("# \u{2028}\n[persona.A]", 2),
    ])
  func taken(text: String, line: Int) {
    #expect(throws: PersonasFile.Taken(line: line)) { try PersonasFile(text: text).adding("A", []) }
  }

  @Test("another persona, a comment and a name that only begins so are no obstacle")
  func notTaken() {
    for text in ["[persona.AB]", "# [persona.A]", "[personas.A]", "[llm]\nA = 1", "[persona.B]\nA = 1"] {
      #expect(PersonasFile(text: text).line(of: "A") == nil)
    }
  }

  @Test("a name becomes a Swift type that collides with nothing")
  func typeNames() {
    let names = ["LUCIUS", "my-bot", "robin", "State", "R2-D2", "Mr_Freeze", "Decodable"].map(Scaffold.typeName)
    #expect(names == ["Lucius", "MyBot", "Robin", "StatePersona", "R2D2", "MrFreeze", "DecodablePersona"])
  }

  @Test(
    "in Swift, in C, in the house and outside: it builds, the running kernel takes it in, and it answers", .serialized,
    arguments: [
      ("LUCIUS", ["new", "LUCIUS"], "Good evening, Selina."), ("my-bot", ["new", "my-bot", "--c"], "Good evening."),
      ("CAT", ["new", "CAT", "--c", "--outside", "elsewhere"], "Good evening."),
      ("FOX", ["new", "FOX", "--outside", "elsewhere"], "Good evening, Selina."),
    ])
  func born(name: String, command: [String], greeting: String) async throws {
    let house = try TemporaryHouse("[llm]\nprovider = \"ollama\"\nmodel = \"m\"\n# the end\n")
    try house.kernel.start()
    let before = try String(contentsOfFile: house.kernel.toml, encoding: .utf8)
    let outside = house.path + "/elsewhere"
    let said = try await house.parlor(command.map { $0 == "elsewhere" ? outside : $0 } + ["--home", house.path])
    #expect(said.exit == 0 && said.out.contains("\(name) says: \(greeting)\n"), "\(said)")
    #expect(said.out.contains("Next: `parlor dev \(name)`"))
    #expect(try String(contentsOfFile: house.kernel.toml, encoding: .utf8).hasPrefix(before + "\n[persona.\(name)]\n"))
    let client = try house.kernel.client("GUI")
    let told = try client.ask("KERNEL", "personas.show", #"{"name":"\#(name)"}"#, id: 1)
    #expect(told.line.contains(#""name":"greet""#) && told.line.contains(#""state":"running""#), "\(told)")
    // The test that came with it passes, by the command that was told.
    let test = try #require(said.out.firstMatch(of: /Its test: `parlor (.*)`/)).1.split(separator: " ").map(String.init)
    let tested = try await house.parlor(test)
    #expect(tested.exit == 0 && tested.out.contains("same"), "\(test) \(tested)")
    // A second one of that name is refused, and nothing is touched.
    let again = try await house.parlor(command.map { $0 == "elsewhere" ? outside : $0 } + ["--home", house.path])
    #expect(again.exit == 1 && again.errors.contains("is there already"), "\(again)")
  }

  @Test("what is in the way is told before anything is written")
  func refusals() async throws {
    let house = try TemporaryHouse("[persona.TAKEN]\n")
    func refused(_ arguments: [String], _ reason: String, exit: Int32 = 1) async throws {
      let said = try await house.parlor(["new"] + arguments)
      #expect(said.exit == exit && said.errors.contains(reason), "\(said)")
    }
    try await refused(["1A", "--home", house.path], "is no name for a persona", exit: 2)
    try await refused(["TAKEN", "--home", house.path], "personas.toml:5: there is a persona TAKEN already")
    try await refused(["Kernel", "--home", house.path], "is the name of a part of the house")
    try await refused(["A", "--home", "/"], "there is no house at or above /")
    try await refused(["benchmarks", "--home", house.path], "is the name of a part of the house")
    try await refused(["Foundation", "--home", house.path], "is the name of one of Swift's own modules")
    try await refused(["A", "--home", house.path, "--outside", "/proc/nowhere"], "/proc/nowhere cannot be made")
    try await refused(["TAKEN", "--home", house.path, "--outside", house.path + "/far/away"], "there is a persona TAKEN already")
    #expect(try FileManager.default.contentsOfDirectory(atPath: house.path + "/Plugins").isEmpty)
    #expect(!FileManager.default.fileExists(atPath: house.path + "/far"))
    try house.kernel.temporary.write("Plugins/my-bot/my-bot.swift", "")
    try await refused(["my_bot", "--home", house.path], "my_bot and Plugins/my-bot are both my_bot to Swift")
    try house.kernel.temporary.write("personas.toml", "persona = { A = { library = \"Prompt\" } }\n")
    try await refused(["A", "--home", house.path], "cannot insert 'persona.A' into existing inline table")
  }

  @Test("a personas.toml that the kernel cannot read is left as it is, and the files go again")
  func brokenFile() async throws {
    let house = try TemporaryHouse("[llm\n")
    let before = try String(contentsOfFile: house.kernel.toml, encoding: .utf8)
    let said = try await house.parlor(["new", "A", "--home", house.path])
    #expect(said.exit == 1 && said.errors.contains("personas.toml is left as it is") && said.errors.contains("personas.toml:5:"), "\(said)")
    #expect(try String(contentsOfFile: house.kernel.toml, encoding: .utf8) == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: house.path + "/Plugins").isEmpty)
    let outside = try await house.parlor(["new", "A", "--home", house.path, "--outside", house.path + "/far/away"])
    #expect(outside.exit == 1 && !FileManager.default.fileExists(atPath: house.path + "/far"), "\(outside)")
    #expect(try !FileManager.default.contentsOfDirectory(atPath: house.path).contains { $0.hasSuffix(".new") })
  }

  @Test("a personas.toml that is a link stays one, and the file behind it keeps its rights")
  func link() async throws {
    let house = try TemporaryHouse()
    let files = FileManager.default
    let real = house.path + "/elsewhere.toml"
    try files.moveItem(atPath: house.kernel.toml, toPath: real)
    try files.createSymbolicLink(atPath: house.kernel.toml, withDestinationPath: real)
    try files.setAttributes([.posixPermissions: 0o640], ofItemAtPath: real)
    let said = try await house.parlor(["new", "A", "--no-build", "--home", house.path, "--outside", house.path + "/far/away"])
    #expect(said.exit == 0 && files.fileExists(atPath: house.path + "/far/away/A/Package.swift"), "\(said)")
    #expect(try files.destinationOfSymbolicLink(atPath: house.kernel.toml) == real)
    #expect(try String(contentsOfFile: real, encoding: .utf8).contains("\n[persona.A]\n"))
    #expect(try files.attributesOfItem(atPath: real)[.posixPermissions] as? Int == 0o640)
  }

  @Test("without a kernel it is written and built, and the next start is told of; --no-build only writes")
  func noKernel() async throws {
    let house = try TemporaryHouse()
    let said = try await house.parlor(["new", "A", "--c", "--home", house.path])
    #expect(said.exit == 0 && said.out.contains("no kernel runs here now"), "\(said)")
    let written = try await house.parlor(["new", "B", "--no-build", "--home", house.path])
    #expect(written.exit == 0 && !written.out.contains("built"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: house.path + "/Plugins").sorted() == ["A", "B"])
  }
}
