import Foundation
import TestSupport
import Testing

@Suite("README.md") struct ParlorReadmeTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test("the persona in C compiles without a warning, with the command that stands below it, and exports the entry")
  func personaInC() async throws {
    let readme = try String(contentsOf: Self.root.appendingPathComponent("README.md"), encoding: .utf8)
    let source = try #require(readme.firstMatch(of: /```c\n((?s).*?)```/)).1
    let command = try #require(readme.firstMatch(of: /\n {4}(cc -shared .*) -o \S+ echo\.c\n/)).1
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bat-readme-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try String(source).write(to: folder.appendingPathComponent("echo.c"), atomically: true, encoding: .utf8)
    let library = folder.appendingPathComponent("libECHO.so").path
    let line = "\(command) -std=c11 -Wall -Wextra -Werror -o '\(library)' '\(folder.path)/echo.c'"
    let root = Self.root
    let status = try await onThread {
      let compiler = Process()
      compiler.executableURL = URL(fileURLWithPath: "/bin/sh")
      compiler.arguments = ["-c", line]
      compiler.currentDirectoryURL = root
      try compiler.run()
      compiler.waitUntilExit()
      return compiler.terminationStatus
    }
    #expect(status == 0)
    let handle = try #require(dlopen(library, RTLD_NOW | RTLD_LOCAL))
    #expect(dlsym(handle, "persona_entry_v1") != nil)
  }

  @Test("the persona in Swift builds as it stands, in a package of its own, and the kernel finds nothing wrong with it")
  func personaInSwift() async throws {
    let readme = try String(contentsOf: Self.root.appendingPathComponent("README.md"), encoding: .utf8)
    let source = try #require(readme.firstMatch(of: /```swift\n((?s).*?)```/)).1
    let folder = TemporaryFolder()
    let sources = folder.path + "/Sources/LUCIUS"
    try FileManager.default.createDirectory(atPath: sources, withIntermediateDirectories: true)
    try folder.write("Sources/LUCIUS/LUCIUS.swift", String(source))
    try folder.write(
      "Package.swift",
      """
      // swift-tools-version: 6.2
      import PackageDescription
      let package = Package(
        name: "lucius",
        products: [.library(name: "LUCIUS", type: .dynamic, targets: ["LUCIUS"])],
        dependencies: [.package(name: "bat", path: "\(Self.root.path)")],
        targets: [.target(name: "LUCIUS", dependencies: [.product(name: "PersonaKit", package: "bat")])])
      """)
    let built = try await run(["swift", "build", "--package-path", folder.path, "--product", "LUCIUS"])
    try #require(built.status == 0, "\(built.output)")
    try folder.write(
      "personas.toml",
      "[kernel]\nplugins = [\"\(folder.path)/.build/debug\"]\n[llm]\nprovider = \"ollama\"\nmodel = \"m\"\n[persona.LUCIUS]\nprompt = \"You are Lucius.\"\n"
    )
    let checked = try await run([Products.folder + "/batkernel", "--check", "--config", folder.path + "/personas.toml"])
    #expect(checked.status == 0 && checked.output.contains("LUCIUS: ok, LUCIUS 1.0"), "\(checked.output)")
  }

  @Test("the house's libraries tell who they are without being run")
  func house() async throws {
    let folder = TemporaryFolder()
    var text =
      "[kernel]\nplugins = [\"\(Products.folder)\"]\n[llm]\nprovider = \"ollama\"\nmodel = \"m\"\n[persona.HATTER]\nlibrary = \"Prompt\"\nprompt = \"p\"\n"
    for name in ["ALFRED", "BABS", "BRICK", "ROBIN"] { text += "[persona.\(name)]\nprompt = \"p\"\n" }
    try folder.write("personas.toml", text)
    let checked = try await run([Products.folder + "/batkernel", "--check", "--config", folder.path + "/personas.toml"])
    #expect(checked.status == 0, "\(checked.output)")
    for name in ["ALFRED: ok, ALFRED 1.0", "BABS: ok, BABS 1.0", "BRICK: ok, BRICK 1.0", "ROBIN: ok, ROBIN 1.0", "HATTER: ok, Prompt 1.0"] {
      #expect(checked.output.contains(name), "\(checked.output)")
    }
  }

  private func run(_ command: [String]) async throws -> (status: Int32, output: String) {
    try await onThread {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = command
      let output = Pipe()
      process.standardOutput = output
      process.standardError = output
      try process.run()
      let text = try output.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }
  }
}
