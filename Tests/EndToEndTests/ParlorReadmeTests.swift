import Foundation
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
}
